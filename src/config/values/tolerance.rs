//! How much longer than usual is not yet too long.

use serde_json::{Value, json};

use super::{Scalar, Wrong};

/// A factor from 1 to [`MAX`].
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Tolerance(pub(in crate::config) f64);

const MAX: f64 = 10.0;

impl Scalar for Tolerance {
    fn expected() -> String {
        format!("a number from 1 to {MAX}")
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 1, "maximum": MAX })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Self::from_float(number as f64)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if (1.0..=MAX).contains(&number) { Ok(Self(number)) } else { Err(Wrong::new("out of range")) }
    }
}
