//! `serin init`: commented files to start from, for a pair of upstreams.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::BAD_USAGE;
use super::print::{answer, failed};
use crate::config::{self, Starter};

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where the old version answers: `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`.
    #[arg(long, value_name = "URL")]
    old: String,
    /// Where the new version answers.
    #[arg(long, value_name = "URL")]
    new: String,
    /// The service's name.
    #[arg(long, value_name = "NAME", default_value = "app")]
    service: String,
    /// Where clients connect.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where the admin API answers; --admin is that of a running serin.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin_listen: String,
    /// The folder; it is made where it is missing.
    #[arg(value_name = "DIR", default_value = "config")]
    folder: PathBuf,
}

/// Writes the files, none in the place of another; gives the exit code.
pub(super) fn run(args: InitArgs) -> ExitCode {
    let InitArgs { old, new, service, listen, admin_listen: admin, folder } = args;
    let files = match config::starter(&Starter { service, old, new, listen, admin }) {
        Ok(files) => [("serin.yaml", files.serin), ("weights.yaml", files.weights)],
        Err(error) => return failed(error, BAD_USAGE),
    };
    match write(&folder, &files) {
        Ok(()) => {
            let config = folder.join("serin.yaml");
            let config = config.display();
            let weights = folder.join("weights.yaml");
            let text = format!(
                "{config} and {} are written; every key has its comment.\n\
                 Look over them, then:\n  serin check --config {config}\n  serin run --config {config}\n",
                weights.display()
            );
            answer(&text, ExitCode::SUCCESS)
        }
        Err((path, error)) if error.kind() == io::ErrorKind::AlreadyExists => {
            let path = path.display();
            let why =
                format_args!("{path} is there already; nothing was written. Name another folder, or move it away");
            failed(why, BAD_USAGE)
        }
        Err((path, error)) => {
            failed(format_args!("{}: {error}; nothing was left behind", path.display()), ExitCode::FAILURE)
        }
    }
}

/// All of `files` or none.
fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), (PathBuf, io::Error)> {
    fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        // Whoever made a file of this name in this very moment keeps it.
        let made = File::create_new(&path);
        let own = made.is_ok();
        let result = made.and_then(|mut file| file.write_all(text.as_bytes()));
        if own {
            written.push(path.clone());
        }
        if let Err(error) = result {
            for path in written {
                // What cannot be removed either is where the message says.
                let _ = fs::remove_file(path);
            }
            return Err((path, error));
        }
    }
    Ok(())
}
