//! Rates.

use serde_json::{Value, json};

use super::{Scalar, Wrong};

/// So many a second, from 0 to [`MAX`]: `50/s`, or `30/m`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct PerSecond(pub(in crate::config) f64);

/// Most of anything a second.
const MAX: f64 = 10_000.0;

impl Scalar for PerSecond {
    fn expected() -> String {
        format!("a rate such as `50/s` or `30/m`, from 0/s to {MAX}/s")
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,3})?/(s|m)$" })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong::new("not a rate");
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let are_digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !are_digits(whole, 6) || !are_digits(decimals, 3) {
            return Err(wrong());
        }
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let rate = match unit {
            "s" => number,
            "m" => number / 60.0,
            _ => return Err(wrong().help("the units are `s` and `m`: so many a second, or a minute")),
        };
        if rate <= MAX { Ok(Self(rate)) } else { Err(Wrong::new("out of range")) }
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(Wrong::new("a rate needs its unit").help(format!("write `{number}/s`")))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(Wrong::new("a rate needs its unit").help(format!("write `{number}/s`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_both_units() {
        let read = |text: &str| PerSecond::from_text(text).ok().map(|rate| rate.0);
        for (text, rate) in [("50/s", 50.0), ("0.5/s", 0.5), ("30/m", 0.5), ("0/s", 0.0), ("10000/s", 10_000.0)] {
            assert_eq!(read(text), Some(rate), "{text}");
        }
        for bad in ["", "50", "/s", "50/h", "-1/s", "1e3/s", "10001/s", "50 /s", "5./s", "inf/s", "1.2345/s"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
