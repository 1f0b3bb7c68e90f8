//! The values rules work with, and how JavaScript turns one kind into another.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ptr;
use std::rc::Rc;

use serde_json::Value;

use super::number;
use crate::flags::context::Attribute;

/// A value. Texts, lists and objects of the rule and of the context are borrowed, so that only what an operator makes
/// is ever allocated. A number is never NaN.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Str(&'a str),
    /// A text that was made.
    Text(Rc<str>),
    /// A list or an object.
    Json(&'a Value),
    /// A list that was made.
    List(Rc<[Val<'a>]>),
    /// What a `reduce` shows its rule: `accumulator` and `current`.
    Pair(Rc<(Val<'a>, Val<'a>)>),
    /// The whole context.
    Context,
    /// `$flagd`: `flagKey` and `timestamp`.
    Flagd,
}

/// Deepest nesting that is followed to make a text of a list.
const DEEPEST: usize = 128;

impl<'a> Val<'a> {
    /// Whether a condition of this value is met. Other than in JavaScript, an empty list or object does not meet it.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Text(text) => !text.is_empty(),
            Self::Json(Value::Array(items)) => !items.is_empty(),
            Self::Json(Value::Object(fields)) => !fields.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Json(_) | Self::Pair(_) | Self::Context | Self::Flagd => true,
        }
    }

    /// Whether JavaScript itself takes it for false: unlike [`is_truthy`](Self::is_truthy), not an empty list.
    pub(super) fn is_falsy_in_js(&self) -> bool {
        matches!(self, Self::Null | Self::Bool(_) | Self::Number(_) | Self::Str(_) | Self::Text(_)) && !self.is_truthy()
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A list, an object, or what stands for one.
    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Json(_) | Self::List(_) | Self::Pair(_) | Self::Context | Self::Flagd)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub(super) fn items(&self) -> Option<Items<'_, 'a>> {
        match self {
            Self::Json(Value::Array(items)) => Some(Items::Json(items)),
            Self::List(items) => Some(Items::Made(items)),
            _ => None,
        }
    }

    /// As an operand of arithmetic. `None`: a list, an object or a text that is no number.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Null => Some(0.0),
            Self::Bool(value) => Some(f64::from(*value)),
            Self::Number(number) => Some(*number),
            Self::Str(_) | Self::Text(_) => Some(number::from_text(self.as_text()?)).filter(|number| !number.is_nan()),
            _ => None,
        }
    }

    /// As JavaScript's `String(value)`.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed("null"),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Number(number) => Cow::Owned(number::to_text(*number)),
            Self::Str(text) => Cow::Borrowed(text),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Json(_) | Self::List(_) => {
                let mut out = String::new();
                self.join(&mut out, DEEPEST);
                Cow::Owned(out)
            }
            Self::Pair(_) | Self::Context | Self::Flagd => Cow::Borrowed(OBJECT),
        }
    }

    /// Items are separated by commas; null is nothing.
    fn join(&self, out: &mut String, depth: usize) {
        match self.items() {
            None => out.push_str(if self.is_object() { OBJECT } else { return out.push_str(&self.text()) }),
            Some(_) if depth == 0 => {}
            Some(items) => {
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    if !item.is_null() {
                        item.join(out, depth - 1);
                    }
                }
            }
        }
    }

    /// How much work it is to look at all of it, at least 1; of a list, only how many items it has.
    pub(super) fn size(&self) -> u64 {
        const TEXT_PER_STEP: usize = 64;
        match self {
            Self::Str(text) => 1 + (text.len() / TEXT_PER_STEP) as u64,
            Self::Text(text) => 1 + (text.len() / TEXT_PER_STEP) as u64,
            _ => 1 + self.items().map_or(0, |items| items.len() as u64),
        }
    }

    /// JavaScript's `===`: lists and objects are equal only to themselves.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Context, Self::Context) | (Self::Flagd, Self::Flagd) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            #[expect(clippy::float_cmp, reason = "this is the comparison that was asked for")]
            (Self::Number(left), Self::Number(right)) => left == right,
            (Self::Json(left), Self::Json(right)) => ptr::eq(*left, *right),
            (Self::List(left), Self::List(right)) => Rc::ptr_eq(left, right),
            (Self::Pair(left), Self::Pair(right)) => Rc::ptr_eq(left, right),
            _ => self.as_text().is_some() && self.as_text() == other.as_text(),
        }
    }

    /// Whether lists or objects are within it.
    pub(super) fn is_nested(&self) -> bool {
        match self {
            Self::Json(Value::Object(fields)) => fields.values().any(|value| value.is_object() || value.is_array()),
            Self::Pair(pair) => pair.0.is_object() || pair.1.is_object(),
            Self::Context => true,
            _ => self.items().is_some_and(|items| items.iter().any(|item| item.is_object())),
        }
    }
}

const OBJECT: &str = "[object Object]";

/// The order of texts in JavaScript: by UTF-16 units.
pub(super) fn compare_texts(left: &str, right: &str) -> Ordering {
    let different = left.bytes().zip(right.bytes()).position(|(left, right)| left != right);
    // Below the surrogates, the order of bytes is the same.
    if different.is_none_or(|at| left.as_bytes()[at] < 0xee && right.as_bytes()[at] < 0xee) {
        return left.cmp(right);
    }
    left.encode_utf16().cmp(right.encode_utf16())
}

/// The items of a list.
#[derive(Clone, Copy)]
pub(super) enum Items<'v, 'a> {
    Json(&'a [Value]),
    Made(&'v [Val<'a>]),
}

impl<'v, 'a> Items<'v, 'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn get(self, index: usize) -> Option<Val<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Val::from),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(self) -> impl ExactSizeIterator<Item = Val<'a>> + use<'v, 'a> {
        // An index below the length always has an item.
        (0..self.len()).map(move |index| self.get(index).unwrap_or(Val::Null))
    }
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(0.0)),
            Value::String(text) => Self::Str(text),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }
}

impl<'a> From<Attribute<'a>> for Val<'a> {
    fn from(attribute: Attribute<'a>) -> Self {
        match attribute {
            Attribute::Null => Self::Null,
            Attribute::Bool(value) => Self::Bool(value),
            // A context may make numbers as it likes; JSON has no NaN.
            Attribute::Number(number) if number.is_nan() => Self::Null,
            Attribute::Number(number) => Self::Number(number),
            Attribute::Text(Cow::Borrowed(text)) => Self::Str(text),
            Attribute::Text(Cow::Owned(text)) => Self::Text(text.into()),
            Attribute::Json(value) => Self::from(value),
        }
    }
}
