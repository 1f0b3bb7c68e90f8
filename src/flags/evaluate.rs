//! A flag, a context and a time to a value.

use std::fmt;

use serde_json::Value;

use super::context::Context;
use super::rule::{Outcome, RuleError, Scope};
use super::set::{Flag, FlagId, FlagSet};

/// What a flag is for a context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation<'a> {
    /// The index of the variant among [`Flag::variants`]; `None` together with `variant` and `value`.
    pub index: Option<usize>,
    /// The name of the variant.
    pub variant: Option<&'a str>,
    /// The value of the variant. `None`: the caller's own default holds.
    pub value: Option<&'a Value>,
    /// Why.
    pub reason: Reason,
}

/// Why a flag has the value it has, in `OpenFeature`'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The flag has no rule: its default variant.
    Static,
    /// The rule named the variant.
    TargetingMatch,
    /// The rule named none: the default variant; or there is no default.
    Default,
    /// The flag is disabled.
    Disabled,
}

/// Why a flag could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {details}")]
pub struct EvaluationError {
    /// What kind of error.
    pub code: ErrorCode,
    /// What is wrong, for people.
    pub details: String,
}

/// Kinds of errors, in `OpenFeature`'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The flag's rule is none: an operator that is not known, a `$ref` to nothing.
    ParseError,
    /// The rule named a variant that the flag does not have, or asked for more work than a rule may.
    General,
}

/// Evaluates the flag `id` of `set` at `now`, in seconds of Unix time.
///
/// # Errors
/// Only what is wrong with the flag itself: bad attributes of a context make operators give null, never an error.
pub fn evaluate<'a>(
    set: &'a FlagSet,
    id: FlagId,
    context: &dyn Context,
    now: u64,
) -> Result<Evaluation<'a>, EvaluationError> {
    let flag = set.flag(id);
    if let Some(constant) = flag.constant() {
        return constant;
    }
    // A flag that is not constant has a rule.
    let Some(rule) = flag.rule() else { return Ok(flag.default_as(Reason::Static)) };
    rule.run(&Scope { flag: flag.key(), context, now }, |outcome| conclude(flag, outcome))
}

/// What the rule of a flag came to, as the value of the flag.
pub(super) fn conclude<'a>(flag: &'a Flag, outcome: &Outcome<'_>) -> Result<Evaluation<'a>, EvaluationError> {
    let unknown = |name: &str| EvaluationError {
        code: ErrorCode::General,
        details: format!("the rule of flag `{}` gives `{}`, which is none of its variants", flag.key(), cut(name)),
    };
    let named = |name: &str| {
        let index = flag.variant_index(name).ok_or_else(|| unknown(name))?;
        Ok(flag.variant_as(index, Reason::TargetingMatch))
    };
    match outcome {
        Outcome::Nothing => Ok(flag.default_as(Reason::Default)),
        Outcome::Name(name) => named(name),
        Outcome::TooMuch => Err(EvaluationError {
            code: ErrorCode::General,
            details: format!("the rule of flag `{}` asks for too much work with this context", flag.key()),
        }),
    }
}

/// As much of a text as fits a message.
fn cut(text: &str) -> String {
    const SHOWN: usize = 60;
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("{}{more}", text.chars().take(SHOWN).collect::<String>())
}

impl Evaluation<'_> {
    pub(super) fn without_value(reason: Reason) -> Self {
        Self { index: None, variant: None, value: None, reason }
    }
}

impl EvaluationError {
    pub(super) fn parse(key: &str, error: &RuleError) -> Self {
        Self { code: ErrorCode::ParseError, details: format!("the rule of flag `{key}` cannot be used: {error}") }
    }
}

impl Reason {
    /// As OFREP writes it, such as `TARGETING_MATCH`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Default => "DEFAULT",
            Self::Disabled => "DISABLED",
        }
    }
}

impl ErrorCode {
    /// As OFREP writes it, such as `PARSE_ERROR`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ParseError => "PARSE_ERROR",
            Self::General => "GENERAL",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
