//! `serin judge`: a verdict from the results of two load tests.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::BAD_USAGE;
use super::print::{answer, complain, failed};
use super::status::duration;
use crate::judge::{
    Estimate, Gates, LatencyGate, LoadTest, MAX_RESULT_BYTES, MetricVerdict, Outcome, Precision, Unit, Verdict, judge,
};
use crate::stats::Alpha;

/// What `serin judge` is asked.
#[derive(Debug, Args)]
pub(super) struct JudgeArgs {
    /// The result for the old version: a line `milliseconds` or `milliseconds,fail` for each request, or what
    /// `oha --output-format json` or `csv` wrote.
    #[arg(long, value_name = "FILE")]
    old: PathBuf,
    /// The result for the new version.
    #[arg(long, value_name = "FILE")]
    new: PathBuf,
    /// Print JSON; latencies in seconds.
    #[arg(long)]
    json: bool,
    /// How often the verdict may be wrong.
    #[arg(long, value_name = "PROBABILITY", default_value = "0.05", value_parser = alpha)]
    alpha: Alpha,
    /// By how much the failure rate may be higher, in points of a hundred; `none`: not compared.
    #[arg(long, value_name = "PERCENT", default_value = "0.2%", value_parser = increase)]
    max_increase: Increase,
    /// How much slower a quantile may be: its order, how many times the old one's, and what may come on top. May be given
    /// many times.
    #[arg(long, value_name = "QUANTILE:RATIO[:SLACK]", default_values = ["0.5:1.1:2ms", "0.99:1.2:10ms"],
          value_parser = latency)]
    latency: Vec<LatencyGate>,
    /// Exit with 1 if new is regressed. Without it the exit code is 0 whatever the verdict.
    #[arg(long)]
    exit_code: bool,
}

/// By how much the failure rate may be higher, if that matters.
#[derive(Debug, Clone, Copy)]
struct Increase(Option<f64>);

/// The verdict and what it is from.
#[derive(Serialize)]
struct Judged<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    inputs: Inputs,
}

#[derive(Serialize)]
struct Inputs {
    old: Input,
    new: Input,
}

#[derive(Serialize)]
struct Input {
    file: String,
    requests: u64,
    precision: Precision,
}

