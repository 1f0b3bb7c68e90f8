//! Percentages.

use serde_json::{Value, json};

use crate::plan;

use super::{Scalar, Wrong};

/// A percentage with at most two decimals, from `MIN` hundredths of a percent to 100 %.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Percent<const MIN: u32>(pub(in crate::config) plan::Share);

impl<const MIN: u32> Scalar for Percent<MIN> {
    fn expected() -> String {
        let least = plan::Share::from_hundredths(MIN);
        format!("a percentage such as `10%` or `0.5%`, from {least} to 100% with at most 2 decimals")
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,2})?%$" })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong::new("not a percentage");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let are_digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !are_digits(whole, 3) || !are_digits(decimals, 2) {
            return Err(wrong());
        }
        let hundredths: u32 = format!("{whole}{decimals:0<2}").parse().map_err(|_| wrong())?;
        if (MIN..=10_000).contains(&hundredths) {
            Ok(Self(plan::Share::from_hundredths(hundredths)))
        } else {
            Err(Wrong::new("out of range"))
        }
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(no_sign().help(format!("write `{number}%`")))
    }

    fn from_float(_number: f64) -> Result<Self, Wrong> {
        // Whether this is a percentage or a fraction of one only its writer knows.
        Err(no_sign().help("one in a hundred is `1%`"))
    }
}

fn no_sign() -> Wrong {
    Wrong::new("a percentage needs its sign")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_to_the_hundredth() {
        let read = |text: &str| Percent::<1>::from_text(text).ok().map(|percent| percent.0.to_string());
        for good in ["10%", "0.5%", "100%", "0.01%", "12.34%"] {
            assert_eq!(read(good).as_deref(), Some(good));
        }
        for bad in ["", "%", "10", "0%", "100.01%", "0.001%", "-1%", "+1%", "1e1%", "10 %", ".5%", "5.%", "1000%"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(Percent::<0>::from_text("0%").is_ok_and(|percent| percent.0 == plan::Share::NONE));
    }
}
