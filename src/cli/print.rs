//! What commands say. A reader who has seen enough and leaves (`serin ledger | head -1`) is no failure and no panic.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints an answer on standard output; gives `code`, or that of a failure where it cannot be written.
pub(super) fn answer(text: &str, code: ExitCode) -> ExitCode {
    match say(text) {
        Ok(()) => code,
        Err(error) => {
            complain(format_args!("the answer cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints text on standard output at once.
///
/// # Errors
/// If it cannot be written though somebody would read it.
pub(super) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a line about what went wrong on standard error.
pub(super) fn complain(what: impl fmt::Display) {
    // Where nobody hears it, the exit code says it.
    let _ = writeln!(io::stderr(), "{what}");
}

/// Prints why a command was not done; gives `code`.
pub(super) fn failed(why: impl fmt::Display, code: impl Into<ExitCode>) -> ExitCode {
    complain(why);
    code.into()
}
