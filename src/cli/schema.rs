//! `serin schema`: JSON Schema of `serin.yaml`, for editors that complete and check while one types.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config;

/// Prints the schema. Exit code 1 if it cannot be written.
pub(super) fn run() -> ExitCode {
    match print(&mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough: `serin schema | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the schema cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:#}", config::schema())?;
    out.flush()
}
