//! Keys of flags, and names of what their rules ask for.

use serde_json::{Value, json};

use super::{Scalar, Wrong};

/// The key of a flag in the flag file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct FlagKey(pub(in crate::config) String);

/// The name of one of a flag's variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct VariantName(pub(in crate::config) String);

/// The name of an attribute, as rules ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AttributeName(pub(in crate::config) String);

const MAX_KEY: usize = 256;
const MAX_NAME: usize = 128;

impl Scalar for FlagKey {
    fn expected() -> String {
        format!("the key of a flag, at most {MAX_KEY} bytes")
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() || text.len() > MAX_KEY {
            return Err(Wrong::new("not the key of a flag"));
        }
        Ok(Self(text.to_owned()))
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("put it in quotes: \"{number}\"")))
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("put it in quotes: \"{value}\"")))
    }
}

impl Scalar for VariantName {
    fn expected() -> String {
        format!("the name of a flag's variant, at most {MAX_KEY} bytes")
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() || text.len() > MAX_KEY {
            return Err(Wrong::new("not the name of a variant"));
        }
        Ok(Self(text.to_owned()))
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("put it in quotes: \"{number}\"")))
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("put it in quotes: \"{value}\"")))
    }
}

impl Scalar for AttributeName {
    fn expected() -> String {
        format!("a name without dots, which lead into what it names, at most {MAX_NAME} bytes")
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[^.$][^.]*$", "maxLength": MAX_NAME })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() || text.len() > MAX_NAME || text.contains('.') || text.starts_with('$') {
            return Err(Wrong::new("not the name of an attribute"));
        }
        Ok(Self(text.to_owned()))
    }
}
