//! `serin completions` and `serin man`: what shells and `man` want to know, made from the command line itself.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Prints the script that completes serin's commands in `shell`.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "serin", &mut script);
    printed(&script)
}

/// Prints serin's manual page, or writes it and one for each command to `folder`.
pub(super) fn man(folder: Option<&Path>) -> ExitCode {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        return match clap_mangen::Man::new(Cli::command()).render(&mut page) {
            Ok(()) => printed(&page),
            Err(error) => failed(&error),
        };
    };
    match fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder)) {
        Ok(()) => {
            println!(
                "The pages are in {}; read the first with: man {}",
                folder.display(),
                folder.join("serin.1").display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn printed(text: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> ExitCode {
    eprintln!("this cannot be written: {error}");
    ExitCode::FAILURE
}
