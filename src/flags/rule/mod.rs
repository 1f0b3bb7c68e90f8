//! The rules of flags: JSONLogic with flagd's operators, compiled to a tree.

mod error;

pub use error::{RuleError, Step};

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::context::Context;

/// Rules by name, to be used in those of flags by `{ "$ref": "name" }`.
#[derive(Debug, Default)]
pub struct Evaluators {
    by_name: HashMap<String, Value>,
}

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {}

/// What a rule is asked about.
pub(super) struct Scope<'c> {
    pub(super) flag: &'c str,
    pub(super) context: &'c dyn Context,
    /// Seconds of Unix time.
    pub(super) now: u64,
}

/// What a rule came to.
#[derive(Debug)]
pub(super) enum Outcome<'r> {
    /// Null: the default variant.
    Nothing,
    /// The name of a variant, if the flag has one of that name.
    Name(Cow<'r, str>),
    /// It was stopped.
    TooMuch,
}

impl Evaluators {
    /// Names are unique.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { by_name: rules.into_iter().collect() }
    }
}

impl Rule {
    pub(super) fn compile(_: &Value, _: &Evaluators) -> Result<Self, RuleError> {
        Ok(Self {})
    }

    pub(super) fn run<'r>(&'r self, _: &Scope<'r>) -> Outcome<'r> {
        Outcome::Nothing
    }
}
