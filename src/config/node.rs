//! YAML as a tree in which every key and value knows its place, so that one reading can find every error.
//!
//! serde stops at the first value it does not like. So serde-saphyr only fills this generic tree, within its budgets
//! against alias bombs and depth, and [`read`](mod@super::read) walks it.

mod json;
mod plain;

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Error, Location, Options, Spanned};

use super::problem::{Problems, Source, Spot};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

/// The value itself.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key may stand here twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and where it stands.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Where something begins, from 1, and how many characters it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    line: u32,
    column: u32,
    width: usize,
}

/// Most bytes of a configuration file: far above any real one, and a bound on the work of a broken one.
pub const MAX_BYTES: usize = 1 << 20;

/// How large the tree of a text may be.
pub(super) struct Bounds {
    pub(super) bytes: usize,
    /// Deepest nesting.
    pub(super) depth: usize,
    /// Most keys and values.
    pub(super) nodes: usize,
}

/// What configuration files may hold.
const CONFIGURATION: Bounds = Bounds { bytes: MAX_BYTES, depth: 32, nodes: 100_000 };

/// The tree of a text. `None`: it is no YAML, and the one error that stops everything is noted.
pub(super) fn parse(source: Source<'_>, problems: &mut Problems<'_>) -> Option<Node> {
    parse_within(source, &CONFIGURATION, problems)
}

/// The same, within bounds of its own.
pub(super) fn parse_within(source: Source<'_>, bounds: &Bounds, problems: &mut Problems<'_>) -> Option<Node> {
    let start = Spot { line: 1, column: 1, width: 1, key: String::new() };
    if source.text.len() > bounds.bytes {
        let mebibyte = if bounds.bytes == 1 << 20 { " (1 MiB)" } else { "" };
        problems
            .error(&start, "the file is too large")
            .found(format!("{} bytes", source.text.len()))
            .expected(format!("at most {} bytes{mebibyte}", bounds.bytes));
        return None;
    }
    let read = match plain::parse(source.text, bounds) {
        Some(root) => Ok(root),
        None if bounds.depth > CONFIGURATION.depth => on_large_stack(source.text, bounds),
        None => yaml(source.text, bounds),
    };
    match read {
        Ok(root) => Some(root),
        Err(error) => {
            let spot = error.location().map_or(start, |location| Place::from(location).spot(String::new()));
            let (message, help) = explain(&error);
            problems.error(&spot, message).maybe_help(help);
            None
        }
    }
}

/// The tree of a text that is JSON, or YAML. What looks like JSON and is none is read as YAML, unless the file's name
/// says that it is meant to be JSON.
pub(super) fn parse_json_or_yaml(source: Source<'_>, bounds: &Bounds, problems: &mut Problems<'_>) -> Option<Node> {
    let looks = source.text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
    let named = Path::new(source.name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if source.text.len() > bounds.bytes || !(looks || named) {
        return parse_within(source, bounds, problems);
    }
    match json::parse(source.text, bounds) {
        Ok(root) => Some(root),
        Err(_) if !named => parse_within(source, bounds, problems),
        Err(error) => {
            problems.error(&error.place.spot(String::new()), error.message);
            None
        }
    }
}

fn yaml(text: &str, bounds: &Bounds) -> Result<Node, Error> {
    serde_yaml::from_str_with_options::<Spanned<Kind>>(text, options(bounds)).map(Node::from)
}

/// serde recurses with every level, by up to 40 KiB in a build without optimisation: what may nest deep has a stack of
/// its own.
fn on_large_stack(text: &str, bounds: &Bounds) -> Result<Node, Error> {
    let stack = 512 * 1024 + bounds.depth * 64 * 1024;
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, || yaml(text, bounds));
        match reader.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(read)) => read,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // Without another thread, what nests no deeper than configuration still fits this one.
            Err(_) => yaml(text, &Bounds { bytes: bounds.bytes, nodes: bounds.nodes, ..CONFIGURATION }),
        }
    })
}

