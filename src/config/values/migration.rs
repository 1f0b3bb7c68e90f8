//! Words of migrations.

use serde_json::{Value, json};

use super::choice::{one_of, unknown};
use super::{Scalar, Wrong};
use crate::plan::Stage;

/// A stage of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct StageName(pub(in crate::config) Stage);

impl Scalar for StageName {
    fn expected() -> String {
        one_of(&Stage::WORDS)
    }

    fn schema() -> Value {
        json!({ "enum": Stage::WORDS })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Stage::named(text).map(Self).ok_or_else(|| unknown(text, &Stage::WORDS))
    }
}
