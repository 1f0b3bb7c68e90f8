//! Why something is no rule, and where in it.

use std::fmt;

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// Where in the rule: from the place of the fault to the root.
    pub(super) path: Vec<Step>,
    /// What is wrong, in one line.
    pub message: String,
    /// The operator that is none, if that is what is wrong.
    pub unknown: Option<String>,
}

/// A step from a value to one within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To a field of an object.
    Key(String),
    /// To an item of a list, from 0.
    Index(usize),
}

impl RuleError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into(), unknown: None }
    }

    pub(super) fn unknown(operator: &str) -> Self {
        Self { unknown: Some(operator.to_owned()), ..Self::new(format!("unknown operator `{operator}`")) }
    }

    /// The way from the root of the rule to the fault.
    #[must_use]
    pub fn path(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.path.iter().rev()
    }

    /// The same error, seen from one level up.
    pub(super) fn within(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (i, step) in self.path().enumerate() {
            f.write_str(if i == 0 { ", at `" } else { "" })?;
            match step {
                Step::Key(key) => write!(f, "{}{key}", if i == 0 { "" } else { "." })?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        f.write_str(if self.path.is_empty() { "" } else { "`" })
    }
}

impl std::error::Error for RuleError {}
