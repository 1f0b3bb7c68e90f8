//! Time as people and log collectors read it.

use std::fmt::{self, Display};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::stats::calendar::date;

/// A time in RFC 3339, UTC, to the microsecond. Times before 1970 are written as its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339(pub SystemTime);

impl Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let micros = since.subsec_micros();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn written(seconds: u64, nanos: u32) -> String {
        Rfc3339(UNIX_EPOCH + Duration::new(seconds, nanos)).to_string()
    }

    #[test]
    fn times_are_written_in_utc_to_the_microsecond() {
        assert_eq!(written(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(written(951_782_400, 0), "2000-02-29T00:00:00.000000Z");
        assert_eq!(written(1_709_251_199, 999_999_999), "2024-02-29T23:59:59.999999Z");
        assert_eq!(written(4_107_542_400, 1_000), "2100-03-01T00:00:00.000001Z");
        assert_eq!(Rfc3339(UNIX_EPOCH - Duration::from_secs(1)).to_string(), written(0, 0));
    }
}
