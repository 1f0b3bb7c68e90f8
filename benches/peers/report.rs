//! Readings as they come, and the table they end in.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{find, first_line};
use crate::setup::Peer;
use crate::{Fallible, Options};

/// One figure, once.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// What was measured; equal names are one row.
    figure: Cow<'static, str>,
    unit: &'static str,
    value: f64,
}

impl Reading {
    /// A reading of `figure` in `unit`.
    pub(crate) fn new(figure: impl Into<Cow<'static, str>>, unit: &'static str, value: f64) -> Self {
        Self { figure: figure.into(), unit, value }
    }
}

/// Everything measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What went wrong, one line each.
    pub(crate) troubles: Vec<String>,
    versions: Vec<(Peer, String)>,
    rounds: Vec<(u32, Peer, Vec<Reading>)>,
    own: Vec<(&'static str, Vec<Reading>)>,
}

impl Report {
    /// A peer takes part.
    pub(crate) fn version(&mut self, peer: Peer, version: String) {
        println!("{peer} {version}");
        self.versions.push((peer, version));
    }

    /// One job of a round is over.
    pub(crate) fn round(&mut self, round: u32, peer: Peer, readings: Fallible<Vec<Reading>>) {
        if let Some(readings) = self.good(&format!("round {round}  {:<8}", peer.to_string()), readings) {
            self.rounds.push((round, peer, readings));
        }
    }

    /// One of serin's own sections is over.
    pub(crate) fn own(&mut self, section: &'static str, readings: Fallible<Vec<Reading>>) {
        if let Some(readings) = self.good(&format!("serin    {section:<8}"), readings) {
            self.own.push((section, readings));
        }
    }

    fn good(&mut self, what: &str, readings: Fallible<Vec<Reading>>) -> Option<Vec<Reading>> {
        match readings {
            Ok(readings) => {
                let cells = readings.iter().map(|r| format!("{} {}{}", r.figure, number(r.value), spaced(r.unit)));
                println!("{what}  {}", cells.collect::<Vec<_>>().join(" | "));
                Some(readings)
            }
            Err(error) => {
                println!("{what}  FAILED: {error}");
                self.troubles.push(format!("{}: {error}", what.trim()));
                None
            }
        }
    }

    /// The tables, and what is needed to judge and repeat them.
    pub(crate) fn markdown(&self, options: &Options) -> String {
        let mut text = format!("\n{}\n\n", machine());
        let versions = self.versions.iter().map(|(peer, version)| format!("{peer} {version}"));
        let tools = [("wrk", "-v"), ("oha", "--version")].into_iter().filter_map(|(tool, flag)| {
            let line = first_line(&find(tool)?.to_string_lossy(), &[flag])?;
            Some(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        });
        let _ = writeln!(text, "Versions: {}.\n", versions.chain(tools).collect::<Vec<_>>().join(", "));
        if !self.rounds.is_empty() {
            text += &self.comparison(options);
        }
        if !self.own.is_empty() {
            text += "| serin alone | |\n|---|---|\n";
            for reading in self.own.iter().flat_map(|(_, readings)| readings) {
                let _ = writeln!(text, "| {} | {}{} |", reading.figure, number(reading.value), spaced(reading.unit));
            }
            text.push('\n');
        }
        for trouble in &self.troubles {
            let _ = writeln!(text, "- FAILED {trouble}");
        }
        text + "Repeat: `cargo bench --bench peers` (`-- --help` for its options).\n"
    }

    fn comparison(&self, options: &Options) -> String {
        let peers: Vec<Peer> = self
            .versions
            .iter()
            .map(|(peer, _)| *peer)
            .filter(|peer| self.rounds.iter().any(|r| r.1 == *peer))
            .collect();
        let mut text = format!("| median of {} rounds of {} s", options.rounds, options.seconds);
        for peer in &peers {
            let _ = write!(text, " | {peer}");
        }
        let _ = writeln!(text, " |\n|---|{}", "---|".repeat(peers.len()));
        for (figure, unit) in self.figures() {
            let _ = write!(text, "| {figure}{}", if unit.is_empty() { String::new() } else { format!(", {unit}") });
            let serin = self.median(Peer::Serin, figure);
            for &peer in &peers {
                let Some(value) = self.median(peer, figure) else {
                    text += " | –";
                    continue;
                };
                let _ = write!(text, " | {}", number(value));
                if let Some(serin) = serin.filter(|serin| peer != Peer::Serin && *serin > 0.0) {
                    let _ = write!(text, " (×{:.2})", value / serin);
                }
            }
            text += " |\n";
        }
        let explained = peers.contains(&Peer::Serin) && peers.len() > 1;
        text += "\nWhere a proxy used less than its whole core in the closed loop, the load and the upstream on the other core were \
                 the bottleneck, and CPU per request is the figure to compare.\n";
        text + if explained { "\nIn parentheses: the figure as a multiple of serin's.\n\n" } else { "\n" }
    }

    /// Figures in the order in which they were first read.
    fn figures(&self) -> Vec<(&str, &'static str)> {
        let mut figures = Vec::new();
        for reading in self.rounds.iter().flat_map(|(_, _, readings)| readings) {
            if !figures.contains(&(&*reading.figure, reading.unit)) {
                figures.push((&*reading.figure, reading.unit));
            }
        }
        figures
    }

    fn median(&self, peer: Peer, figure: &str) -> Option<f64> {
        let readings = self.rounds.iter().filter(|(_, of, _)| *of == peer).flat_map(|(_, _, readings)| readings);
        let values: Vec<f64> = readings.filter(|r| r.figure == figure).map(|r| r.value).collect();
        (!values.is_empty()).then(|| quantile(&values, 0.5))
    }

    /// Every reading of every round, for whoever wants to plot or test them.
    pub(crate) fn write_json(&self, path: &Path) -> Fallible<()> {
        let figures = |readings: &[Reading]| -> Vec<Value> {
            readings.iter().map(|r| json!({ "figure": r.figure, "unit": r.unit, "value": r.value })).collect()
        };
        let versions = self.versions.iter().map(|(peer, version)| (peer.to_string(), json!(version)));
        let rounds = self.rounds.iter().map(|(round, peer, readings)| {
            json!({ "round": round, "peer": peer.to_string(), "readings": figures(readings) })
        });
        let own = self.own.iter().map(|(section, readings)| (section.to_string(), json!(figures(readings))));
        let whole = json!({
            "machine": machine(),
            "versions": versions.collect::<serde_json::Map<_, _>>(),
            "rounds": rounds.collect::<Vec<_>>(),
            "serin": own.collect::<serde_json::Map<_, _>>(),
            "failed": self.troubles,
        });
        fs::write(path, serde_json::to_string_pretty(&whole)? + "\n")?;
        Ok(())
    }
}

/// The `q`-quantile of values that are not empty, between neighbours by linear interpolation.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1)) as f64 * q;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => low + (high - low) * at.fract(),
        _ => f64::NAN,
    }
}

/// Date, kernel, processor.
fn machine() -> String {
    let date = first_line("date", &["-u", "+%F"]).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    format!("{date}, Linux {}, {cores} cores, {}", kernel.trim(), model.trim_start_matches(['\t', ' ', ':']).trim())
}

/// Four digits that matter, no exponent.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 || v.fract().abs() < f64::EPSILON => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

fn spaced(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}
