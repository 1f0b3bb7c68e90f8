//! Points in time, as RFC 3339 writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Scalar, Wrong};
use crate::stats::calendar;

/// A point in time from 1970 to 9999, to the second; fractions of it are read and cut off.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Moment(pub(in crate::config) SystemTime);

/// A day, which begins at midnight UTC, or a point in time.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Day(pub(in crate::config) SystemTime);

const SECONDS_A_DAY: u64 = 86_400;

impl Scalar for Moment {
    fn expected() -> String {
        "a time such as `2026-11-21T18:00:00Z` or `2026-11-21T19:00:00+01:00` (RFC 3339)".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "format": "date-time" })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong::new("not a time");
        let Some((date, time)) = text.split_once(['T', 't', ' ']) else {
            return Err(match day(text) {
                Some(_) => wrong().help(format!("a day alone does not say when: `{text}T18:00:00Z`")),
                None => wrong(),
            });
        };
        let days = day(date).ok_or_else(wrong)?;
        let at = time.find(['Z', 'z', '+', '-']).ok_or_else(|| {
            wrong().help(format!("the offset is missing: `{text}Z` for UTC, or such as `{text}+01:00`"))
        })?;
        let (clock, offset) = time.split_at(at);
        let local = days * SECONDS_A_DAY + seconds(clock).ok_or_else(wrong)?;
        let utc = i64::try_from(local).map_err(|_| wrong())? - east(offset).ok_or_else(wrong)?;
        let utc = u64::try_from(utc).map_err(|_| wrong())?;
        Ok(Self(UNIX_EPOCH + Duration::from_secs(utc)))
    }
}

impl Scalar for Day {
    fn expected() -> String {
        "a day such as `2027-01-01`, or a time such as `2027-01-01T12:00:00Z` (RFC 3339)".to_owned()
    }

    fn schema() -> Value {
        json!({ "anyOf": [{ "type": "string", "format": "date" }, { "type": "string", "format": "date-time" }] })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match day(text) {
            Some(days) => Ok(Self(UNIX_EPOCH + Duration::from_secs(days * SECONDS_A_DAY))),
            None => Moment::from_text(text).map(|moment| Self(moment.0)).map_err(|_| Wrong::new("not a day")),
        }
    }
}

/// A number of just so many digits.
fn digits(text: &str, count: usize) -> Option<u64> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to `YYYY-MM-DD`.
fn day(date: &str) -> Option<u64> {
    let mut parts = date.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() { None } else { calendar::days(year, month, day) }
}

/// Seconds from midnight to `HH:MM:SS` with or without a fraction.
fn seconds(clock: &str) -> Option<u64> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut parts = clock.split(':');
    let (hour, minute, second) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let is_right = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    is_right.then_some(hour * 3600 + minute * 60 + second)
}

/// Seconds east of UTC: `Z`, `+HH:MM` or `-HH:MM`.
fn east(offset: &str) -> Option<i64> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hour, minute) = offset.get(1..)?.split_once(':')?;
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
    (hour < 24 && minute < 60).then(|| sign * i64::try_from(hour * 3600 + minute * 60).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> Option<u64> {
        Moment::from_text(text).ok().map(|moment| moment.0.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        assert_eq!(unix("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix("2000-02-29T00:00:00Z"), Some(951_782_400));
        assert_eq!(unix("2024-02-29T23:59:59.999Z"), Some(1_709_251_199));
        assert_eq!(unix("2026-11-21T18:00:00Z"), Some(1_795_284_000));
        assert_eq!(unix("2026-11-21 19:30:00+01:30"), Some(1_795_284_000));
        assert_eq!(unix("2026-11-21t13:00:00-05:00"), Some(1_795_284_000));
        assert_eq!(unix("2100-03-01T00:00:00z"), Some(4_107_542_400));
        assert_eq!(unix("9999-12-31T23:59:59Z"), Some(253_402_300_799));
    }

    #[test]
    fn a_day_begins_at_midnight() {
        let unix = |text| Day::from_text(text).ok().map(|day| day.0.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(unix("1970-01-02"), Some(86_400));
        assert_eq!(unix("2024-02-29T23:59:59Z"), Some(1_709_251_199));
        assert_eq!((unix("2026-02-29"), unix("2027"), unix("2027-01-01T12")), (None, None, None));
    }

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for bad in [
            "",
            "now",
            "2026-11-21",
            "2026-11-21T18:00:00",
            "2026-11-21T18:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T18:60:00Z",
            "2026-11-21T18:00:60Z",
            "2026-11-21T18:00:00+1:00",
            "2026-11-21T18:00:00+24:00",
            "2026-11-21T18:00:00.Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "26-11-21T18:00:00Z",
            "2026-11-21T18:00:00ZZ",
            "+026-11-21T18:00:00Z",
            "2026-11-21-01T18:00:00Z",
            "٢٠٢٦-11-21T18:00:00Z",
            "2026-11-21T18:00:00é",
        ] {
            assert_eq!(unix(bad), None, "{bad}");
        }
    }
}
