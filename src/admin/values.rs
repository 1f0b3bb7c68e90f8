//! What requests to the API carry, each as a type that both reads it and says in the `OpenAPI` document what it reads: one
//! declaration, so that the two cannot differ.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::StatusCode;
use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::problem::Problem;
use crate::access::RESERVED;
use crate::ledger::{Dependency, MAX_DEPENDENCIES, clip};
use crate::plan::Weight;

/// Greatest number that every reader of JSON takes for what it is: 2^53 − 1 (RFC 8259, section 6).
pub(super) const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Longest name of who gives an order, in characters.
pub(super) const MAX_ACTOR: usize = 100;
/// Most characters of what was found that are shown.
const SHOWN: usize = 100;

/// Text of one form.
pub(super) trait Form {
    /// All of the text, as a regular expression that means the same to every engine.
    const PATTERN: &str;
    /// What is expected, in words.
    const EXPECTED: &str;
}

/// Whether a text has a form; else what to write in its place.
pub(super) fn check<F: Form>(key: &str, text: &str) -> Result<(), Problem> {
    if has_form(F::PATTERN, text) {
        return Ok(());
    }
    let detail = format!("`{key}` is `{}`; expected {}.", clip(text, SHOWN), F::EXPECTED);
    Err(Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// The patterns are those of this file, and each is compiled by its tests.
fn has_form(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|form| form.is_match(text))
}

fn text_of(pattern: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern })
}

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident: $pattern:literal, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) enum $name {}

        impl Form for $name {
            const PATTERN: &str = $pattern;
            const EXPECTED: &str = $expected;
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text_of(Self::PATTERN)
            }
        }
    )*};
}

forms! {
    /// A share of something.
    ShareText: r"^(100(\.0{1,2})?|[1-9][0-9]?(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?))%$",
        "a percentage from 0.01% to 100%, such as `10%`";
    /// How soon something has to happen.
    WithinText: r"^(([1-9][0-9]?|[12][0-9]{2})s([0-9]{1,3}ms)?|300s(0{1,3}ms)?|[1-9][0-9]{3,4}ms|[1-4]m([1-5]?[0-9]s([0-9]{1,3}ms)?)?|5m(0s)?)$",
        "1s to 5m, such as `30s`, `1500ms` or `1m30s`";
    /// So many a second, or a minute.
    RateText: r"^(([1-9][0-9]{0,3}(\.[0-9]{1,3})?|10000|0\.([1-9][0-9]{0,2}|0[1-9][0-9]?|00[1-9]))/s|([1-9][0-9]{0,4}(\.[0-9]{1,3})?|[1-5][0-9]{5}|600000|0\.([1-9][0-9]{0,2}|0[1-9][0-9]?|00[1-9]))/m)$",
        "a rate such as `50/s` or `30/m`, above 0/s and at most 10000/s";
    /// The hash of a plan.
    HashText: "^[0-9a-f]{1,64}$", "hexadecimal digits as `planHash` has them";
    /// The place of an event.
    EventText: r"^[0-9]{1,19}(\.[0-9]{1,19})?$", "the id of an event, such as `42` or `42.3`";
}

/// The name of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

impl Name {
    pub(super) const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if has_form(Self::PATTERN, &text) {
            return Ok(Self(text));
        }
        let found = clip(&text, SHOWN);
        Err(de::Error::custom(format!("`{found}` is not a name: expected 1 to 63 letters, digits, `-`, `_` and `.`")))
    }
}

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_of(Self::PATTERN)
    }
}

/// A whole number from `LEAST` to [`MAX_NUMBER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<const LEAST: u64>(pub(super) u64);

impl<'de, const LEAST: u64> Deserialize<'de> for Number<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number of at most {MAX_NUMBER}")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
                Ok(number)
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<u64, E> {
                whole(number).ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
            }
        }

        let number = deserializer.deserialize_u64(Whole)?;
        if (LEAST..=MAX_NUMBER).contains(&number) {
            return Ok(Self(number));
        }
        Err(de::Error::custom(format!("{number} is out of range: expected a number from {LEAST} to {MAX_NUMBER}")))
    }
}