fn options(bounds: &Bounds) -> Options {
    serde_yaml::options! {
        strict_booleans: true,
        // Repeated keys stay in the tree: the readers report them with everything else.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `.nan` is no weight, but the weight's own message says so better.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        // `1_000` and `010` are numbers to some readers of YAML and text to others: here they are no numbers.
        underscored_numbers_as_strings: true,
        leading_zero_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        emit_comments: false,
        budget: serde_yaml::budget! {
            max_depth: bounds.depth,
            max_documents: 1,
            max_nodes: bounds.nodes,
            max_events: 4 * bounds.nodes,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: 4 * bounds.bytes,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
    }
}

const TOO_LARGE: &str = "the YAML nests too deep, or its aliases make it too large";

/// What a YAML error means to someone who writes configuration, and what to do where the cause is a known trap.
fn explain(error: &Error) -> (String, Option<String>) {
    match error {
        Error::UnknownAnchor { .. } => (
            "`*` begins a YAML alias, and no such anchor is defined".to_owned(),
            Some("a value that begins with `*` needs quotes: \"*.example.com\"".to_owned()),
        ),
        Error::Budget { breach: serde_yaml::budget::BudgetBreach::Documents { .. }, .. } => {
            ("a second YAML document begins here, one file holds one".to_owned(), None)
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (TOO_LARGE.to_owned(), None),
        Error::NullIntoString { .. } => ("a key is missing here".to_owned(), None),
        Error::Unexpected { .. } => ("a key must be a plain word".to_owned(), None),
        other => {
            let text = other.to_string();
            // The place is said before the message already.
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
            if text.contains("alias replay") || text.contains("alias expansion") {
                return (TOO_LARGE.to_owned(), None);
            }
            let help = if text.contains("tabs disallowed") {
                Some("YAML is indented by spaces")
            } else if text.contains("unsupported tag") {
                Some("take the tag out; a value that begins with `!` needs quotes")
            } else if text.contains("did not find expected ',' or") {
                Some("a comma or a closing bracket is missing, or a value with []{}, in it needs quotes: \"[::]:8080\"")
            } else if text.contains("unexpected character") && !text.contains("u{") {
                Some("a value that begins with this character needs quotes")
            } else if text.contains("illegal placement") {
                Some("a bracket or quote on a line above may still be open")
            } else if text.contains("mapping values are not allowed") {
                Some("look at the indentation of this line and the one above, and for a `: ` within a value")
            } else {
                None
            };
            (format!("not valid YAML: {text}"), help.map(str::to_owned))
        }
    }
}

impl Node {
    /// The value of a key, if this is a mapping that has it.
    pub(super) fn entry(&self, name: &str) -> Option<&Self> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// The items, if this is a list.
    pub(super) fn items(&self) -> impl ExactSizeIterator<Item = &Self> {
        if let Kind::List(items) = &self.kind { items.iter() } else { [].iter() }
    }

    /// An item, if this is a list that has it.
    pub(super) fn item(&self, index: usize) -> Option<&Self> {
        self.items().nth(index)
    }

    /// The value in words, for "found …".
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(value) => format!("`{value}`, a boolean"),
            Kind::Integer(value) => format!("the number {value}"),
            Kind::Float(value) if value.is_nan() => "`.nan`, which is not a number".to_owned(),
            Kind::Float(value) if value.abs() > 1e15 => format!("the number {value:e}"),
            Kind::Float(value) => format!("the number {value}"),
            Kind::Text(text) => quote(text),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// A text between backticks, cut to a length that fits a message.
pub(super) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    // `escape_debug` escapes quotes too; between backticks they are harmless.
    let cut = cut.replace("\\\"", "\"").replace("\\'", "'");
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("`{cut}{more}`")
}

impl Place {
    pub(super) fn spot(self, key: String) -> Spot {
        Spot { key, line: self.line, column: self.column, width: self.width }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let line = u32::try_from(location.line()).unwrap_or(u32::MAX).max(1);
        let column = u32::try_from(location.column()).unwrap_or(u32::MAX).max(1);
        Self { line, column, width: usize::try_from(location.span().len()).unwrap_or(1).max(1) }
    }
}

/// The place where a value is written: behind an alias, that of its anchor, which is what has to be mended.
impl From<Spanned<Kind>> for Node {
    fn from(spanned: Spanned<Kind>) -> Self {
        Self { place: spanned.defined.into(), kind: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Kind>>()? {
            list.push(item.into());
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let value = entries.next_value::<Spanned<Kind>>()?;
            map.push((Key { place: key.defined.into(), text: key.value }, value.into()));
        }
        Ok(Kind::Map(map))
    }
}
