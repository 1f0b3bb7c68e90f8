//! From the tree with places to JSON values.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::trail::Trail;
use crate::config::node::{Kind, Node, quote};
use crate::config::problem::Problems;

/// The value at `node`, numbers in the form in which they were written. `None` after noting what cannot be a value.
pub(super) fn value(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<Value> {
    Some(match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Text(text) => Value::String(text.clone()),
        Kind::Integer(_) | Kind::Float(_) => Value::Number(number(node, trail, problems)?),
        Kind::List(items) => {
            let item = |(index, item)| value(item, &trail.index(index), problems);
            // An item that is none is noted, and the others are still looked at.
            let items: Vec<Option<Value>> = items.iter().enumerate().map(item).collect();
            Value::Array(items.into_iter().collect::<Option<_>>()?)
        }
        Kind::Map(_) => Value::Object(object(node, trail, problems)?),
    })
}

/// The mapping at `node` as an object. It must be one.
pub(super) fn object(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<Map<String, Value>> {
    let Kind::Map(entries) = &node.kind else { return None };
    once(node, trail, problems);
    let mut whole = true;
    let mut object = Map::new();
    for (key, node) in entries {
        match value(node, &trail.key(&key.text), problems) {
            Some(value) => _ = object.insert(key.text.clone(), value),
            None => whole = false,
        }
    }
    whole.then_some(object)
}

/// Notes every key of a mapping that is there a second time.
pub(super) fn once(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    let Kind::Map(entries) = &node.kind else { return };
    let few = entries.len() <= 8;
    let mut seen = HashSet::new();
    for (i, (key, _)) in entries.iter().enumerate() {
        let before =
            if few { entries[..i].iter().any(|(other, _)| other.text == key.text) } else { !seen.insert(&*key.text) };
        if before {
            problems
                .error(&trail.at_key(key), format!("{} is here a second time", quote(&key.text)))
                .expected("every key once");
        }
    }
}

fn number(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<Number> {
    let number = match node.kind {
        Kind::Integer(integer) => {
            let exact = u64::try_from(integer).map(Number::from).or_else(|_| i64::try_from(integer).map(Number::from));
            exact.ok().or_else(|| Number::from_f64(integer as f64))
        }
        Kind::Float(float) => Number::from_f64(float),
        _ => None,
    };
    if number.is_none() {
        problems.error(&trail.at(node), "not a number of JSON").found(node.describe()).expected("a finite number");
    }
    number
}