/// A number that is whole, however it is written: `1.0` is 1 to a schema of JSON.
fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && (0.0..=MAX_NUMBER as f64).contains(&number);
    is_whole.then_some(number as u64)
}

impl<const LEAST: u64> JsonSchema for Number<LEAST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("NumberFrom{LEAST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MAX_NUMBER })
    }
}

/// Weights by version, each version once. Whether they are any is for the split to say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights(pub(super) BTreeMap<String, f64>);

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Weights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("weights by version, such as {\"old\":90,\"new\":10}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Weights, A::Error> {
                let mut weights = BTreeMap::new();
                while let Some((version, weight)) = entries.next_entry::<String, f64>()? {
                    if weights.contains_key(&version) {
                        let detail = format!("the version `{}` has two weights: expected one", clip(&version, SHOWN));
                        return Err(de::Error::custom(detail));
                    }
                    let _ = weights.insert(version, weight);
                }
                Ok(Weights(weights))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl JsonSchema for Weights {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Weights".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": Name::PATTERN },
            "additionalProperties":
                { "type": "number", "minimum": 0, "maximum": Weight::MAX.as_f64(), "multipleOf": 0.001 },
            // Not all of them nothing, nor none of them there.
            "not": { "additionalProperties": { "const": 0 } },
        })
    }
}

/// Entries of the ledger that a change builds on.
#[derive(Debug, Clone, Default)]
pub(super) struct Dependencies(pub(super) Vec<Dependency>);

impl<'de> Deserialize<'de> for Dependencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Vec::<Value>::deserialize(deserializer)?;
        let form = Regex::new(Self::PATTERN).map_err(de::Error::custom)?;
        let read = |value: Value| {
            match &value {
                Value::Number(number) => {
                    let number = number.as_u64().or_else(|| number.as_f64().and_then(whole));
                    if let Some(number) = number.filter(|number| (1..=MAX_NUMBER).contains(number)) {
                        return Ok(Dependency::Entry(number));
                    }
                }
                Value::String(text) if form.is_match(text) => return text.parse().map_err(de::Error::custom),
                _ => {}
            }
            let found = clip(&value.to_string(), SHOWN);
            Err(de::Error::custom(format!(
                "{found} in `dependsOn`: expected the number of an entry, or \"SERVICE@NUMBER\""
            )))
        };
        values.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl Dependencies {
    const PATTERN: &str = "^([A-Za-z0-9._-]{1,63}@)?[1-9][0-9]{0,14}$";
}

impl JsonSchema for Dependencies {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dependencies".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let number = Number::<1>::json_schema(generator);
        json_schema!({
            "type": "array",
            "maxItems": MAX_DEPENDENCIES,
            "items": { "oneOf": [number, text_of(Self::PATTERN)] },
        })
    }
}

/// What somebody may call themselves: what is read by [`who`](super::rollout::who).
#[derive(Debug, Clone, Copy)]
pub(super) enum Actor {}

impl JsonSchema for Actor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Actor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Nobody's names are nobody's however they are written, and patterns cannot be told to have no case.
        let either_case = |word: &&str| {
            let letter = |letter: char| match letter {
                'a'..='z' => format!("[{letter}{}]", letter.to_ascii_uppercase()),
                other => other.to_string(),
            };
            word.chars().map(letter).collect::<String>()
        };
        let reserved: Vec<_> = RESERVED.iter().map(either_case).collect();
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": MAX_ACTOR,
            "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$",
            "not": { "pattern": format!(r"^({})$|\.[yY][aA]?[mM][lL]$", reserved.join("|")) },
        })
    }
}

/// A JSON text inside another text, such as a query, for the schema: it is to be `T`.
pub(super) fn as_json<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let inside = generator.subschema_for::<T>();
    json_schema!({ "type": "string", "contentMediaType": "application/json", "contentSchema": inside })
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
