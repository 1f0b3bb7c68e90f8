//! Numbers of rollout plans.

use serde_json::{Value, json};

use super::{Scalar, Wrong};
use crate::plan::Weight;

/// A share in percent, written without the sign, with at most three decimals.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct StepWeight(pub(in crate::config) Weight);

/// The share of a control arm in percent, written without the sign, with at most three decimals.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct ArmWeight(pub(in crate::config) Weight);

/// The order of a quantile.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Order(pub(in crate::config) f64);

/// The probability of a false alarm.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Alpha(pub(in crate::config) f64);

const LARGEST_STEP: f64 = 100.0;
const ARMS: std::ops::RangeInclusive<f64> = 0.001..=99.999;
const ORDERS: std::ops::RangeInclusive<f64> = 0.01..=0.999;
const ALPHAS: std::ops::RangeInclusive<f64> = 0.0001..=0.5;

impl Scalar for StepWeight {
    fn expected() -> String {
        format!("a share in percent, a number from 0 to {LARGEST_STEP} with at most 3 decimals")
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": LARGEST_STEP })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        // Whole numbers that a double cannot hold are far above the largest share.
        Self::from_float(number as f64)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if !(0.0..=LARGEST_STEP).contains(&number) {
            return Err(Wrong::new("out of range"));
        }
        Weight::from_f64(number).map(Self).map_err(|error| Wrong::new(error.to_string()))
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let number = text.strip_suffix('%').filter(|number| number.parse::<f64>().is_ok());
        Err(match number {
            Some(number) => Wrong::kind().help(format!("write `{number}`: it is a percentage already")),
            None => Wrong::kind(),
        })
    }
}

impl Scalar for ArmWeight {
    fn expected() -> String {
        format!("a share in percent, a number from {} to {} with at most 3 decimals", ARMS.start(), ARMS.end())
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": ARMS.start(), "maximum": ARMS.end() })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        // Whole numbers that a double cannot hold are far above the largest share.
        Self::from_float(number as f64)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if !ARMS.contains(&number) {
            return Err(Wrong::new("out of range"));
        }
        Weight::from_f64(number).map(Self).map_err(|error| Wrong::new(error.to_string()))
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        StepWeight::from_text(text).map(|StepWeight(weight)| Self(weight))
    }
}

impl Scalar for Order {
    fn expected() -> String {
        format!("the order of a quantile, a number from {} to {}", ORDERS.start(), ORDERS.end())
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": ORDERS.start(), "maximum": ORDERS.end() })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        let wrong = Wrong::new("out of range");
        Err(if (1..100).contains(&number) { wrong.help(format!("p{number} is `0.{number:02}`")) } else { wrong })
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if ORDERS.contains(&number) { Ok(Self(number)) } else { Err(Wrong::new("out of range")) }
    }
}

impl Scalar for Alpha {
    fn expected() -> String {
        format!("a probability from {} to {}", ALPHAS.start(), ALPHAS.end())
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": ALPHAS.start(), "maximum": ALPHAS.end() })
    }

    fn from_integer(_number: i128) -> Result<Self, Wrong> {
        Err(Wrong::new("out of range"))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if ALPHAS.contains(&number) { Ok(Self(number)) } else { Err(Wrong::new("out of range")) }
    }
}
