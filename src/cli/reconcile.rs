//! `serin reconcile`: has a running serin hold both versions of a migration against each other, and follows it.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, ClientError, encode};
use super::print::{answer, failed};
use super::progress::Progress;
use super::text::plain;
use super::{BAD_USAGE, Global};
use crate::migration::reconcile::{Counts, Kind, ReconcileView, RunState, Sample};

/// How often it is asked how far it is.
const EVERY: Duration = Duration::from_millis(300);
/// Longest file of keys, in bytes.
const MAX_FILE: u64 = 24 << 20;
/// Most samples that are printed.
const SHOWN: usize = 10;

/// What is reconciled, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["keys", "from_journal", "sample", "resume", "cancel"])))]
pub(super) struct ReconcileArgs {
    /// The service.
    service: String,
    /// A file with keys, one a line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The keys there are doubts about: listed by the journal, stopped by dead letters, or found to differ.
    #[arg(long)]
    from_journal: bool,
    /// This share of all keys that both versions list: 1%, or 100% for all.
    #[arg(long, value_name = "PERCENT")]
    sample: Option<String>,
    /// Go on with the last one, where it was interrupted, cancelled or stopped.
    #[arg(long, conflicts_with_all = ["repair", "rate", "reason"])]
    resume: bool,
    /// Cancel the one that is on.
    #[arg(long, conflicts_with_all = ["repair", "rate", "reason"])]
    cancel: bool,
    /// Write what the authoritative version has to the other where they differ. Without this nothing is changed.
    #[arg(long)]
    repair: bool,
    /// Keys a second, at most.
    #[arg(long, value_name = "RATE", default_value = "50/s")]
    rate: String,
    /// Why, for whoever looks later.
    #[arg(long, default_value = "")]
    reason: String,
    /// Print JSON, once it is over.
    #[arg(long)]
    json: bool,
    /// Begin it and do not wait for its end.
    #[arg(long)]
    detach: bool,
}

