//! `serin token`: a fresh token, and the line that makes it known.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::print::{answer, failed};
use crate::access::{Role, TokenHash, new_token};
use crate::tls::fill_random;

/// What can be done with tokens.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum TokenCommand {
    /// Print a fresh token, this once, and the line for the tokens file.
    New(NewArgs),
}

/// Whose token it is to be.
#[derive(Debug, Clone, Args)]
pub(super) struct NewArgs {
    /// Who it is for; letters, digits, `-`, `_` and `.`.
    #[arg(long, default_value = "NAME")]
    name: String,
    /// What they may do.
    #[arg(long, value_enum, default_value = "operator")]
    role: RoleArg,
    /// Print JSON: token, name, role and sha256.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    /// Look.
    Viewer,
    /// Look; change weights, drive rollouts, start drills.
    Operator,
    /// Look; approve what others have started.
    Approver,
    /// Everything.
    Admin,
}

/// Runs the subcommand; gives the exit code.
pub(super) fn run(command: &TokenCommand) -> ExitCode {
    let TokenCommand::New(NewArgs { name, role, json }) = command;
    let role = match role {
        RoleArg::Viewer => Role::Viewer,
        RoleArg::Operator => Role::Operator,
        RoleArg::Approver => Role::Approver,
        RoleArg::Admin => Role::Admin,
    };
    let mut random = [0; 32];
    if let Err(error) = fill_random(&mut random) {
        return failed(format_args!("no token: {error}"), ExitCode::FAILURE);
    }
    let token = new_token(random);
    let hash = TokenHash::of(token.as_bytes());
    if *json {
        let made = json!({ "token": token, "name": name, "role": role.word(), "sha256": hash.to_string() });
        return answer(&format!("{made}\n"), ExitCode::SUCCESS);
    }
    // The token alone is on standard output, so that it can go straight into a file.
    let said = writeln!(io::stdout(), "{token}").and_then(|()| {
        writeln!(
            io::stderr(),
            "The token is on standard output, this once. Keep it where only its owner can read it (chmod 600), and show\n\
             it with --token-file FILE. The line for the tokens file:\n\n  \
             - {{ name: {name}, role: {}, sha256: \"{hash}\" }}",
            role.word()
        )
    });
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
