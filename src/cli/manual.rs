//! `serin completions` and `serin man`: what shells and `man` want to know, made from the command line itself.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;

use super::print::answer;

/// Prints the script that completes serin's commands in `shell`.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "serin", &mut script);
    printed(&script)
}

/// Prints serin's manual page, or writes it and one for each command to `folder`.
pub(super) fn man(folder: Option<&Path>) -> ExitCode {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        return match clap_mangen::Man::new(super::command()).render(&mut page) {
            Ok(()) => printed(&page),
            Err(error) => failed(&error),
        };
    };
    match fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(super::command(), folder)) {
        Ok(()) => {
            let (first, folder) = (folder.join("serin.1"), folder.display());
            let said = format!("The pages are in {folder}; read the first with: man {}\n", first.display());
            answer(&said, ExitCode::SUCCESS)
        }
        Err(error) => failed(&error),
    }
}

fn printed(text: &[u8]) -> ExitCode {
    answer(&String::from_utf8_lossy(text), ExitCode::SUCCESS)
}

fn failed(error: &io::Error) -> ExitCode {
    super::print::failed(format_args!("this cannot be written: {error}"), ExitCode::FAILURE)
}
