//! `serin migration`: how far the migration of a service is, moves, and writes that cannot be delivered.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, ClientError, encode};
use super::print::{answer, failed};
use super::text::plain;
use super::{BAD_USAGE, Global};
use crate::admin::{DeadLetterView, DeadLettersView, JournalView, MigrationView, PlanView};
use crate::migration::reconcile::ConsistencyView;

/// What is asked of a migration.
#[derive(Debug, Subcommand)]
pub(super) enum MigrationCommand {
    /// Say how far it is, and what its journal holds.
    Status {
        /// The service.
        service: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Move it to a stage, for all keys or for a share of them.
    Set {
        /// The service.
        service: String,
        /// off, dualWrite, shadow, live, rampDown or complete.
        stage: String,
        /// Share of keys that go there; all others are in the stage before. Default: 100%.
        #[arg(long, value_name = "PERCENT")]
        share: Option<String>,
        /// Why, for whoever looks later.
        #[arg(long)]
        reason: String,
        /// Whatever stands in the way; for admins.
        #[arg(long)]
        force: bool,
        /// Let its plan go on from there. Without this the plan waits: somebody has taken over.
        #[arg(long)]
        by_plan: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the writes that cannot be delivered; each stops its key.
    DeadLetters {
        /// The service.
        service: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have a write that could not be delivered tried again.
    Retry {
        /// The service.
        service: String,
        /// The number of the dead letter.
        number: u64,
        /// Why, for whoever looks later.
        #[arg(long)]
        reason: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give up a write that cannot be delivered: its key goes on without it, and is to be reconciled.
    GiveUp {
        /// The service.
        service: String,
        /// The number of the dead letter.
        number: u64,
        /// Why, for whoever looks later.
        #[arg(long)]
        reason: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does it and prints how things stand; gives the exit code.
pub(super) fn run(global: &Global, command: &MigrationCommand) -> ExitCode {
    let client = match Client::new(global) {
        Ok(client) => client,
        Err(error) => return failed(error, BAD_USAGE),
    };
    match carry_out(&client, command) {
        Ok(text) => answer(&text, ExitCode::SUCCESS),
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

fn carry_out(client: &Client, command: &MigrationCommand) -> Result<String, ClientError> {
    let path = |service: &str| format!("/api/v1/services/{}/migration", encode(service));
    let shown = |body: &[u8], as_json: bool| -> Result<String, ClientError> {
        let view: MigrationView = serde_json::from_slice(body)?;
        Ok(if as_json { serde_json::to_string(&view)? + "\n" } else { lines(&view) })
    };
    let settle = |service: &str, action: &str, number: u64, reason: &str, as_json: bool| {
        let body = json!({ "action": action, "number": number, "reason": reason });
        shown(&client.post(&format!("{}/deadLetters", path(service)), &body)?, as_json)
    };
    match command {
        MigrationCommand::Status { service, json } => shown(&client.get(&path(service))?, *json),
        MigrationCommand::Set { service, stage, share, reason, force, by_plan, json } => {
            let mut body = json!({ "stage": stage, "reason": reason, "force": force, "byPlan": by_plan });
            if let Some(share) = share {
                body["share"] = json!(share);
            }
            shown(&client.put(&path(service), &body)?, *json)
        }
        MigrationCommand::DeadLetters { service, json } => {
            let body = client.get(&format!("{}/deadLetters", path(service)))?;
            let view: DeadLettersView = serde_json::from_slice(&body)?;
            Ok(if *json { serde_json::to_string(&view)? + "\n" } else { letters(&view.dead_letters) })
        }
        MigrationCommand::Retry { service, number, reason, json } => settle(service, "retry", *number, reason, *json),
        MigrationCommand::GiveUp { service, number, reason, json } => settle(service, "giveUp", *number, reason, *json),
    }
}

/// How far a migration is, in lines.
fn lines(view: &MigrationView) -> String {
    let MigrationView { service, stage, share, from, to, authoritative, also_writes, compares, next, .. } = view;
    let for_share = if share == "100%" { String::new() } else { format!(" for {share} of its keys") };
    let mut text = format!("{service}: {from} → {to}, stage {stage}{for_share}\n");
    let mut line = |what: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {what}");
    };
    let compared = if *compares { ", compared with the other's" } else { "" };
    line(format!("clients get {authoritative}'s answers{compared}"));
    line(match also_writes {
        Some(other) => format!("writes go to {authoritative}, then {other}"),
        None => format!("writes go to {authoritative}"),
    });
    let JournalView { entries, pending, uncertain, dead_letters, to_reconcile, oldest_seconds, .. } = &view.journal;
    let oldest = oldest_seconds.map(|age| format!(", the oldest {age:.1}s old")).unwrap_or_default();
    line(format!("journal: {entries} writes, {pending} to deliver, {uncertain} uncertain{oldest}"));
    if *dead_letters > 0 {
        line(format!("!!! {dead_letters} dead letters stop their keys: serin migration dead-letters {service}"));
    }
    if *to_reconcile > 0 || view.journal.all_to_reconcile {
        let all = if view.journal.all_to_reconcile { "all keys" } else { "these keys" };
        line(format!("{to_reconcile} keys to reconcile ({all})"));
    }
    if let Some(full) = &view.journal.full {
        line(format!("!!! the journal takes nothing: {full}"));
    }
    if view.journal.in_memory {
        line("the journal is in memory alone: a crash loses what is in it".to_owned());
    }
    if let Some(ConsistencyView { ratio: Some(ratio), low, high, looks, keys, in_doubt, .. }) = &view.consistency {
        let [ratio, low, high] = [ratio, low, high].map(|share| share * 100.0);
        line(format!("consistency {ratio:.3}% ({low:.2}% to {high:.2}%) by {looks} looks at {keys} keys"));
        if !in_doubt.is_empty() {
            line(format!("in doubt: {}: serin reconcile {service} --from-journal", in_doubt.join(", ")));
        }
    }
    line(match next {
        Some(next) if next == stage => format!("next: {stage} for all keys"),
        Some(next) => format!("next: {next}"),
        None => "this is the end of it".to_owned(),
    });
    for missing in &view.missing {
        line(format!("  missing: {}", missing.detail));
    }
    if let Some(PlanView { paused, next: Some(next), missing }) = &view.plan {
        let waits = if *paused { ", paused: somebody moved it by hand; --by-plan lets it go on" } else { "" };
        line(format!("by plan: {next}{waits}"));
        for missing in missing {
            line(format!("  waits: {}", missing.detail));
        }
    }
    if let Some(entry) = view.entry {
        let _ = writeln!(text, "entry {entry} of the ledger");
    }
    text
}

fn letters(letters: &[DeadLetterView]) -> String {
    if letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut text = String::new();
    for letter in letters {
        let DeadLetterView { number, key, method, target, version, tries, why, age_seconds, behind } = letter;
        let (shown, target) = (plain(why), plain(target));
        let _ = writeln!(
            text,
            "{number:>8}  {method} {target} (key {key:?}) to {version}: {shown}; {tries} tries, {age_seconds:.0}s old, {behind} behind it"
        );
    }
    text
}
