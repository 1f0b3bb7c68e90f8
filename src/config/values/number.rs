//! Counts, sizes and weights.

use serde_json::{Value, json};

use crate::plan::{Weight, WeightError};

use super::{Scalar, Wrong};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Count<const MIN: u32, const MAX: u32>(pub(in crate::config) u32);

/// A number of bytes from `MIN` to `MAX`: a whole number, or one with KiB, MiB or GiB.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Size<const MIN: u64, const MAX: u64>(pub(in crate::config) u64);

/// A multiple of something, from 0.1 to 100.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Factor(pub(in crate::config) f64);

/// The weight of a version.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Share(pub(in crate::config) Weight);

impl<const MIN: u32, const MAX: u32> Scalar for Count<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        match u32::try_from(number) {
            Ok(count) if (MIN..=MAX).contains(&count) => Ok(Self(count)),
            _ => Err(Wrong::new("out of range")),
        }
    }

    fn from_float(_number: f64) -> Result<Self, Wrong> {
        Err(Wrong::new("not a whole number"))
    }
}

/// The units of a size and their bytes, the largest first.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    fn bounded(bytes: Option<u64>) -> Result<Self, Wrong> {
        match bytes {
            Some(bytes) if (MIN..=MAX).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(Wrong::new("out of range")),
        }
    }
}

impl<const MIN: u64, const MAX: u64> Scalar for Size<MIN, MAX> {
    fn expected() -> String {
        format!("a size such as `65536`, `64KiB`, `10MiB` or `1GiB`, from {} to {}", spoken(MIN), spoken(MAX))
    }

    fn schema() -> Value {
        json!({ "oneOf": [
            { "type": "integer", "minimum": MIN, "maximum": MAX },
            { "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)$" },
        ] })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let unit = UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, bytes)));
        match unit {
            Some((number, bytes)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                Self::bounded(number.parse::<u64>().ok().and_then(|n| n.checked_mul(*bytes)))
            }
            _ => Err(Wrong::new("not a size").help("units are KiB, MiB and GiB, without a space before them")),
        }
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Self::bounded(u64::try_from(number).ok())
    }
}

/// A size in the largest unit that divides it.
fn spoken(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// The least and the greatest factor.
const FACTORS: std::ops::RangeInclusive<f64> = 0.1..=100.0;

impl Scalar for Factor {
    fn expected() -> String {
        format!("a number from {} to {}", FACTORS.start(), FACTORS.end())
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": FACTORS.start(), "maximum": FACTORS.end() })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        // Whole numbers that a double cannot hold are far above the largest factor.
        Self::from_float(number as f64)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if FACTORS.contains(&number) { Ok(Self(number)) } else { Err(Wrong::new("out of range")) }
    }
}

impl Scalar for Share {
    fn expected() -> String {
        format!("a number from 0 to {} with at most 3 decimals", Weight::MAX)
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": Weight::MAX.as_f64() })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        // Whole numbers that a double cannot hold are far above the largest weight.
        Self::from_float(number as f64)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Weight::from_f64(number).map(Self).map_err(|error| match error {
            // A number of three hundred digits would bury what is wrong with it.
            WeightError::TooLarge(_) => Wrong::new("the weight is too large"),
            other => Wrong::new(other.to_string()),
        })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = Wrong::kind();
        if text.ends_with('%') {
            return Err(wrong.help("write the number alone: the share is the weight divided by the sum of weights"));
        }
        if text.replace('_', "").parse::<f64>().is_ok() {
            return Err(wrong.help("write the number without quotes, leading zeros or `_`"));
        }
        Err(wrong)
    }
}
