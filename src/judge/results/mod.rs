//! What load generators write, as arms.

mod csv;
mod lines;
mod oha;

use super::Arm;

/// Longest result that is read, in bytes.
pub const MAX_RESULT_BYTES: u64 = 512 * 1024 * 1024;
/// Most requests in a result that has a line for each.
const MAX_REQUESTS: u64 = 50_000_000;

/// The result of a load test.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadTest {
    /// What is known of the version that was tested.
    pub arm: Arm,
    /// How well its latencies are known.
    pub precision: Precision,
}

/// How well latencies are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Precision {
    /// Each request's.
    EachRequest,
    /// Only between which of the percentiles and histogram edges of the result each lies; bounds allow for that.
    BetweenPercentiles,
}

/// Why a text is not the result of a load test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: found {found}; expected {expected}")]
pub struct ResultsError {
    /// Where, counted from 1.
    pub line: usize,
    /// Where in the line, counted from 1, in bytes.
    pub column: usize,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
}

impl LoadTest {
    /// Reads a result in one of three forms: a line `milliseconds` or `milliseconds,fail` for each request; oha's JSON
    /// (`--output-format json`), which is known by its brace; oha's CSV (`--output-format csv`), known by its first line.
    ///
    /// # Errors
    /// [`ResultsError`] at the first place that cannot be read.
    pub fn read(text: &str) -> Result<Self, ResultsError> {
        let start = text.trim_start();
        if start.starts_with('{') {
            oha::read(text)
        } else if start.starts_with("request-start") {
            csv::read(text)
        } else {
            lines::read(text)
        }
    }
}

/// Nanoseconds of a duration in seconds that is none too long to tell; `None` for what is no duration.
fn nanos(seconds: f64) -> Option<u64> {
    /// A day.
    const LONGEST: f64 = 86_400.0;
    (0.0..=LONGEST).contains(&seconds).then_some((seconds * 1e9).round() as u64)
}

/// What was found, short enough for a message.
fn shown(found: &str) -> String {
    const MOST: usize = 40;
    if found.is_empty() {
        return "nothing".to_owned();
    }
    let mut text: String = found.chars().take(MOST).collect();
    if text.len() < found.len() {
        text.push('…');
    }
    format!("{text:?}")
}

#[cfg(test)]
mod tests;