/// Reads both results, prints the verdict; gives the exit code.
pub(super) fn run(args: &JudgeArgs) -> ExitCode {
    let gates = match Gates::new(args.max_increase.0, args.latency.clone(), args.alpha) {
        Ok(gates) => gates,
        Err(error) => return failed(error, BAD_USAGE),
    };
    let [old, new] = match [&args.old, &args.new].map(|file| read(file)) {
        [Ok(old), Ok(new)] => [old, new],
        results => {
            results.into_iter().filter_map(Result::err).for_each(|error| complain(&error));
            return ExitCode::from(BAD_USAGE);
        }
    };
    let verdict = judge(&old.arm, &new.arm, &gates);
    let input = |file: &Path, test: &LoadTest| Input {
        file: file.display().to_string(),
        requests: test.arm.requests,
        precision: test.precision,
    };
    let inputs = Inputs { old: input(&args.old, &old), new: input(&args.new, &new) };
    let text = if args.json {
        match serde_json::to_string(&Judged { verdict: &verdict, inputs }) {
            Ok(json) => json + "\n",
            Err(error) => return failed(error, ExitCode::FAILURE),
        }
    } else {
        table(&verdict, &inputs)
    };
    let regressed = args.exit_code && verdict.verdict == Outcome::Regressed;
    answer(&text, if regressed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read(file: &Path) -> Result<LoadTest, String> {
    let name = file.display();
    let cannot = |error: std::io::Error| format!("{name}: {error}");
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(cannot)?;
    opened.take(MAX_RESULT_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_RESULT_BYTES {
        return Err(format!("{name}: longer than {} MiB: expected fewer requests", MAX_RESULT_BYTES >> 20));
    }
    LoadTest::read(&text).map_err(|error| format!("{name}:{error}"))
}

fn table(verdict: &Verdict, inputs: &Inputs) -> String {
    let mut text = String::new();
    for (name, input) in [("old", &inputs.old), ("new", &inputs.new)] {
        let known = match input.precision {
            Precision::EachRequest => "each by itself",
            Precision::BetweenPercentiles => "known to lie between oha's percentiles; its CSV has each by itself",
        };
        let _ = writeln!(text, "{name}  {}: {} requests, latencies {known}", input.file, input.requests);
    }
    let _ = writeln!(text, "\n{:<9} {:<13} {:<30} {:<30}", "metric", "verdict", "old", "new");
    for metric in &verdict.metrics {
        let row = format!(
            "{:<9} {:<13} {:<30} {:<30}",
            metric.metric,
            metric.verdict.label(),
            shown(metric, &metric.old),
            shown(metric, &metric.new)
        );
        let _ = writeln!(text, "{}", row.trim_end());
    }
    let _ = writeln!(text, "\n{}: {}", verdict.verdict.label(), verdict.reason);
    let _ = writeln!(text, "what could be all the same: {}", verdict.could_hide());
    text
}

/// An estimate and its interval.
fn shown(metric: &MetricVerdict, estimate: &Estimate) -> String {
    let value = |value: Option<f64>| match (metric.unit, value) {
        (_, None) => "?".to_owned(),
        (Unit::Share, Some(share)) => format!("{:.3}%", share * 100.0),
        (Unit::Seconds, seconds) => duration(seconds),
    };
    format!("{} ({} to {})", value(estimate.estimate), value(Some(estimate.low)), value(estimate.high))
}

fn alpha(text: &str) -> Result<Alpha, String> {
    let expected = || format!("expected a number from {} to {}", Alpha::MIN, Alpha::MAX);
    text.parse().ok().and_then(Alpha::new).ok_or_else(expected)
}

fn increase(text: &str) -> Result<Increase, String> {
    if text == "none" {
        return Ok(Increase(None));
    }
    let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let share = percent.filter(|percent: &f64| (0.0..=100.0).contains(percent)).map(|percent| percent / 100.0);
    share.map(|share| Increase(Some(share))).ok_or_else(|| "expected a percentage such as 0.2%, or none".to_owned())
}

fn latency(text: &str) -> Result<LatencyGate, String> {
    let expected = || "expected QUANTILE:RATIO or QUANTILE:RATIO:SLACK, such as 0.99:1.2:10ms".to_owned();
    let mut parts = text.split(':');
    let (quantile, ratio) = parts.next().zip(parts.next()).ok_or_else(expected)?;
    let slack = parts.next().map_or(Some(Duration::ZERO), slack).ok_or_else(expected)?;
    if parts.next().is_some() {
        return Err(expected());
    }
    let number = |text: &str| text.parse::<f64>().map_err(|_| expected());
    LatencyGate::new(number(quantile)?, number(ratio)?, slack).map_err(|error| error.to_string())
}

/// A duration with a unit: `10ms`, `0.5s`, `250us`.
fn slack(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_written_with_colons() {
        let gate = latency("0.99:1.2:10ms").unwrap();
        assert_eq!((gate.name().as_str(), gate.max_ratio(), gate.slack()), ("p99", 1.2, Duration::from_millis(10)));
        assert_eq!(latency("0.5:1").unwrap().slack(), Duration::ZERO);
        assert_eq!(latency("0.5:1:0.25s").unwrap().slack(), Duration::from_millis(250));
        for bad in
            ["", "0.99", "0.99:x", "0.99:1.2:10", "0.99:1.2:10m", "0.99:1.2:-1ms", "0.99:1.2:1ms:", "2:1.2", "0.5:0.5"]
        {
            assert!(latency(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_increase_is_a_percentage_or_none() {
        assert_eq!(increase("0.2%").unwrap().0, Some(0.002));
        assert_eq!(increase("none").unwrap().0, None);
        for bad in ["0.2", "-1%", "101%", "%", "NaN%"] {
            assert!(increase(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_alpha_is_a_probability() {
        assert!(alpha("0.01").is_ok() && alpha("0").is_err() && alpha("0.9").is_err() && alpha("x").is_err());
    }
}
