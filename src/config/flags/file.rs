//! The file: its flags, evaluators and metadata.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::shape;
use super::trail::{Trail, follow};
use super::value::{object, once, value};
use crate::config::node::{Key, Kind, Node, quote};
use crate::config::problem::Problems;
use crate::config::read::did_you_mean;
use crate::flags::{Evaluators, FlagSpec, RefCycle, RuleError, State, operators};

const MAX_FLAGS: usize = 100_000;
const MAX_VARIANTS: usize = 1_000;

const ROOT_KEYS: [&str; 4] = ["flags", "$evaluators", "metadata", "$schema"];
const FLAG_KEYS: [&str; 6] = ["state", "variants", "defaultVariant", "targeting", "metadata", "key"];

/// A flag file that was read.
pub(super) struct File<'a> {
    flags: Vec<(FlagSpec, Written<'a>)>,
    evaluators: Vec<(&'a Key, &'a Node, Value)>,
    metadata: Map<String, Value>,
}

/// Where a flag's rule is written.
pub(super) struct Written<'a> {
    place: Place<'a>,
    flag: &'a Node,
}

/// How a flag is named in the file.
#[derive(Clone, Copy)]
enum Place<'a> {
    Key(&'a Key),
    Index(usize),
}

impl<'a> File<'a> {
    pub(super) fn read(root: &'a Node, problems: &mut Problems<'_>) -> Option<Self> {
        let trail = Trail::ROOT;
        if !matches!(root.kind, Kind::Map(_)) {
            let problem = problems.error(&trail.at(root), "wrong type").found(root.describe());
            problem.expected("a mapping with `flags`");
            return None;
        }
        once(root, &trail, problems);
        unknown(root, &trail, &ROOT_KEYS, problems);
        let metadata = metadata(root, &trail, problems);
        let evaluators = evaluators(root, problems);
        let Some(flags) = root.entry("flags") else {
            problems.error(&trail.at(root), "key missing").expected("`flags`, a mapping from flag keys to flags");
            return None;
        };
        let flags = read_flags(flags, &trail.key("flags"), problems)?;
        Some(Self { flags, evaluators, metadata })
    }

    pub(super) fn evaluators(&self) -> impl Iterator<Item = (String, Value)> + '_ {
        self.evaluators.iter().map(|(key, _, value)| (key.text.clone(), value.clone()))
    }

    pub(super) fn say_cycle(&self, cycle: &RefCycle, problems: &mut Problems<'_>) {
        let (root, first) = (Trail::ROOT, cycle.names.first());
        let at = self.evaluators.iter().find(|(key, ..)| Some(&key.text) == first);
        if let Some((key, ..)) = at {
            let spot = root.key("$evaluators").at_key(key);
            problems.error(&spot, cycle.to_string()).help("an evaluator cannot use itself, not even through others");
        }
    }

    /// What is wrong with the rules of evaluators.
    pub(super) fn check_evaluators(&self, evaluators: &Evaluators, problems: &mut Problems<'_>) {
        let root = Trail::ROOT;
        let all = root.key("$evaluators");
        for (key, node, _) in &self.evaluators {
            let trail = all.key(&key.text);
            if let Some(error) = evaluators.broken(&key.text) {
                let spot = follow(node, &trail, error.path());
                let message = format!("{}: flags that use this evaluator answer an error", said(error));
                problems.warning(&spot, message);
            } else {
                shape::check(node, &trail, problems);
            }
        }
    }

    pub(super) fn into_parts(self) -> (Vec<FlagSpec>, Map<String, Value>, Vec<Written<'a>>) {
        let (specs, written) = self.flags.into_iter().unzip();
        (specs, self.metadata, written)
    }
}

impl Written<'_> {
    /// The rule makes the flag answer an error.
    pub(super) fn say_broken(&self, key: &str, error: &RuleError, problems: &mut Problems<'_>) {
        let Some(targeting) = self.flag.entry("targeting") else { return };
        let (root, flags);
        root = Trail::ROOT;
        flags = root.key("flags");
        let trail = self.place.trail(&flags);
        let spot = follow(targeting, &trail.key("targeting"), error.path());
        problems.warning(&spot, format!("{}: flag {} answers an error", said(error), quote(key)));
    }
}

fn said(error: &RuleError) -> String {
    let help = error.unknown.as_ref().and_then(|unknown| did_you_mean(unknown, operators()));
    help.map_or_else(|| error.message.clone(), |help| format!("{} ({help})", error.message))
}

impl<'a> Place<'a> {
    fn trail<'t>(self, flags: &'t Trail<'t>) -> Trail<'t>
    where
        'a: 't,
    {
        match self {
            Self::Key(key) => flags.key(&key.text),
            Self::Index(index) => flags.index(index),
        }
    }
}

