//! Floor 6. The command line: one file per subcommand, each a staged script over the rooms below. No logic lives here.

mod check;
mod client;
mod demo;
mod diff;
mod drill;
mod exit_codes;
mod flags;
mod init;
mod journal;
mod judge;
mod ledger;
mod logging;
mod manual;
mod migration;
mod pick;
mod print;
mod progress;
mod reconcile;
mod rollout;
mod run;
mod schema;
mod set;
mod status;
mod text;
mod token;
mod top;
mod tracing_export;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::demo::Messages;
use crate::ledger::Dependency;

/// Exit code for bad usage or configuration.
const BAD_USAGE: u8 = 2;

/// A feature-flag and traffic-split sidecar proxy: routes a configurable share of requests to old and new versions.
#[derive(Debug, Parser)]
#[command(name = "serin", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every subcommand takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Address of the admin API: `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`.
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:9901", env = "SERIN_ADMIN")]
    admin: String,
    /// File with the token to show to the admin API.
    #[arg(long, global = true, value_name = "FILE", env = "SERIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// PEM file with the CAs that vouch for the admin API. Default: the system's.
    #[arg(long, global = true, value_name = "FILE", env = "SERIN_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file with the certificate to show to the admin API.
    #[arg(long, global = true, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    #[arg(long, global = true, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// Say more: -v for debugging, -vv for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How messages look.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy in the foreground.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "config/serin.yaml")]
        config: PathBuf,
    },
    /// Check files and print every error; binds nothing.
    Check {
        /// The configuration file, and the weight file it names.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// A weight file; with --config in place of the one it names.
        #[arg(long, value_name = "FILE")]
        weights: Option<PathBuf>,
        /// A flag file.
        #[arg(long, value_name = "FILE")]
        flags: Option<PathBuf>,
        /// Print JSON on standard output: what is valid, and each error and warning with its place.
        #[arg(long)]
        json: bool,
    },
    /// Run two built-in versions, a proxy and traffic, and watch the new version being widened.
    Demo(demo::DemoArgs),
    /// Print weights, rates and latencies per version of a running serin.
    Status {
        /// Only this service.
        service: Option<String>,
        /// Print again every second.
        #[arg(long)]
        watch: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show shares, rates, failures and latencies of a running serin live, with their last minute.
    Top(top::TopArgs),
    /// Set the weights of a service of a running serin.
    Set {
        /// The service.
        service: String,
        /// A weight for each version: old=95 new=5.
        #[arg(required = true, value_name = "VERSION=WEIGHT")]
        weights: Vec<String>,
        /// Why, for whoever looks later.
        #[arg(long)]
        reason: String,
        /// Entries of the ledger that this change builds on: NUMBER or SERVICE@NUMBER; may be given many times.
        #[arg(long, value_name = "ENTRY", value_delimiter = ',')]
        depends_on: Vec<Dependency>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say which version each key gets; asks the files, no server.
    Pick {
        /// The service.
        service: String,
        /// A sticky key; may be given many times.
        #[arg(long = "key", value_name = "KEY", num_args = 1.., required_unless_present = "stdin")]
        keys: Vec<String>,
        /// Read keys from standard input, one a line.
        #[arg(long)]
        stdin: bool,
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "config/serin.yaml")]
        config: PathBuf,
        /// A weight file in place of the one the configuration names.
        #[arg(long, value_name = "FILE")]
        weights: Option<PathBuf>,
        /// What the rules of flags that steer see beside the key: a JSON object.
        #[arg(long, value_name = "JSON")]
        context: Option<String>,
        /// Print a line of JSON for each key.
        #[arg(long)]
        json: bool,
    },
    /// Make a token for the admin API.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Start, pause, resume, promote, abort or approve the rollout of a service, look at what a start needs, or wait for the end.
    Rollout(rollout::RolloutArgs),
    /// Look at the migration of a service, move it on, or see to the writes that cannot be delivered.
    #[command(subcommand)]
    Migration(migration::MigrationCommand),
    /// Hold both versions of a migration against each other, key by key, and mend what differs.
    Reconcile(reconcile::ReconcileArgs),
    /// Say where the answers of two versions differ, of a service whose requests are copied.
    Diff(diff::DiffArgs),
    /// Hurt requests of a new version on purpose, and see whether it is withdrawn.
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// Look at the record of changes: `list` if nothing is said.
    Ledger(ledger::LedgerArgs),
    /// List flags, or evaluate one for a context and say why; asks the files, no server.
    #[command(subcommand)]
    Flags(flags::FlagsCommand),
    /// Write commented files to start from, for an old and a new version; overwrites nothing.
    Init(init::InitArgs),
    /// Say whether a new version is worse than the old one, from the results of two load tests; asks no server.
    Judge(judge::JudgeArgs),
    /// Print the JSON Schema of serin.yaml.
    Schema,
    /// Print a script that completes serin's commands in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print serin's manual page, or write a page for each command.
    Man {
        /// The folder for the pages.
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// The whole command line, as help, manual pages and completions tell of it.
fn command() -> clap::Command {
    exit_codes::told(Cli::command(), "")
}

/// Runs the command line; gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let Cli { global, command } = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let messages = Messages::default();
    match &command {
        Command::Demo(_) => logging::init_for_demo(global.verbose, global.log_format, &messages),
        _ => logging::init(global.verbose, global.log_format),
    }
    match command {
        Command::Run { config } => run::run(&config),
        Command::Check { config, weights, flags, json } => {
            check::run(config.as_deref(), weights.as_deref(), flags.as_deref(), json)
        }
        Command::Demo(args) => demo::run(&args, &messages),
        Command::Status { service, watch, json } => status::run(&global, service.as_deref(), watch, json),
        Command::Top(args) => top::run(&global, &args),
        Command::Set { service, weights, reason, depends_on, json } => {
            set::run(&global, &service, &weights, &reason, &depends_on, json)
        }
        Command::Rollout(args) => rollout::run(&global, &args),
        Command::Migration(command) => migration::run(&global, &command),
        Command::Reconcile(args) => reconcile::run(&global, &args),
        Command::Diff(args) => diff::run(&global, &args),
        Command::Drill(command) => drill::run(&global, &command),
        Command::Ledger(args) => ledger::run(&global, &args),
        Command::Pick { service, keys, stdin, config, weights, context, json } => {
            pick::run(&config, weights.as_deref(), &service, &keys, stdin, context.as_deref(), json)
        }
        Command::Flags(command) => flags::run(command),
        Command::Token(command) => token::run(&command),
        Command::Init(args) => init::run(args),
        Command::Judge(args) => judge::run(&args),
        Command::Schema => schema::run(),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::man(folder.as_deref()),
    }
}
