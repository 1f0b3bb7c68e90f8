//! Time as an entry holds it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::text::as_text;
use crate::stats::calendar::{date, days};

/// A moment to the millisecond, written in RFC 3339 and UTC: `2026-11-21T17:07:38.123Z`. From 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

/// The last millisecond of the year 9999, since 1970.
const LAST: u64 = 253_402_300_799_999;

impl From<SystemTime> for Time {
    /// Before 1970 is its beginning.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(LAST).min(LAST))
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "not a time such as 2026-11-21T17:07:38.123Z";
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let parts = || {
            let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
            let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
            let days = days(year, month, day)?;
            Some(Self((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + number(20, 23)?))
        };
        // What is written again must be the same: no 31st of April, no other separators.
        parts().filter(|time| time.to_string() == text).ok_or(WRONG)
    }
}

as_text!(Time);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_in_utc_to_the_millisecond() {
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Time(1_709_251_199_999).to_string(), "2024-02-29T23:59:59.999Z");
        assert_eq!(Time(LAST).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Time::from(UNIX_EPOCH - Duration::from_secs(1)), Time(0));
        for wrong in [
            "",
            "2026-11-21",
            "2026-11-21T17:07:38Z",
            "2026-02-29T00:00:00.000Z",
            "2026-11-21 17:07:38.123Z",
            "2026-11-21T24:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00.000Z",
            "2026-11-21T17:07:38.123+",
        ] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_is_written(ms in 0..=LAST) {
            prop_assert_eq!(Time(ms).to_string().parse(), Ok(Time(ms)));
        }
    }
}