fn read_flags<'a>(
    node: &'a Node,
    trail: &Trail<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<(FlagSpec, Written<'a>)>> {
    let named: Vec<(Place<'a>, &'a Node)> = match &node.kind {
        Kind::Map(entries) => entries.iter().map(|(key, node)| (Place::Key(key), node)).collect(),
        Kind::List(items) => items.iter().enumerate().map(|(i, node)| (Place::Index(i), node)).collect(),
        _ => {
            let problem = problems.error(&trail.at(node), "wrong type").found(node.describe());
            problem.expected("a mapping from flag keys to flags, or a list of flags with a `key` each");
            return None;
        }
    };
    if named.len() > MAX_FLAGS {
        let problem = problems.error(&trail.at(node), "too many flags").found(format!("{} flags", named.len()));
        problem.expected(format!("at most {MAX_FLAGS}"));
        return None;
    }
    once(node, trail, problems);
    let mut keys = HashSet::with_capacity(named.len());
    let mut flags = Vec::with_capacity(named.len());
    for (place, node) in named {
        let trail = place.trail(trail);
        let Some(spec) = flag(place, node, &trail, problems) else { continue };
        if matches!(place, Place::Index(_)) && !keys.insert(spec.key.clone()) {
            let spot = trail.key("key").at(node.entry("key").unwrap_or(node));
            let message = format!("there is a flag {} already", quote(&spec.key));
            problems.error(&spot, message).expected("every flag once");
        }
        flags.push((spec, Written { place, flag: node }));
    }
    Some(flags)
}

/// `None` after noting why it is no flag.
fn flag(place: Place<'_>, node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<FlagSpec> {
    if !matches!(node.kind, Kind::Map(_)) {
        let problem = problems.error(&trail.at(node), "wrong type").found(node.describe());
        problem.expected("a flag: a mapping with `state`, `variants` and `defaultVariant`");
        return None;
    }
    once(node, trail, problems);
    unknown(node, trail, &FLAG_KEYS, problems);
    let key = key(place, node, trail, problems);
    let state = state(node, trail, problems);
    let variants = variants(node, trail, problems);
    let default = variants.as_ref().and_then(|variants| default(node, variants, trail, problems));
    let targeting = targeting(node, trail, problems);
    let metadata = metadata(node, trail, problems);
    Some(FlagSpec { key: key?, state, variants: variants?, default, targeting, metadata })
}

fn key(place: Place<'_>, node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<String> {
    match (place, node.entry("key")) {
        (Place::Key(key), _) => {
            if key.text.is_empty() {
                problems.warning(&trail.at(node), "a flag has an empty key");
            }
            Some(key.text.clone())
        }
        (Place::Index(_), Some(Node { kind: Kind::Text(text), .. })) if !text.is_empty() => Some(text.clone()),
        (Place::Index(_), Some(other)) => {
            let problem = problems.error(&trail.key("key").at(other), "wrong type").found(other.describe());
            problem.expected("the key of the flag, a text");
            None
        }
        (Place::Index(_), None) => {
            problems.error(&trail.at(node), "key missing").expected("`key`: in a list, every flag says its own");
            None
        }
    }
}

fn state(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> State {
    const EXPECTED: &str = "`ENABLED` or `DISABLED`";
    let Some(state) = node.entry("state") else {
        problems.warning(&trail.at(node), format!("the flag has no `state`: expected {EXPECTED}; taken as `ENABLED`"));
        return State::Enabled;
    };
    let trail = trail.key("state");
    match &state.kind {
        Kind::Text(text) if text == "ENABLED" => State::Enabled,
        Kind::Text(text) if text == "DISABLED" => State::Disabled,
        Kind::Text(text) => {
            let message = format!("{} is no state: expected {EXPECTED}; taken as `ENABLED`", quote(text));
            problems.warning(&trail.at(state), message);
            State::Enabled
        }
        _ => {
            problems.error(&trail.at(state), "wrong type").found(state.describe()).expected(EXPECTED);
            State::Enabled
        }
    }
}

fn variants(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<Vec<(String, Value)>> {
    let Some(written) = node.entry("variants") else {
        problems.warning(&trail.at(node), "the flag has no `variants`");
        return Some(Vec::new());
    };
    let trail = trail.key("variants");
    let Kind::Map(entries) = &written.kind else {
        let problem = problems.error(&trail.at(written), "wrong type").found(written.describe());
        problem.expected("a mapping from names to values: `{ on: true, off: false }`");
        return None;
    };
    if entries.len() > MAX_VARIANTS {
        let problem = problems.error(&trail.at(written), "too many variants");
        problem.found(format!("{} variants", entries.len())).expected(format!("at most {MAX_VARIANTS}"));
        return None;
    }
    once(written, &trail, problems);
    if entries.is_empty() {
        problems.warning(&trail.at(written), "the flag has no variants");
    }
    let mut variants = Vec::with_capacity(entries.len());
    let mut first = None;
    for (key, node) in entries {
        let trail = trail.key(&key.text);
        let Some(value) = value(node, &trail, problems) else {
            // It keeps its name, so that a default may still refer to it.
            variants.push((key.text.clone(), Value::Null));
            continue;
        };
        let kind = kind(&value);
        if key.text.is_empty() {
            problems.warning(&trail.at(node), "a variant has an empty name");
        }
        match (kind, first) {
            (None, _) => {
                let message = format!("a variant is a boolean, text, number or object, not {}", node.describe());
                problems.warning(&trail.at(node), message);
            }
            (Some(kind), Some((first, name))) if kind != first => {
                let message = format!("variants of mixed types: this is {kind}, but {} is {first}", quote(name));
                problems.warning(&trail.at(node), message);
            }
            (Some(kind), _) => first = first.or(Some((kind, &*key.text))),
        }
        if value.as_f64().is_some_and(|number| number.abs() > SAFE && number.fract() == 0.0) {
            let message = format!("{value} is beyond ±{SAFE}, the whole numbers that JavaScript counts to exactly");
            problems.warning(&trail.at(node), message);
        }
        variants.push((key.text.clone(), value));
    }
    Some(variants)
}

/// The largest whole number up to which JavaScript tells all from each other.
const SAFE: f64 = 9_007_199_254_740_991.0;

fn kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::Bool(_) => Some("a boolean"),
        Value::Number(_) => Some("a number"),
        Value::String(_) => Some("a text"),
        Value::Object(_) => Some("an object"),
        Value::Null | Value::Array(_) => None,
    }
}

