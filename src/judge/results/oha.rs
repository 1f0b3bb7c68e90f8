//! oha's JSON: no single request, but a histogram of eleven edges and nine percentiles.
//!
//! Of the request at each rank this says between which values its latency lies; nothing is made up in between.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{LoadTest, Precision, ResultsError, nanos, shown};
use crate::judge::Arm;
use crate::stats::{Durations, Snapshot};

/// What is read of it. Keys it has besides are oha's business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    summary: Summary,
    /// How many are at most each edge, in seconds, and above the one before.
    response_time_histogram: BTreeMap<String, u64>,
    /// Seconds, by `p50` and the like; nothing where no request was answered.
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<String, u64>,
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Summary {
    slowest: Option<f64>,
    fastest: Option<f64>,
}

/// What oha calls requests it broke off itself when its time was over: neither answered nor failed.
const BROKEN_OFF: &str = "aborted due to deadline";
/// Most requests whose ranks are numbers to calculate with.
const MOST: u64 = 1 << 50;

/// Something known of the latencies by rank, from 0.
struct Known {
    /// Ranks below this are at most the value.
    at_most_below: u64,
    /// Ranks from this on are at least the value.
    at_least_from: u64,
    nanos: u64,
}

pub(super) fn read(text: &str) -> Result<LoadTest, ResultsError> {
    let written: Written = serde_json::from_str(text).map_err(|error| ResultsError {
        line: error.line().max(1),
        column: error.column().max(1),
        found: error.to_string(),
        expected: "the JSON of `oha --output-format json`".to_owned(),
    })?;
    let wrong = |key: &str, found: &str, expected: &str| {
        let (line, column) = place_of(text, key);
        ResultsError { line, column, found: shown(found), expected: expected.to_owned() }
    };
    let (mut answered, mut failed) = (0u64, 0u64);
    for (status, count) in &written.status_code_distribution {
        let expected = "an HTTP status";
        let code: u16 = status.parse().map_err(|_| wrong("statusCodeDistribution", status, expected))?;
        answered = answered.saturating_add(*count);
        failed = failed.saturating_add(if code >= 500 { *count } else { 0 });
    }
    let errors = written.error_distribution.iter().filter(|(error, _)| *error != BROKEN_OFF);
    let errors = errors.fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
    if answered > MOST || errors > MOST {
        return Err(wrong("statusCodeDistribution", &answered.max(errors).to_string(), "at most 2^50 requests"));
    }
    let durations =
        if answered == 0 { Durations::default() } else { bounded(&known(&written, answered, wrong)?, answered) };
    let arm = Arm { requests: answered + errors, failures: failed + errors, durations };
    Ok(LoadTest { arm, precision: Precision::BetweenPercentiles })
}

/// All that is said of the latencies.
fn known(
    written: &Written,
    answered: u64,
    wrong: impl Fn(&str, &str, &str) -> ResultsError,
) -> Result<Vec<Known>, ResultsError> {
    let mut known = Vec::new();
    for (value, at_most_below, at_least_from) in
        [(written.summary.fastest, 0, 0), (written.summary.slowest, answered, answered)]
    {
        let nanos = value
            .and_then(nanos)
            .ok_or_else(|| wrong("summary", "none that can be used", "its fastest and slowest latency"))?;
        known.push(Known { at_most_below, at_least_from, nanos });
    }
    let key = "responseTimeHistogram";
    let mut edges = Vec::new();
    for (edge, count) in &written.response_time_histogram {
        let nanos = edge.parse().ok().and_then(nanos).ok_or_else(|| wrong(key, edge, "edges in seconds"))?;
        edges.push((nanos, *count));
    }
    edges.sort_unstable();
    let mut sum = 0u64;
    for (nanos, count) in edges {
        sum = sum.saturating_add(count);
        known.push(Known { at_most_below: sum.min(answered), at_least_from: sum, nanos });
    }
    if sum != answered {
        return Err(wrong(key, &sum.to_string(), &format!("counts for the {answered} requests that were answered")));
    }
    for (name, value) in &written.latency_percentiles {
        let key = "latencyPercentiles";
        let percent: Option<f64> = name.strip_prefix('p').and_then(|percent| percent.parse().ok());
        let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
        let percent = percent.ok_or_else(|| wrong(key, name, "`p50` and the like"))?;
        let nanos = value.and_then(nanos).ok_or_else(|| wrong(key, name, "a number of seconds for it"))?;
        // The value at this rank; one less and more, for whatever way of rounding.
        let rank = (percent / 100.0 * answered as f64) as u64;
        known.push(Known { at_most_below: rank.min(answered), at_least_from: rank + 1, nanos });
    }
    Ok(known)
}

/// Each rank's latency at its lower and at its upper bound.
fn bounded(known: &[Known], answered: u64) -> Durations {
    let mut ranks: Vec<u64> = known.iter().flat_map(|known| [known.at_most_below, known.at_least_from]).collect();
    ranks.extend([0, answered]);
    ranks.retain(|rank| *rank <= answered);
    ranks.sort_unstable();
    ranks.dedup();
    let (mut fastest, mut slowest) = (Snapshot::default(), Snapshot::default());
    for pair in ranks.windows(2) {
        let (first, count) = (pair[0], pair[1] - pair[0]);
        let least = known.iter().filter(|known| known.at_least_from <= first).map(|known| known.nanos).max();
        let most = known.iter().filter(|known| known.at_most_below > first).map(|known| known.nanos).min();
        let least = least.unwrap_or(0);
        for (snapshot, nanos) in [(&mut fastest, least), (&mut slowest, most.unwrap_or(least).max(least))] {
            let mut one = Snapshot::default();
            one.record_nanos(nanos);
            snapshot.merge(&one.times(count));
        }
    }
    Durations { done: fastest, slowest: Some(slowest), ..Durations::default() }
}

/// Line and column of a key, counted from 1.
fn place_of(text: &str, key: &str) -> (usize, usize) {
    let offset = text.find(&format!("\"{key}\"")).unwrap_or(0);
    let before = &text[..offset];
    let column = before.rfind('\n').map_or(offset, |end| offset - end - 1) + 1;
    (before.matches('\n').count() + 1, column)
}
