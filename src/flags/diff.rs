//! What changed from one set of flags to another, for people.

use serde_json::{Map, Value};

use super::rule::Rule;
use super::set::{Flag, FlagSet, State};

/// Most characters of a value that are told.
const SHOWN: usize = 80;

/// What changed about one flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagChange {
    /// Its key.
    pub key: String,
    /// What changed, a line each: `default: off → on`.
    pub lines: Vec<String>,
}

/// The flags that are not the same in both sets: those of `new` in its order, then those that only `old` had. The
/// metadata of the sets counts as that of each flag.
#[must_use]
pub fn diff(old: &FlagSet, new: &FlagSet) -> Vec<FlagChange> {
    let mut changes = Vec::new();
    for (_, flag) in new.iter() {
        let lines = match old.get(flag.key()) {
            None => vec![format!("added: {}", summary(flag))],
            Some(id) => flag_lines(old.flag(id), flag),
        };
        if !lines.is_empty() {
            changes.push(FlagChange { key: flag.key().to_string(), lines });
        }
    }
    for (_, flag) in old.iter().filter(|(_, flag)| new.get(flag.key()).is_none()) {
        changes.push(FlagChange { key: flag.key().to_string(), lines: vec![format!("removed: {}", summary(flag))] });
    }
    changes
}

fn summary(flag: &Flag) -> String {
    let variants: Vec<&str> = flag.variants().iter().map(|variant| &*variant.name).collect();
    let targeted = if flag.targeting().is_some() { ", with a rule" } else { "" };
    format!("{}, default {}, variants {}{targeted}", flag.state(), default(flag), cut(&variants.join(", ")))
}

/// Whether two flags give the same requests the same variants with the same values: metadata does not matter.
#[must_use]
pub fn has_same_definition(old: &Flag, new: &Flag) -> bool {
    old.key() == new.key() && old.default_index() == new.default_index() && definition_lines(old, new).is_empty()
}

fn flag_lines(old: &Flag, new: &Flag) -> Vec<String> {
    let mut lines = definition_lines(old, new);
    fields(old.metadata(), new.metadata(), &mut lines);
    lines
}

fn definition_lines(old: &Flag, new: &Flag) -> Vec<String> {
    let mut lines = Vec::new();
    if old.state() != new.state() {
        lines.push(format!("state: {} → {}", old.state(), new.state()));
    }
    if default(old) != default(new) {
        lines.push(format!("default: {} → {}", default(old), default(new)));
    }
    for variant in new.variants() {
        match old.variants().iter().find(|before| before.name == variant.name) {
            None => lines.push(format!("variant {} added: {}", variant.name, written(&variant.value))),
            Some(before) if before.value != variant.value => {
                let (before, now) = (written(&before.value), written(&variant.value));
                lines.push(format!("variant {}: {before} → {now}", variant.name));
            }
            Some(_) => {}
        }
    }
    for variant in old.variants().iter().filter(|variant| new.variant_index(&variant.name).is_none()) {
        lines.push(format!("variant {} removed: was {}", variant.name, written(&variant.value)));
    }
    rules(old, new, &mut lines);
    lines
}

fn rules(old: &Flag, new: &Flag, lines: &mut Vec<String>) {
    match (old.targeting(), new.targeting()) {
        (None, Some(rule)) => lines.push(format!("rule added: {}", written(rule))),
        (Some(rule), None) => lines.push(format!("rule removed: was {}", written(rule))),
        (Some(before), Some(now)) if before != now => within("rule", before, now, lines),
        (Some(_), Some(_)) if old.rule().map(Rule::evaluators) != new.rule().map(Rule::evaluators) => {
            lines.push("rule: an evaluator that it uses changed".to_owned());
        }
        _ => {}
    }
}

/// Goes down to the first place where the two are different, so that what is told is the difference.
fn within(place: &str, before: &Value, now: &Value, lines: &mut Vec<String>) {
    /// Most lines of one rule.
    const MOST: usize = 20;
    if before == now {
        return;
    }
    if lines.len() >= MOST {
        if lines.len() == MOST {
            lines.push("… and more".to_owned());
        }
        return;
    }
    match (before, now) {
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (i, (before, now)) in old.iter().zip(new).enumerate() {
                within(&format!("{place}[{i}]"), before, now, lines);
            }
        }
        (Value::Object(old), Value::Object(new)) if old.keys().eq(new.keys()) => {
            for (name, before) in old {
                within(&format!("{place}.{name}"), before, &new[name], lines);
            }
        }
        _ => lines.push(format!("{place}: {} → {}", written(before), written(now))),
    }
}

fn fields(old: &Map<String, Value>, new: &Map<String, Value>, lines: &mut Vec<String>) {
    for (name, now) in new {
        match old.get(name) {
            None => lines.push(format!("metadata {name} added: {}", written(now))),
            Some(before) if before != now => {
                lines.push(format!("metadata {name}: {} → {}", written(before), written(now)));
            }
            Some(_) => {}
        }
    }
    for (name, before) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        lines.push(format!("metadata {name} removed: was {}", written(before)));
    }
}

fn default(flag: &Flag) -> &str {
    flag.default_index().map_or("none", |index| &flag.variants()[index].name)
}

fn written(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("{}{more}", text.chars().take(SHOWN).collect::<String>())
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
        })
    }
}
