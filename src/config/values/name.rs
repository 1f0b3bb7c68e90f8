//! Names, plain text and paths of files.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Scalar, Wrong};
use crate::config::node::quote;
use crate::config::problem::{Problems, Spot};

/// A name of a service, version, listener or route: it appears in headers, metrics, addresses of the admin API and
/// ledgers, so it is held to what is plain in all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct Name(pub(in crate::config) Arc<str>);

/// Any text of at most 4096 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Text(pub(in crate::config) String);

/// The path of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct FilePath(pub(in crate::config) PathBuf);

/// `true`, the only value of a key that is there or not.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Yes;

const MAX_NAME: usize = 63;
const MAX_TEXT: usize = 4096;

impl Name {
    /// The key of a mapping as a name; what is wrong with it is noted.
    pub(in crate::config) fn checked(text: &str, spot: &Spot, problems: &mut Problems<'_>) -> Option<Self> {
        let name = Self::from_text(text);
        if name.is_err() {
            problems.error(spot, "not a name").found(quote(text)).expected(Self::expected());
        }
        name.ok()
    }

    /// JSON Schema of a mapping's key.
    pub(in crate::config) fn pattern() -> Value {
        json!({ "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" })
    }
}

impl Scalar for Name {
    fn expected() -> String {
        format!("a name of letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most {MAX_NAME}")
    }

    fn schema() -> Value {
        let mut schema = Self::pattern();
        schema["type"] = json!("string");
        schema
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        match text.as_bytes() {
            [first, ..] if first.is_ascii_alphanumeric() && text.len() <= MAX_NAME && text.bytes().all(plain) => {
                Ok(Self(text.into()))
            }
            _ => Err(Wrong::new("not a name")),
        }
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(needs_quotes(number))
    }
}

impl Scalar for Text {
    fn expected() -> String {
        "text".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": MAX_TEXT })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.len() > MAX_TEXT {
            return Err(Wrong::new(format!("longer than {MAX_TEXT} bytes")));
        }
        Ok(Self(text.to_owned()))
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(needs_quotes(number))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(needs_quotes(number))
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Err(needs_quotes(value))
    }
}

fn needs_quotes(value: impl std::fmt::Display) -> Wrong {
    Wrong::kind().help(format!("put it in quotes: \"{value}\""))
}

impl Scalar for FilePath {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": MAX_TEXT })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() || text.len() > MAX_TEXT || text.contains('\0') {
            return Err(Wrong::new("not a path"));
        }
        Ok(Self(text.into()))
    }
}

impl Scalar for Yes {
    fn expected() -> String {
        "`true`".to_owned()
    }

    fn schema() -> Value {
        json!({ "const": true })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let yes = ["yes", "on", "true"].contains(&text.to_lowercase().as_str());
        Err(if yes { Wrong::kind().help("write `true`, without quotes") } else { Wrong::kind() })
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        if value { Ok(Self) } else { Err(Wrong::new("must be true").help("take the key out instead")) }
    }
}
