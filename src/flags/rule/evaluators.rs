//! Rules by name, which other rules use by `{ "$ref": "name" }`.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use super::compile::{Compiler, reference};
use super::error::RuleError;
use super::expr::Expr;

/// The evaluators of a flag file. Each is compiled once and shared by all that name it, so that no `$ref` makes a rule
/// grow.
#[derive(Debug, Default)]
pub struct Evaluators {
    by_name: HashMap<String, Evaluator>,
}

/// Evaluators that name each other in a circle: each the next, and the last the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these evaluators name each other in a circle: {}", .names.join(" → "))]
pub struct RefCycle {
    /// Their names; one, if it names itself.
    pub names: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Evaluator {
    written: Value,
    compiled: Result<(Arc<Expr>, usize), RuleError>,
    fingerprint: u64,
}

impl Evaluators {
    /// Compiles rules whose names are unique.
    ///
    /// # Errors
    /// A circle of names, if there is one.
    pub fn new(rules: impl IntoIterator<Item = (String, Value)>) -> Result<Self, RefCycle> {
        let mut waiting: HashMap<String, Value> = rules.into_iter().collect();
        let mut evaluators = Self { by_name: HashMap::with_capacity(waiting.len()) };
        let copied = Cell::new(0);
        for name in in_order(&waiting)? {
            // Each name comes once.
            let Some(written) = waiting.remove(&name) else { continue };
            let compiled = Compiler::new(&evaluators, &copied).compile(&written);
            let used = compiled.as_ref().map_or(0, |whole| whole.fingerprint);
            let compiled = compiled.map(|whole| (Arc::new(whole.expr), whole.depth));
            let mut hasher = DefaultHasher::new();
            (written.to_string(), used).hash(&mut hasher);
            evaluators.by_name.insert(name, Evaluator { written, compiled, fingerprint: hasher.finish() });
        }
        Ok(evaluators)
    }

    /// Why the evaluator of this name cannot be used.
    #[must_use]
    pub fn broken(&self, name: &str) -> Option<&RuleError> {
        self.by_name.get(name)?.compiled.as_ref().err()
    }

    pub(super) fn find(&self, name: &Value) -> Result<&Evaluator, String> {
        let name = name.as_str().ok_or("`$ref` takes the name of an evaluator")?;
        self.by_name.get(name).ok_or_else(|| format!("`$ref` to `{name}`, which is no evaluator"))
    }
}

impl Evaluator {
    pub(super) fn written(&self) -> &Value {
        &self.written
    }

    /// The same for the same rule that uses the same evaluators.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(super) fn compiled(&self) -> Option<(Arc<Expr>, usize)> {
        self.compiled.as_ref().ok().cloned()
    }
}

/// The names, each after those that its rule names.
fn in_order(rules: &HashMap<String, Value>) -> Result<Vec<String>, RefCycle> {
    // In the order of names, so that the same file is always answered the same.
    let mut names: Vec<&str> = rules.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut names_of: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
    for name in &names {
        let mut found = Vec::new();
        collect(&rules[*name], &mut found);
        found.retain(|found| rules.contains_key(*found));
        found.sort_unstable();
        found.dedup();
        open.insert(name, found.len());
        for other in &found {
            users.entry(other).or_default().push(name);
        }
        names_of.insert(name, found);
    }
    let mut order: Vec<&str> = names.iter().copied().filter(|name| open[name] == 0).collect();
    let mut done = 0;
    while let Some(name) = order.get(done).copied() {
        done += 1;
        for user in users.get(name).into_iter().flatten() {
            if let Some(open) = open.get_mut(user) {
                *open -= 1;
                if *open == 0 {
                    order.push(user);
                }
            }
        }
    }
    match names.iter().find(|name| open[*name] > 0) {
        None => Ok(order.into_iter().map(str::to_owned).collect()),
        Some(first) => Err(cycle(first, &names_of, &open)),
    }
}

/// What is left open names something else that is left open: following that must come back to where it was.
fn cycle<'a>(first: &&'a str, names_of: &HashMap<&'a str, Vec<&'a str>>, open: &HashMap<&'a str, usize>) -> RefCycle {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut way: Vec<&str> = Vec::new();
    let mut name: &str = first;
    let start = loop {
        if let Some(start) = seen.get(name) {
            break *start;
        }
        seen.insert(name, way.len());
        way.push(name);
        match names_of[name].iter().find(|next| open[*next] > 0) {
            Some(next) => name = next,
            None => break 0,
        }
    };
    RefCycle { names: way[start..].iter().map(|name| (*name).to_owned()).collect() }
}

/// The names of all evaluators that a rule uses.
fn collect<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    if let Some(name) = reference(value) {
        found.extend(name.as_str());
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, found)),
        _ => {}
    }
}
