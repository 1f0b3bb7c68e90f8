//! What the rules of flags may ask about whoever a flag is evaluated for.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Attributes by name, looked up only when a rule asks for one.
///
/// The key that buckets users is the attribute `targetingKey`. `$flagd` is never asked for: its `flagKey` and
/// `timestamp` are the evaluation's own, whatever the context says.
pub trait Context {
    /// The attribute of this name, the first part of a dotted path; `None` if there is none.
    fn attribute(&self, name: &str) -> Option<Attribute<'_>>;
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute<'a> {
    /// There, and null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, as JavaScript has them.
    Number(f64),
    /// A text; owned only where it had to be made for the question.
    Text(Cow<'a, str>),
    /// A list or an object, into which a dotted path may lead.
    Json(&'a Value),
}

/// A context without attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoContext;

impl Context for NoContext {
    fn attribute(&self, _: &str) -> Option<Attribute<'_>> {
        None
    }
}

/// The fields of an object.
impl Context for Map<String, Value> {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        self.get(name).map(Attribute::from)
    }
}

/// The fields of an object; anything else has no attributes.
impl Context for Value {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        self.get(name).map(Attribute::from)
    }
}

impl<'a> From<&'a Value> for Attribute<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            // Every number of serde_json has an f64 that is nearest to it.
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(0.0)),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }
}

impl<'a> From<&'a str> for Attribute<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}
