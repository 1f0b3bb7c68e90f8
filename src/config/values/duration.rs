//! Durations as Gateway API writes them: [GEP-2257](https://gateway-api.sigs.k8s.io/geps/gep-2257/).

use std::time::Duration;

use serde_json::{Value, json};

use super::{Scalar, Wrong};

/// A duration above zero, at most [`MAX`].
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Period(pub(in crate::config) Duration);

/// A duration, where zero means "no bound", at most [`MAX`].
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Timeout(pub(in crate::config) Option<Duration>);

/// 30 days: longer bounds bound nothing, and arithmetic on clocks stays far from its ends.
const MAX: Duration = Duration::from_hours(30 * 24);
const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

impl Scalar for Period {
    fn expected() -> String {
        "a duration such as `10s`, `500ms` or `1h30m`, above 0s and at most 720h".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": PATTERN })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match parse(text)? {
            Duration::ZERO => Err(Wrong::new("must be above zero")),
            duration => Ok(Self(duration)),
        }
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(no_unit(number))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(no_unit(number))
    }
}

impl Scalar for Timeout {
    fn expected() -> String {
        "a duration such as `10s`, `500ms` or `1h30m`, at most 720h; `0s` is no bound".to_owned()
    }

    fn schema() -> Value {
        Period::schema()
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Ok(Self(Some(parse(text)?).filter(|duration| !duration.is_zero())))
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(no_unit(number))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(no_unit(number))
    }
}

fn no_unit(number: impl std::fmt::Display) -> Wrong {
    Wrong::new("a duration needs a unit").help(format!("write `{number}s` or `{number}ms`"))
}

/// One to four numbers of one to five digits, each with a unit of h, m, s or ms; the duration is their sum.
fn parse(text: &str) -> Result<Duration, Wrong> {
    let wrong = || Wrong::new("not a duration");
    let (mut rest, mut sum, mut parts) = (text, Duration::ZERO, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at(letters);
        let milliseconds = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            "d" => return Err(wrong().help("the largest unit is `h`: a day is `24h`")),
            "us" | "ns" => return Err(wrong().help("the smallest unit is `ms`")),
            _ if after.starts_with('.') => return Err(wrong().help("no fractions: write `1500ms` for 1.5 seconds")),
            _ => return Err(wrong()),
        };
        if digits == 0 || digits > 5 || parts == 4 {
            return Err(wrong());
        }
        let number: u64 = number.parse().map_err(|_| wrong())?;
        sum += Duration::from_millis(number * milliseconds);
        (rest, parts) = (after, parts + 1);
    }
    match parts {
        0 => Err(wrong()),
        _ if sum > MAX => Err(Wrong::new("too long")),
        _ => Ok(sum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_gep_2257() {
        let parsed = |text: &str| parse(text).ok().map(|d| d.as_millis());
        assert_eq!(parsed("10s"), Some(10_000));
        assert_eq!(parsed("1h30m"), Some(5_400_000));
        assert_eq!(parsed("1h1m1s1ms"), Some(3_661_001));
        assert_eq!(parsed("0s"), Some(0));
        for bad in ["", "10", "s", "1.5s", "-1s", "1h1m1s1ms1s", "123456ms", "1d", "10 s", "1S", "999h", "٣s", "1é"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
