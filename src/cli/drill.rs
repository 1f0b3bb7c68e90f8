//! `serin drill`: hurts requests of a running serin's new version on purpose, and waits for what comes of it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};

use super::client::{Client, ClientError, encode};
use super::print::{failed, say};
use super::progress::Progress;
use super::text::plain;
use super::{BAD_USAGE, Global};
use crate::config;
use crate::plan::Share;
use crate::rollout::{DrillResult, DrillView};

/// How often it is asked how the drill stands.
const EVERY: Duration = Duration::from_millis(200);
/// How much longer than it may take to be noticed a drill is waited for: for what follows.
const AFTERWARDS: Duration = Duration::from_mins(1);

/// What is drilled.
#[derive(Debug, Subcommand)]
pub(super) enum DrillCommand {
    /// Make requests of the new version fail or wait, and see whether it is withdrawn for it; then all is as before.
    Rollback(RollbackArgs),
}

/// What `serin drill rollback` takes.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The service.
    service: String,
    /// What is done to requests of the new version.
    #[arg(long, value_enum, default_value = "errors")]
    fault: FaultArg,
    /// To how many of them.
    #[arg(long, value_name = "PERCENT", default_value = "20%", value_parser = config::share)]
    share: Share,
    /// How soon the version has to be withdrawn: 1s to 5m.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = config::duration)]
    within: Duration,
    /// Why, for whoever looks later.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who asks.
    #[arg(long = "as", value_name = "NAME", env = "USER")]
    actor: Option<String>,
    /// Print JSON: how the drill ended.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FaultArg {
    /// They are answered with 503 in its place.
    Errors,
    /// They wait longer than its gates allow.
    Delay,
}

/// Holds a drill and says how it went; gives the exit code: 0 only where it passed.
pub(super) fn run(global: &Global, command: &DrillCommand) -> ExitCode {
    let DrillCommand::Rollback(args) = command;
    let client = match Client::new(global) {
        Ok(client) => client,
        Err(error) => return failed(error, BAD_USAGE),
    };
    match rollback(&client, args) {
        Ok(view) if view.result == Some(DrillResult::Passed) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

fn rollback(client: &Client, args: &RollbackArgs) -> Result<DrillView, ClientError> {
    let path = format!("/api/v1/services/{}/drill", encode(&args.service));
    let fault = args.fault.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let within = format!("{}s{}ms", args.within.as_secs(), args.within.subsec_millis());
    let mut body = serde_json::json!({
        "fault": fault, "share": args.share.to_string(), "within": within, "reason": args.reason,
    });
    if let Some(actor) = args.actor.as_ref().filter(|actor| !actor.is_empty()) {
        body["actor"] = actor.as_str().into();
    }
    let mut view: DrillView = serde_json::from_slice(&client.post(&path, &body)?)?;
    if !args.json {
        told(&view.sentence)?;
    }
    let mut progress = Progress::new(args.json);
    let began = Instant::now();
    let until = began + args.within + AFTERWARDS;
    while view.running {
        if Instant::now() > until {
            let detail = "the drill should be over by now and is not; what it did to requests has ended by itself";
            return Err(ClientError::Usage(detail.to_owned()));
        }
        let part = began.elapsed().as_secs_f64() / args.within.as_secs_f64();
        progress.at(Some(part.min(1.0)), "of the time it has to be noticed");
        std::thread::sleep(EVERY);
        let before = view.sentence;
        view = serde_json::from_slice(&client.get(&path)?)?;
        if !args.json && view.sentence != before {
            progress.clear();
            told(&view.sentence)?;
        }
    }
    drop(progress);
    if args.json {
        told(&serde_json::to_string(&view)?)?;
    } else if let Some(look_at) = &view.look_at {
        told(&format!("look at {look_at}"))?;
    }
    Ok(view)
}

/// Prints a line at once. A reader who has left does not end the drill's watch.
fn told(line: &str) -> Result<(), ClientError> {
    say(&(plain(line) + "\n")).map_err(|error| ClientError::Usage(format!("the answer cannot be written: {error}")))
}
