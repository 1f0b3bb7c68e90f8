//! oha's CSV: a header, then a line for each request that was answered.

use super::{LoadTest, MAX_REQUESTS, Precision, ResultsError, nanos, shown};
use crate::judge::Arm;
use crate::stats::Snapshot;

const DURATION: &str = "request-duration";
const STATUS: &str = "status";

pub(super) fn read(text: &str) -> Result<LoadTest, ResultsError> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let (first, header) = lines.next().unwrap_or((1, ""));
    let place = |name: &str| {
        header.trim().split(',').position(|column| column == name).ok_or_else(|| ResultsError {
            line: first,
            column: 1,
            found: shown(header),
            expected: format!("a column `{name}`, as oha writes it"),
        })
    };
    let (duration, status) = (place(DURATION)?, place(STATUS)?);
    let (mut durations, mut failures, mut requests) = (Snapshot::default(), 0, 0);
    for (number, line) in lines {
        let field = |place: usize, expected: &str| {
            let found = line.trim_end().split(',').nth(place).unwrap_or("");
            let before: usize = line.split(',').take(place).map(|field| field.len() + 1).sum();
            let column = before.min(line.len()) + 1;
            (found, ResultsError { line: number, column, found: shown(found), expected: expected.to_owned() })
        };
        let (found, wrong) = field(duration, "seconds from 0 to 86400");
        durations.record_nanos(found.parse().ok().and_then(nanos).ok_or(wrong)?);
        let (found, wrong) = field(status, "an HTTP status");
        let code: u16 = found.parse().ok().filter(|code| (100..1000).contains(code)).ok_or(wrong)?;
        failures += u64::from(code >= 500);
        requests += 1;
        if requests > MAX_REQUESTS {
            let expected = format!("at most {MAX_REQUESTS} requests");
            return Err(ResultsError { line: number, column: 1, found: shown(line), expected });
        }
    }
    Ok(LoadTest { arm: Arm::finished(failures, durations), precision: Precision::EachRequest })
}