fn default(node: &Node, variants: &[(String, Value)], trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<usize> {
    let default = node.entry("defaultVariant")?;
    let trail = trail.key("defaultVariant");
    let names = || variants.iter().map(|(name, _)| &**name);
    let listed = || {
        let some: Vec<String> = names().take(10).map(quote).collect();
        let more = if variants.len() > 10 { " …" } else { "" };
        if some.is_empty() {
            "a variant, but there are none".to_owned()
        } else {
            format!("one of {}{more}", some.join(", "))
        }
    };
    match &default.kind {
        Kind::Null => None,
        // As in flagd: no name, no default.
        Kind::Text(name) if name.is_empty() => None,
        Kind::Text(name) => {
            let index = names().position(|known| known == name);
            if index.is_none() {
                let problem = problems.error(&trail.at(default), "the default is no variant of this flag");
                problem.found(quote(name)).expected(listed()).suggest(name, names());
            }
            index
        }
        _ => {
            let problem = problems.error(&trail.at(default), "wrong type").found(default.describe());
            problem.expected(listed()).help("a name like `true` or `1` needs quotes");
            None
        }
    }
}

fn targeting(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Option<Value> {
    let written = node.entry("targeting")?;
    let trail = trail.key("targeting");
    match &written.kind {
        Kind::Null => {}
        Kind::Map(_) => shape::check(written, &trail, problems),
        _ => {
            let message = format!("a rule is a mapping with an operator, not {}", written.describe());
            problems.warning(&trail.at(written), message);
        }
    }
    value(written, &trail, problems)
}

/// Booleans, numbers and texts; what else is there is left out.
fn metadata(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) -> Map<String, Value> {
    let Some(written) = node.entry("metadata") else { return Map::new() };
    let trail = trail.key("metadata");
    let Kind::Map(entries) = &written.kind else {
        if !matches!(written.kind, Kind::Null) {
            let problem = problems.error(&trail.at(written), "wrong type").found(written.describe());
            problem.expected("a mapping from names to booleans, numbers or texts");
        }
        return Map::new();
    };
    let mut metadata = object(written, &trail, problems).unwrap_or_default();
    for (key, node) in entries {
        if matches!(node.kind, Kind::Null | Kind::List(_) | Kind::Map(_)) {
            let message = format!("metadata is a boolean, number or text, not {}; left out", node.describe());
            problems.warning(&trail.key(&key.text).at(node), message);
            metadata.remove(&key.text);
        }
    }
    metadata
}

fn evaluators<'a>(root: &'a Node, problems: &mut Problems<'_>) -> Vec<(&'a Key, &'a Node, Value)> {
    let Some(written) = root.entry("$evaluators") else { return Vec::new() };
    let root = Trail::ROOT;
    let trail = root.key("$evaluators");
    let Kind::Map(entries) = &written.kind else {
        if !matches!(written.kind, Kind::Null) {
            let problem = problems.error(&trail.at(written), "wrong type").found(written.describe());
            problem.expected("a mapping from names to rules");
        }
        return Vec::new();
    };
    once(written, &trail, problems);
    let read = |(key, node): &'a (Key, Node)| Some((key, node, value(node, &trail.key(&key.text), problems)?));
    entries.iter().filter_map(read).collect()
}

/// Notes keys without effect that may be slips of known ones: anything else flagd's format lets stand.
fn unknown(node: &Node, trail: &Trail<'_>, known: &[&str], problems: &mut Problems<'_>) {
    let Kind::Map(entries) = &node.kind else { return };
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&&*key.text)) {
        if let Some(help) = did_you_mean(&key.text, known.iter().copied()) {
            problems.warning(&trail.at_key(key), format!("unknown key, without effect: {help}"));
        }
    }
}
