//! One request a line: `milliseconds` or `milliseconds,fail`.

use super::{LoadTest, MAX_REQUESTS, Precision, ResultsError, nanos, shown};
use crate::judge::Arm;
use crate::stats::Snapshot;

const EXPECTED: &str = "milliseconds from 0 to 86400000, such as 12.5, then `,fail` if the request failed";

pub(super) fn read(text: &str) -> Result<LoadTest, ResultsError> {
    let (mut durations, mut failures, mut requests) = (Snapshot::default(), 0, 0);
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim();
        if content.is_empty() {
            continue;
        }
        let column = line.len() - line.trim_start().len() + 1;
        let wrong = |offset: usize, found: &str, expected: &str| ResultsError {
            line: number,
            column: column + offset,
            found: shown(found),
            expected: expected.to_owned(),
        };
        if requests == MAX_REQUESTS {
            return Err(wrong(0, content, &format!("at most {MAX_REQUESTS} requests")));
        }
        let (duration, rest) = content.split_once(',').map_or((content, None), |(one, rest)| (one, Some(rest)));
        let nanos = duration.trim_end().parse().ok().and_then(|milliseconds: f64| nanos(milliseconds / 1e3));
        durations.record_nanos(nanos.ok_or_else(|| wrong(0, duration, EXPECTED))?);
        match rest.map(str::trim) {
            None => {}
            Some("fail") => failures += 1,
            Some(other) => return Err(wrong(duration.len() + 1, other, "`fail`, or no comma")),
        }
        requests += 1;
    }
    if requests == 0 {
        return Err(ResultsError { line: 1, column: 1, found: shown(""), expected: EXPECTED.to_owned() });
    }
    Ok(LoadTest { arm: Arm::finished(failures, durations), precision: Precision::EachRequest })
}
