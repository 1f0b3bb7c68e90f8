//! Who may do what: roles, hashes, and what is open.

use serde_json::{Value, json};

use super::choice::{one_of, unknown};
use super::{Scalar, Wrong};
use crate::access::{Role, TokenHash};

/// A role.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RoleName(pub(in crate::config) Role);

/// The SHA-256 of a token.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Sha256Hex(pub(in crate::config) TokenHash);

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Switch(pub(in crate::config) bool);

const ROLES: [&str; 4] = [Role::ALL[0].word(), Role::ALL[1].word(), Role::ALL[2].word(), Role::ALL[3].word()];

impl Scalar for RoleName {
    fn expected() -> String {
        one_of(&ROLES)
    }

    fn schema() -> Value {
        json!({ "enum": ROLES })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let role = Role::ALL.into_iter().find(|role| role.word() == text);
        role.map(Self).ok_or_else(|| unknown(text, &ROLES))
    }
}

impl Scalar for Sha256Hex {
    fn expected() -> String {
        "64 hexadecimal digits, as `serin token new` prints them".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = Wrong::new("not a SHA-256");
        TokenHash::from_hex(text).map(Self).ok_or(if text.starts_with("serin_") {
            wrong.help("this is a token itself, which belongs in no configuration: take a new one")
        } else {
            wrong
        })
    }

    fn from_integer(_number: i128) -> Result<Self, Wrong> {
        Err(Wrong::kind().help("put it in quotes"))
    }

    fn from_float(_number: f64) -> Result<Self, Wrong> {
        Err(Wrong::kind().help("put it in quotes"))
    }
}

impl Scalar for Switch {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Ok(Self(value))
    }
}
