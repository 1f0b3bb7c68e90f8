//! Shares in percent.

use serde_json::{Value, json};

use super::{Scalar, Wrong};

/// From 0% to 100%, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Percent(pub(in crate::config) u32);

const WHOLE: u32 = 10_000;

impl Scalar for Percent {
    fn expected() -> String {
        "a share such as `20%` or `0.5%`, from 0% to 100% with at most 2 decimals".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})?%$" })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong::new("not a share in percent");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 3) || !digits(decimals, 2) {
            return Err(wrong());
        }
        // Invariant: both are a few digits.
        let (whole, tenths): (u32, u32) = (whole.parse().unwrap_or(0), decimals.parse().unwrap_or(0));
        let hundredths = whole * 100 + if decimals.len() == 1 { tenths * 10 } else { tenths };
        if hundredths > WHOLE { Err(Wrong::new("out of range")) } else { Ok(Self(hundredths)) }
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("write `{number}%`")))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("write `{number}%`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_to_the_hundredth_of_a_percent() {
        let read = |text: &str| Percent::from_text(text).ok().map(|percent| percent.0);
        assert_eq!(["0%", "20%", "0.5%", "12.34%", "100%"].map(read), [0, 2_000, 50, 1_234, 10_000].map(Some));
        for bad in ["", "%", "20", "100.01%", "101%", "-1%", "1.234%", "1.%", ".5%", "2 %", "1e1%", "٣%"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
