//! Mappings with known keys: what is unknown, missing or repeated is noted, all else is read.

use serde_json::{Map, Value, json};

use super::suggest::closest;
use super::{Cursor, Read};
use crate::config::node::{Key, Node};
use crate::config::problem::{Problems, UNKNOWN_KEY};

/// Declares mappings with known keys as structs and derives from the one declaration both how they are read and their
/// JSON Schema. Every field is an `Option`: a key that is wrong, missing or absent is `None`, and where that is an error
/// it is noted already, so that everything around it can still be checked.
macro_rules! written {
    ($(
        $(#[doc = $about:literal])+
        $name:ident {
            $( $(#[doc = $doc:literal])+ $need:ident $key:literal $field:ident: $type:ty, )+
        } $(also $extra:tt)?
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Debug)]
        pub(in crate::config) struct $name {
            /// Where the mapping begins.
            #[allow(dead_code, reason = "not every mapping is pointed at as a whole")]
            pub(in crate::config) spot: $crate::config::problem::Spot,
            $( $(#[doc = $doc])+ pub(in crate::config) $field: Option<$type>, )+
        }

        impl $crate::config::read::Read for $name {
            fn read(
                at: &$crate::config::read::Cursor<'_>,
                problems: &mut $crate::config::problem::Problems<'_>,
            ) -> Option<Self> {
                let mut keys = $crate::config::read::Keys::of(at, &[$($key),+], problems)?;
                Some(Self { spot: at.spot(), $( $field: keys.$need($key, problems), )+ })
            }

            fn schema() -> serde_json::Value {
                let properties = vec![$( (
                    $key,
                    stringify!($need) == "required",
                    concat!($($doc),+),
                    <$type as $crate::config::read::Read>::schema(),
                ), )+];
                #[allow(unused_mut, unused_assignments, reason = "most mappings have nothing to add")]
                let mut extra = serde_json::json!({});
                $( extra = serde_json::json!($extra); )?
                $crate::config::read::object(concat!($($about),+), properties, extra)
            }
        }
    )+};
}
pub(in crate::config) use written;

/// The entries of a mapping while its known keys are taken out.
pub(in crate::config) struct Keys<'a, 'c> {
    at: &'c Cursor<'a>,
    entries: Vec<(&'a Key, &'a Node)>,
    /// Known keys that a misspelt one was probably meant to be; they are not missing.
    meant: Vec<String>,
}

impl<'a, 'c> Keys<'a, 'c> {
    /// The entries under `known` keys; all others are noted. `None` if this is no mapping.
    pub(in crate::config) fn of(at: &'c Cursor<'a>, known: &[&str], problems: &mut Problems<'_>) -> Option<Self> {
        let expected = format!("a mapping with keys of: {}", known.join(", "));
        let (mut entries, mut meant) = (at.entries(&expected, problems)?, Vec::new());
        entries.retain(|(key, _)| {
            let is_known = known.contains(&&*key.text);
            if !is_known {
                problems
                    .error(&key.place.spot(at.key_of(&key.text)), UNKNOWN_KEY)
                    .expected(format!("one of: {}", known.join(", ")))
                    .suggest(&key.text, known.iter().copied());
                meant.extend(closest(&key.text, known.iter().copied()).map(str::to_owned));
            }
            is_known
        });
        Some(Self { at, entries, meant })
    }

    pub(in crate::config) fn optional<T: Read>(&mut self, name: &str, problems: &mut Problems<'_>) -> Option<T> {
        let (_, node) = self.entries.iter().find(|(key, _)| key.text == name)?;
        T::read(&self.at.child(name, node), problems)
    }

    pub(in crate::config) fn required<T: Read>(&mut self, name: &str, problems: &mut Problems<'_>) -> Option<T> {
        let is_meant = self.meant.iter().any(|key| key == name);
        if !is_meant && !self.entries.iter().any(|(key, _)| key.text == name) {
            let mut spot = self.at.spot();
            spot.key = self.at.key_of(name);
            problems.error(&spot, format!("the key `{name}` is missing here"));
        }
        self.optional(name, problems)
    }
}

/// JSON Schema of a mapping with known keys: `(key, required, description, schema)` each.
pub(in crate::config) fn object(about: &str, keys: Vec<(&str, bool, &str, Value)>, extra: Value) -> Value {
    let required: Vec<&str> = keys.iter().filter(|key| key.1).map(|key| key.0).collect();
    let mut properties = Map::new();
    for (key, _, doc, mut schema) in keys {
        // The field's own words are closer to the reader than those of its type.
        schema["description"] = json!(doc.trim());
        properties.insert(key.to_owned(), schema);
    }
    let mut object = json!({
        "type": "object",
        "description": about.trim(),
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if let (Value::Object(object), Value::Object(extra)) = (&mut object, extra) {
        object.extend(extra);
    }
    object
}
