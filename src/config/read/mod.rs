//! From the tree to typed values: small readers that note what is wrong and go on.
//!
//! A [`Read`] type knows both how it is read and how it is described in JSON Schema, so the two cannot drift apart.

mod keys;
mod suggest;

pub(super) use keys::{Keys, object, written};
pub(crate) use suggest::did_you_mean;

use std::collections::HashSet;
use std::ops::Deref;

use serde_json::{Value, json};

use super::node::{Key, Kind, Node, quote};
use super::problem::{Problems, Spot};
use super::values::Name;

/// Something that can be read from the tree.
pub(super) trait Read: Sized {
    /// Reads the value; `None` after noting why it cannot be one.
    fn read(at: &Cursor<'_>, problems: &mut Problems<'_>) -> Option<Self>;
    /// The same in JSON Schema.
    fn schema() -> Value;
}

/// A node with the path of keys that leads to it.
pub(super) struct Cursor<'a> {
    pub(super) node: &'a Node,
    pub(super) key: String,
}

/// A value and the place it was read from, for errors that show only when it is seen with others.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

/// A list of at least `MIN` and at most `MAX` items; items that could not be read are noted and left out.
#[derive(Debug)]
pub(super) struct List<T, const MIN: usize, const MAX: usize>(Vec<T>);

/// A mapping from names to at least `MIN` and at most `MAX` things, in the order of the file.
#[derive(Debug)]
pub(super) struct Named<T, const MIN: usize, const MAX: usize> {
    pub(super) spot: Spot,
    /// A thing that could not be read keeps its name, so that others may still refer to it.
    pub(super) entries: Vec<(At<Name>, Option<T>)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn root(node: &'a Node) -> Self {
        Self { node, key: String::new() }
    }

    pub(super) fn spot(&self) -> Spot {
        self.node.place.spot(self.key.clone())
    }

    pub(super) fn key_of(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    fn child(&self, name: &str, node: &'a Node) -> Self {
        Self { node, key: self.key_of(name) }
    }

    fn item(&self, index: usize, node: &'a Node) -> Self {
        Self { node, key: format!("{}[{index}]", self.key) }
    }

    /// Notes that something else than `expected` stands here.
    pub(super) fn mismatch(&self, expected: &str, problems: &mut Problems<'_>) {
        let problem = problems.error(&self.spot(), "wrong type").found(self.node.describe()).expected(expected);
        if matches!(self.node.kind, Kind::Null) {
            problem.help("give it a value or take the key out");
        }
    }

    /// The entries of a mapping, a repeated key noted and left out.
    fn entries(&self, expected: &str, problems: &mut Problems<'_>) -> Option<Vec<(&'a Key, &'a Node)>> {
        let Kind::Map(map) = &self.node.kind else {
            self.mismatch(expected, problems);
            return None;
        };
        let mut seen = HashSet::with_capacity(map.len());
        let mut entries = Vec::with_capacity(map.len());
        for (key, node) in map {
            if seen.insert(&*key.text) {
                entries.push((key, node));
            } else {
                problems
                    .error(
                        &key.place.spot(self.key_of(&key.text)),
                        format!("{} is here a second time", quote(&key.text)),
                    )
                    .expected("every key once");
            }
        }
        Some(entries)
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T, const MIN: usize, const MAX: usize> Deref for List<T, MIN, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Read, const MIN: usize, const MAX: usize> Read for List<T, MIN, MAX> {
    fn read(at: &Cursor<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        let Kind::List(items) = &at.node.kind else {
            at.mismatch("a list", problems);
            return None;
        };
        if items.len() < MIN || items.len() > MAX {
            problems
                .error(&at.spot(), if items.len() < MIN { "too few items" } else { "too many items" })
                .found(format!("{} items", items.len()))
                .expected(format!("{MIN} to {MAX}"));
            return None;
        }
        let items = items.iter().enumerate();
        Some(Self(items.filter_map(|(i, node)| T::read(&at.item(i, node), problems)).collect()))
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema(), "minItems": MIN, "maxItems": MAX })
    }
}

impl<T: Read, const MIN: usize, const MAX: usize> Read for Named<T, MIN, MAX> {
    fn read(at: &Cursor<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        let entries = at.entries("a mapping from names: `{ name: …, other: … }`", problems)?;
        if entries.len() < MIN || entries.len() > MAX {
            problems
                .error(&at.spot(), if entries.len() < MIN { "too few names" } else { "too many names" })
                .found(format!("{} names", entries.len()))
                .expected(format!("{MIN} to {MAX}"));
            return None;
        }
        let mut named = Self { spot: at.spot(), entries: Vec::with_capacity(entries.len()) };
        for (key, node) in entries {
            let child = at.child(&key.text, node);
            let spot = key.place.spot(child.key.clone());
            let name = Name::checked(&key.text, &spot, problems);
            let value = T::read(&child, problems);
            named.entries.extend(name.map(|name| (At { value: name, spot }, value)));
        }
        Some(named)
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": T::schema(),
            "propertyNames": Name::pattern(),
            "minProperties": MIN,
            "maxProperties": MAX,
        })
    }
}