/// Does it; gives the exit code: 0 only where both versions are the same for every key now.
pub(super) fn run(global: &Global, args: &ReconcileArgs) -> ExitCode {
    let ready = Client::new(global).and_then(|client| Ok((client, body(args)?)));
    let (client, body) = match ready {
        Ok(ready) => ready,
        Err(error) => return failed(error, BAD_USAGE),
    };
    match reconcile(&client, args, body.as_ref()) {
        Ok((text, well)) => answer(&text, if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

/// What is asked for; `None`: that it ends.
fn body(args: &ReconcileArgs) -> Result<Option<Value>, ClientError> {
    if args.cancel {
        return Ok(None);
    }
    if args.resume {
        return Ok(Some(json!({ "resume": true })));
    }
    let mut body = json!({ "repair": args.repair, "rate": args.rate, "reason": args.reason });
    if let Some(file) = &args.keys {
        body["keys"] = read_keys(file)?.into();
    }
    if args.from_journal {
        body["fromJournal"] = true.into();
    }
    if let Some(sample) = &args.sample {
        body["sample"] = sample.as_str().into();
    }
    Ok(Some(body))
}

/// The lines of a file; empty ones are left out.
fn read_keys(file: &Path) -> Result<Vec<String>, ClientError> {
    use std::io::Read as _;
    let bad = |reason: String| ClientError::Usage(format!("--keys {}: {reason}", file.display()));
    let said = |error: io::Error| bad(error.to_string());
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text).map_err(said)?;
    } else {
        std::fs::File::open(file).map_err(said)?.take(MAX_FILE + 1).read_to_string(&mut text).map_err(said)?;
    }
    if text.len() as u64 > MAX_FILE {
        return Err(bad(format!("longer than {MAX_FILE} bytes: reconcile it in parts")));
    }
    let keys: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if keys.is_empty() { Err(bad("there is no key in it: expected one a line".to_owned())) } else { Ok(keys) }
}

/// What is found, in words, and whether nothing is left to differ.
fn reconcile(client: &Client, args: &ReconcileArgs, body: Option<&Value>) -> Result<(String, bool), ClientError> {
    let path = format!("/api/v1/services/{}/reconcile", encode(&args.service));
    let mut view: ReconcileView = if let Some(body) = body {
        serde_json::from_slice(&client.post(&path, body)?)?
    } else {
        client.delete(&path)?;
        serde_json::from_slice(&client.get(&path)?)?
    };
    let mut progress = Progress::new(args.json);
    while view.state.is_on() && !args.detach {
        let (part, words) = far(&view);
        progress.at(part, &words);
        std::thread::sleep(EVERY);
        view = serde_json::from_slice(&client.get(&path)?)?;
    }
    drop(progress);
    let text = if args.json { serde_json::to_string(&view)? + "\n" } else { summary(&view) };
    let well = view.state == RunState::Done && view.left() == 0 || (args.detach && view.state.is_on());
    Ok((text, well))
}

/// How far it is.
fn far(view: &ReconcileView) -> (Option<f64>, String) {
    let Some(total) = view.total else { return (None, "listing keys".to_owned()) };
    let part = if total == 0 { 1.0 } else { view.looked as f64 / total as f64 };
    (Some(part), format!("{} of {total}, {} differ", view.looked, view.counts.disagreed()))
}

/// What was found, for people.
fn summary(view: &ReconcileView) -> String {
    let ReconcileView { service, state, looked, counts, .. } = view;
    let Counts { agreed, differed, missing, extra, unsettled, failed, repaired, unrepaired } = counts;
    let total = view.total.map_or_else(|| "?".to_owned(), |total| total.to_string());
    let mut text = format!("{service}: {}: {looked} of {total} keys\n", state.word());
    let mut line = |what: &str| {
        let _ = writeln!(text, "  {}", plain(what));
    };
    if let Some(agreement) = view.agreement {
        let (low, high) = (view.agreement_low * 100.0, view.agreement_high * 100.0);
        line(&format!("{agreed} agree: {:.3}% of those that were read ({low:.2}% to {high:.2}%)", agreement * 100.0));
    }
    for (count, what) in [
        (differed, "differ"),
        (missing, "are not there on the other side"),
        (extra, "are there on the other side only"),
        (unsettled, "were written again and again"),
        (failed, "could not be read"),
    ] {
        if *count > 0 {
            line(&format!("{count} {what}"));
        }
    }
    if view.repair {
        line(&format!("{repaired} repaired, {unrepaired} not"));
    } else if counts.disagreed() > 0 {
        line("nothing was changed: --repair writes what the authoritative version has to the other");
    }
    let mut places: Vec<_> = view.places.iter().collect();
    places.sort_by_key(|(place, count)| (std::cmp::Reverse(**count), (*place).clone()));
    for (place, count) in places.into_iter().take(SHOWN) {
        line(&format!("{count:>7} × {place}"));
    }
    for sample in view.samples.iter().take(SHOWN) {
        line(&shown(sample));
    }
    for said in [&view.detail, &view.note].into_iter().flatten() {
        line(said);
    }
    if view.resumable && !state.is_on() {
        line("it can be resumed: --resume");
    }
    text
}

fn shown(sample: &Sample) -> String {
    let kind = match sample.kind {
        Kind::Differs => "differs",
        Kind::Missing => "missing",
        Kind::Extra => "extra",
    };
    let place = sample.places.first();
    let place =
        place.map(|at| format!(" at {}: {} and not {}", at.place, at.authoritative, at.other)).unwrap_or_default();
    let repaired = match (sample.repaired, &sample.why) {
        (Some(true), _) => ", repaired".to_owned(),
        (Some(false), Some(why)) => format!(", not repaired: {why}"),
        _ => String::new(),
    };
    format!("{}: {kind}{place}{repaired}", sample.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::reconcile::{Asked, Keys, Run};

    fn view(total: Option<u64>, counts: Counts) -> ReconcileView {
        let asked =
            Asked { keys: Keys::Given, repair: false, per_second: 1.0, actor: String::new(), reason: String::new() };
        let mut run = Run::new(asked, total, 0);
        run.counts = counts;
        ReconcileView::new("shop", &run, true)
    }

    #[test]
    fn how_far_it_is_is_known_once_the_keys_are() {
        assert_eq!(far(&view(None, Counts::default())), (None, "listing keys".to_owned()));
        let half = far(&view(Some(10), Counts { agreed: 4, differed: 1, ..Counts::default() }));
        assert_eq!(half, (Some(0.5), "5 of 10, 1 differ".to_owned()));
        assert_eq!(far(&view(Some(0), Counts::default())).0, Some(1.0));
    }

    #[test]
    fn a_summary_says_that_a_dry_run_changed_nothing() {
        let said = summary(&view(Some(10), Counts { agreed: 8, missing: 2, ..Counts::default() }));
        assert!(said.starts_with("shop: running: 10 of 10 keys\n  8 agree: 80.000%"), "{said}");
        assert!(said.contains("2 are not there on the other side\n") && said.contains("nothing was changed"), "{said}");
    }
}
