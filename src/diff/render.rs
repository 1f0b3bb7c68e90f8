//! Values as samples show them: redacted, and cut.

use serde_json::{Map, Value};

use super::Patterns;
use super::pattern::{Child, Places};

/// Values as samples show them.
pub(super) struct Render;

/// Most bytes of what is shown.
const MAX_SHOWN: usize = 200;

impl Render {
    /// In the place of what nobody is to see.
    pub(super) const REDACTED: &'static str = "(redacted)";

    /// A text, cut.
    pub(super) fn cut(text: &str) -> String {
        if text.len() <= MAX_SHOWN {
            return text.to_owned();
        }
        format!("{}… ({} bytes)", &text[..text.floor_char_boundary(MAX_SHOWN)], text.len())
    }

    /// A JSON value that stands at `places` of the paths to `redact`.
    pub(super) fn json(value: &Value, redact: &Patterns, places: &Places) -> String {
        Self::cut(&redacted(value, redact, places).to_string())
    }
}

fn redacted(value: &Value, redact: &Patterns, places: &Places) -> Value {
    if redact.end_at(places) {
        return Value::from(Render::REDACTED);
    }
    match value {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                (key.clone(), redacted(value, redact, &redact.child_or_below(places, Child::Key(key))))
            };
            Value::Object(members.iter().map(member).collect::<Map<_, _>>())
        }
        Value::Array(elements) => {
            let element = |(index, value): (usize, &Value)| {
                redacted(value, redact, &redact.child_or_below(places, Child::Index(index)))
            };
            Value::Array(elements.iter().enumerate().map(element).collect())
        }
        plain => plain.clone(),
    }
}
