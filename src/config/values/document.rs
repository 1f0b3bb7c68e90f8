//! Paths into JSON documents, and how far numbers may be apart.

use serde_json::{Value, json};

use super::{Scalar, Wrong};
use crate::diff::Patterns;

/// A path into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct DocumentPath(pub(in crate::config) String);

/// How far numbers may be apart and still be the same, in proportion.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Spread(pub(in crate::config) f64);

const MAX_PATH: usize = 1024;
const LARGEST: f64 = 1.0;

impl Scalar for DocumentPath {
    fn expected() -> String {
        "a path such as `$.requestId`, `$.items[*].updatedAt`, `$['a b']` or `$..etag`".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^\$.", "maxLength": MAX_PATH })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match Patterns::default().add(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(error) => Err(Wrong::new("not a path into a document").help(error.to_string())),
        }
    }
}

impl Scalar for Spread {
    fn expected() -> String {
        format!("a number from 0 to {LARGEST}, such as 1e-9")
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": LARGEST })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Self::from_float(number as f64)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if (0.0..=LARGEST).contains(&number) { Ok(Self(number)) } else { Err(Wrong::new("out of range")) }
    }
}
