//! What only serin is measured by: its start, and weight edits, seen from the traffic itself.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Fallible;
use crate::client::Client;
use crate::loads::wrk;
use crate::report::{Reading, quantile};
use crate::setup::{Bench, Peer};

/// A change that takes longer never came.
const LOST: Duration = Duration::from_secs(5);
/// Between two requests that look for a change.
const POLL: Duration = Duration::from_micros(200);

/// From exec to the first request answered through to an upstream and the line that says so. The one or two milliseconds
/// in which `setpriv` and `taskset` replace themselves count too, and so does the poll.
pub(crate) fn ready(bench: &Bench, starts: usize) -> Fallible<Vec<Reading>> {
    let mut milliseconds = Vec::with_capacity(starts);
    for _ in 0..starts {
        let started = Instant::now();
        let proxy = bench.start(Peer::Serin, false)?;
        let line = format!("127.0.0.1:{}", proxy.port);
        // The line may come a moment after the first answer: ready is when there are both.
        while !proxy.process.output().lines().any(|l| l.contains("web") && l.contains(&line)) {
            if started.elapsed() < LOST {
                sleep(POLL);
                continue;
            }
            return Err(format!("no line tells that web listens on {line}: {}", proxy.process.output().trim()).into());
        }
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(vec![
        Reading::new("ready, median", "ms", quantile(&milliseconds, 0.5)),
        Reading::new("ready, slowest", "ms", quantile(&milliseconds, 1.0)),
    ])
}

/// From the moment a written weight file is there to the first response of the new split. Edits turn all traffic from one
/// version to the other, by renaming a new file over the old one and by writing in place, in turn.
pub(crate) fn reload(bench: &Bench, edits: usize) -> Fallible<Vec<Reading>> {
    let proxy = bench.start(Peer::Serin, false)?;
    let folder = bench.serin_folder();
    let mut client = Client::connect(proxy.port)?;
    // A version without weight first: then a single response of it proves that the edit is in force.
    rename(&folder, &Version::Old.weights())?;
    await_only(&mut client, Version::Old)?;
    let (mut renamed, mut in_place) = (Vec::new(), Vec::new());
    for edit in 0..edits {
        let version = if edit % 2 == 0 { Version::New } else { Version::Old };
        let by_renaming = edit % 4 < 2;
        if by_renaming {
            rename(&folder, &version.weights())?;
        } else {
            fs::write(folder.join("weights.yaml"), version.weights())?;
        }
        let written = Instant::now();
        while !client.get("/")?.starts_with(version.name()) {
            if written.elapsed() > LOST {
                return Err(format!("edit {edit} was not in force after {LOST:?}").into());
            }
            sleep(POLL);
        }
        let times = if by_renaming { &mut renamed } else { &mut in_place };
        times.push(written.elapsed().as_secs_f64() * 1e3);
        // Not in step with any timer of serin's.
        sleep(Duration::from_millis(20 + (edit as u64 * 7919) % 41));
    }
    let all = [renamed.as_slice(), in_place.as_slice()].concat();
    Ok(vec![
        Reading::new("edit in force, p50", "ms", quantile(&all, 0.5)),
        Reading::new("edit in force, p99", "ms", quantile(&all, 0.99)),
        Reading::new("edit in force, p99, renamed", "ms", quantile(&renamed, 0.99)),
        Reading::new("edit in force, p99, written in place", "ms", quantile(&in_place, 0.99)),
    ])
}

/// Edits in a row while wrk keeps 64 connections busy and one more connection watches: what fails, what is closed.
pub(crate) fn edits(bench: &Bench, edits: usize) -> Fallible<Vec<Reading>> {
    const PACE: Duration = Duration::from_millis(20);
    let proxy = bench.start(Peer::Serin, false)?;
    let folder = bench.serin_folder();
    let mut witness = Client::connect(proxy.port)?;
    witness.get("/")?;
    let before = Metrics::read(proxy.admin)?;
    let load = wrk(proxy.port, &bench.folder("loads")?, PACE * edits as u32 + Duration::from_secs(2))?;
    for edit in 0..edits {
        let new = edit % 100;
        rename(&folder, &format!("checkout: {{ old: {}, new: {new} }}\n", 100 - new))?;
        witness
            .get("/")
            .map_err(|error| format!("a connection held through all edits broke at edit {edit}: {error}"))?;
        sleep(PACE);
    }
    rename(&folder, &Version::New.weights())?;
    await_only(&mut witness, Version::New)?;
    let load = load.finish()?;
    let after = Metrics::read(proxy.admin)?;
    if !load.errors.is_empty() {
        return Err(format!("{} requests during {edits} edits: {}", load.requests, load.errors.join("; ")).into());
    }
    if after.refused > before.refused {
        return Err(format!("{} of {edits} edits were refused", after.refused - before.refused).into());
    }
    Ok(vec![
        Reading::new("edits written under load", "", edits as f64 + 1.0),
        Reading::new("of them put in force", "", after.applied - before.applied),
        Reading::new("requests meanwhile", "", load.requests as f64),
        Reading::new("failed requests and socket errors", "", 0.0),
        // wrk's 64, and one with which it tries the address first; this program's own was there before.
        Reading::new("connections opened meanwhile", "", after.accepted - before.accepted),
    ])
}

#[derive(Debug, Clone, Copy)]
enum Version {
    Old,
    New,
}

impl Version {
    fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }

    /// How this version's responses begin.
    fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// A weight file that gives it everything.
    fn weights(self) -> String {
        format!("checkout: {{ {}: 100, {}: 0 }}\n", self.name(), self.other().name())
    }
}

/// As editors and deployments do it: a new file takes the name of the old one.
fn rename(folder: &Path, weights: &str) -> Fallible<()> {
    let draft = folder.join(".weights.yaml.draft");
    fs::write(&draft, weights)?;
    Ok(fs::rename(&draft, folder.join("weights.yaml"))?)
}

/// Waits until a version answers so often in a row that it must have all the weight.
fn await_only(client: &mut Client, version: Version) -> Fallible<()> {
    let (since, mut in_a_row) = (Instant::now(), 0);
    while in_a_row < 200 {
        if since.elapsed() > LOST {
            return Err(format!("{} did not get all traffic within {LOST:?}", version.name()).into());
        }
        in_a_row = if client.get("/")?.starts_with(version.name()) { in_a_row + 1 } else { 0 };
    }
    Ok(())
}

/// What serin itself counted.
struct Metrics {
    applied: f64,
    refused: f64,
    accepted: f64,
}

impl Metrics {
    fn read(admin: u16) -> Fallible<Self> {
        let text = Client::connect(admin)?.get("/metrics")?;
        let sum = |name: &str, label: &str| {
            let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Ok(Self {
            applied: sum("serin_config_reload_total{", "result=\"applied\""),
            refused: sum("serin_config_reload_total{", "result=\"refused\""),
            accepted: sum("serin_client_connections_accepted_total{", ""),
        })
    }
}
