//! `serin schema`: JSON Schema of `serin.yaml`, for editors that complete and check while one types.

use std::process::ExitCode;

use super::print::answer;
use crate::config;

/// Prints the schema. Exit code 1 if it cannot be written.
pub(super) fn run() -> ExitCode {
    answer(&format!("{:#}\n", config::schema()), ExitCode::SUCCESS)
}
