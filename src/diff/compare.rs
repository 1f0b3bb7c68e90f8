//! Where two answers differ.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::json::{Members, Taken, document, read, taken_apart};
use super::pattern::{Child, Places};
use super::render::Render;
use super::{Answer, Rules};

/// Most differences told of one pair; there may be more.
const MAX_DIFFERENCES: usize = 100;
/// Most bytes of the name of a place.
const MAX_PLACE: usize = 256;
/// Most lines of a text that are told apart.
const MAX_LINES: usize = 2_000;
/// Most elements of an unordered array that are held against each other one by one, once equal ones are taken out.
const MAX_MATCHED: usize = 64;
/// Most values that are held against each other to find which elements of unordered arrays are alike, over a whole document:
/// where such arrays lie in each other that grows with the square of their elements.
const MAX_TRIED: u32 = 100_000;
/// Most levels of a document that are walked; what lies deeper is compared as it is written.
const MAX_DEPTH: u32 = 128;
/// What a call of gRPC's came to, which is no matter of the HTTP status.
const GRPC_STATUS: &str = "grpc-status";
/// Headers whose values nobody is shown.
const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// What the comparison of two answers found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Where they differ: each place once, at most 100.
    pub differences: Vec<Difference>,
    /// A body was too long to be kept, so that bodies were not compared.
    pub body_left_out: bool,
}

/// One place where two answers differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `status`, `header NAME`, `body`, `lines`, `line N`, or a path such as `$.items[*].price`, in which all elements of
    /// an array are one.
    pub place: String,
    /// In what way.
    pub change: Change,
    /// The first one's, redacted and cut.
    pub old: String,
    /// The second one's, redacted and cut.
    pub new: String,
}

/// In what way two answers differ at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the first one has something there.
    Removed,
    /// Only the second one has something there.
    Added,
    /// They have things of different types.
    Type,
    /// They have different things of one type.
    Value,
}

impl Change {
    /// As it is told.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Added => "added",
            Self::Type => "type",
            Self::Value => "value",
        }
    }
}

impl Rules {
    /// Where `new` differs from `old`.
    #[must_use]
    pub fn compare(&self, old: &Answer, new: &Answer) -> Comparison {
        let mut found = Found::default();
        if old.status != new.status {
            found.add("status", Change::Value, || [old.status.to_string(), new.status.to_string()]);
        }
        for name in self.headers.iter().map(String::as_str).chain([GRPC_STATUS]) {
            compare_header(name, old, new, &mut found);
        }
        let (Some(old_body), Some(new_body)) = (&old.body, &new.body) else {
            return Comparison { differences: found.differences, body_left_out: true };
        };
        // Equal bytes are the most common case by far.
        if old_body != new_body {
            match (json(old, old_body), json(new, new_body)) {
                (Some(old), Some(new)) => {
                    let left = Cell::new(MAX_TRIED);
                    Walk { rules: self, found: &mut found, left: &left }.root(old, new);
                }
                (None, None) => match (text(old_body), text(new_body)) {
                    (Some(old), Some(new)) => compare_lines(old, new, self.shows_texts(), &mut found),
                    _ => found.add("body", Change::Value, || [opaque(old_body), opaque(new_body)]),
                },
                // An error page in place of a document, say.
                _ => found.add("body", Change::Type, || [opaque(old_body), opaque(new_body)]),
            }
        }
        Comparison { differences: found.differences, body_left_out: false }
    }
}

impl Rules {
    /// Whether samples show texts: not where anything is to be redacted, as what looks like a text may be a document all
    /// the same, under the wrong content type or cut short.
    fn shows_texts(&self) -> bool {
        self.redact.is_empty()
    }
}

fn compare_header(name: &str, old: &Answer, new: &Answer, found: &mut Found) {
    let (old, new) = (old.header(name), new.header(name));
    if old == new {
        return;
    }
    let change = match (&old, &new) {
        (Some(_), None) => Change::Removed,
        (None, Some(_)) => Change::Added,
        _ => Change::Value,
    };
    let shown = |value: &Option<String>| match value {
        Some(_) if SECRET.contains(&name) => Render::REDACTED.to_owned(),
        Some(value) => Render::cut(value),
        None => String::new(),
    };
    found.add(&format!("header {name}"), change, || [shown(&old), shown(&new)]);
}

/// The body as JSON, where its headers say so or do not say what it is. What cannot be read is compared as text.
fn json<'a>(answer: &Answer, body: &'a [u8]) -> Option<(&'a str, Taken<'a>)> {
    let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let may_be = essence.is_empty() || essence.ends_with("/json") || essence.ends_with("+json");
    may_be.then(|| document(body)).flatten()
}

fn text(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'))
}

fn opaque(body: &[u8]) -> String {
    format!("{} bytes, xxh3 {:016x}", body.len(), xxhash_rust::xxh3::xxh3_64(body))
}

/// `open`: samples may show what stands in the lines.
fn compare_lines(old: &str, new: &str, open: bool, found: &mut Found) {
    let line = |text: &str| if open { Render::cut(text) } else { opaque(text.as_bytes()) };
    let [old_count, new_count] = [old, new].map(|text| text.lines().count());
    if old_count != new_count || old_count > MAX_LINES {
        let first = old.lines().zip(new.lines()).position(|(old, new)| old != new).unwrap_or(old_count.min(new_count));
        let shown = |text: &str, count: usize| {
            let said = line(text.lines().nth(first).unwrap_or_default());
            Render::cut(&format!("{count} lines; line {}: {said}", first + 1))
        };
        return found.add("lines", Change::Value, || [shown(old, old_count), shown(new, new_count)]);
    }
    let mut differ = false;
    for (number, (old, new)) in old.lines().zip(new.lines()).enumerate().filter(|(_, (old, new))| old != new) {
        differ = true;
        found.add(&format!("line {}", number + 1), Change::Value, || [line(old), line(new)]);
    }
    if !differ {
        found.add("lines", Change::Value, || ["other line ends".to_owned(), "other line ends".to_owned()]);
    }
}

/// Differences found so far.
#[derive(Default)]
struct Found {
    differences: Vec<Difference>,
    places: HashSet<String>,
}

impl Found {
    fn add(&mut self, place: &str, change: Change, shown: impl FnOnce() -> [String; 2]) {
        if self.differences.len() >= MAX_DIFFERENCES || self.places.contains(place) {
            return;
        }
        self.places.insert(place.to_owned());
        let [old, new] = shown();
        self.differences.push(Difference { place: place.to_owned(), change, old, new });
    }
}

/// Two JSON documents walked together. They are read level by level and only where they are not written alike: of most
/// pairs that is a small part.
struct Walk<'a> {
    rules: &'a Rules,
    found: &'a mut Found,
    /// How many more values may be tried for being alike.
    left: &'a Cell<u32>,
}

/// Where a walk is.
#[derive(Clone)]
struct Here {
    path: String,
    ignore: Places,
    unordered: Places,
    redact: Places,
    depth: u32,
}

impl Walk<'_> {
    fn root(mut self, old: (&str, Taken<'_>), new: (&str, Taken<'_>)) {
        let here = Here {
            path: "$".to_owned(),
            depth: 0,
            ignore: self.rules.ignore.root(),
            unordered: self.rules.unordered.root(),
            redact: self.rules.redact.root(),
        };
        self.parts(&here, old, new);
    }

    fn child(&self, here: &Here, child: Child<'_>) -> Here {
        Here {
            path: path_of(&here.path, child, self.rules.redact.end_at(&here.redact)),
            ignore: self.rules.ignore.child(&here.ignore, child),
            unordered: self.rules.unordered.child(&here.unordered, child),
            redact: self.rules.redact.child_or_below(&here.redact, child),
            depth: here.depth + 1,
        }
    }

    fn values(&mut self, here: &Here, old: &str, new: &str) {
        self.left.set(self.left.get().saturating_sub(1));
        if old == new || self.rules.ignore.end_at(&here.ignore) {
            return;
        }
        let taken = |text| (text, if here.depth < MAX_DEPTH { taken_apart(text) } else { Taken::Plain });
        self.parts(here, taken(old), taken(new));
    }

    fn parts(&mut self, here: &Here, (old, old_parts): (&str, Taken<'_>), (new, new_parts): (&str, Taken<'_>)) {
        match (old_parts, new_parts) {
            (Taken::Object(old), Taken::Object(new)) => return self.objects(here, &old, &new),
            (Taken::Array(old), Taken::Array(new)) if self.rules.unordered.end_at(&here.unordered) => {
                return self.sets(here, &old, &new);
            }
            (Taken::Array(old), Taken::Array(new)) => return self.lists(here, &old, &new),
            _ => {}
        }
        match (value(old), value(new)) {
            (Value::Number(a), Value::Number(b)) if alike(&a, &b, self.rules.tolerance) => {}
            (a, b) if a == b => {}
            (a, b) => {
                let same_type = std::mem::discriminant(&a) == std::mem::discriminant(&b);
                self.differ(here, if same_type { Change::Value } else { Change::Type }, Some(&a), Some(&b));
            }
        }
    }

    fn objects(&mut self, here: &Here, old: &Members<'_>, new: &Members<'_>) {
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for key in keys {
            self.pair(here, Child::Key(key), old.get(key).copied(), new.get(key).copied());
        }
    }

    /// Elements with the index each has in its own array.
    fn lists(&mut self, here: &Here, old: &[(usize, &str)], new: &[(usize, &str)]) {
        for at in 0..old.len().max(new.len()) {
            let (old, new) = (old.get(at), new.get(at));
            let index = old.or(new).map_or(at, |(index, _)| *index);
            self.pair(here, Child::Index(index), old.map(|(_, value)| *value), new.map(|(_, value)| *value));
        }
    }

    /// Arrays whose order means nothing: equal elements are taken out, then those alike under the rules, and what is left is
    /// compared in order.
    fn sets(&mut self, here: &Here, old: &[(usize, &str)], new: &[(usize, &str)]) {
        // As all who mean the same would write it.
        let text = |element: &str| value(element).to_string();
        let mut by_text: HashMap<String, Vec<usize>> = HashMap::new();
        for &(index, element) in new {
            by_text.entry(text(element)).or_default().push(index);
        }
        let mut taken = vec![false; new.len()];
        let mut left: Vec<(usize, &str)> = Vec::new();
        for &(index, element) in old {
            match by_text.get_mut(&text(element)).and_then(Vec::pop) {
                Some(partner) => taken[partner] = true,
                None => left.push((index, element)),
            }
        }
        let mut others: Vec<(usize, &str)> = new.iter().copied().filter(|(index, _)| !taken[*index]).collect();
        if left.len().max(others.len()) <= MAX_MATCHED {
            left.retain(|(index, element)| {
                let here = self.child(here, Child::Index(*index));
                let partner = others.iter().position(|(_, other)| self.are_alike(&here, element, other));
                partner.map(|partner| others.remove(partner)).is_none()
            });
        }
        self.lists(here, &left, &others);
    }

    fn are_alike(&self, here: &Here, old: &str, new: &str) -> bool {
        if self.left.get() == 0 {
            return false;
        }
        let mut found = Found::default();
        Walk { rules: self.rules, found: &mut found, left: self.left }.values(here, old, new);
        found.differences.is_empty() && self.left.get() > 0
    }

    /// One step further down, where there is anything to find.
    fn pair(&mut self, here: &Here, child: Child<'_>, old: Option<&str>, new: Option<&str>) {
        if old == new {
            return;
        }
        let here = &self.child(here, child);
        match (old, new) {
            (Some(old), Some(new)) => self.values(here, old, new),
            _ if self.rules.ignore.end_at(&here.ignore) => {}
            (Some(old), None) => self.differ(here, Change::Removed, Some(&value(old)), None),
            (None, new) => self.differ(here, Change::Added, None, new.map(value).as_ref()),
        }
    }

    fn differ(&mut self, here: &Here, change: Change, old: Option<&Value>, new: Option<&Value>) {
        let redact = &self.rules.redact;
        let shown =
            |value: Option<&Value>| value.map_or_else(String::new, |value| Render::json(value, redact, &here.redact));
        self.found.add(&here.path, change, || [shown(old), shown(new)]);
    }
}

/// A value read whole. Where it cannot be, being too deep or no Unicode, it is known by its bytes, which nobody is shown:
/// there may be something in them that is to be redacted.
fn value(text: &str) -> Value {
    read(text).unwrap_or_else(|| Value::String(opaque(text.as_bytes())))
}

/// `path` and one step more. A name that is no plain one is written in brackets; one `below` what is redacted is not said,
/// since there may be people's.
fn path_of(path: &str, child: Child<'_>, below: bool) -> String {
    let mut longer = match child {
        Child::Index(_) => format!("{path}[*]"),
        Child::Key(_) if below => format!("{path}.*"),
        Child::Key(key) if is_plain(key) => format!("{path}.{key}"),
        Child::Key(key) => format!("{path}[{}]", Value::from(key)),
    };
    if longer.len() > MAX_PLACE {
        longer.truncate(longer.floor_char_boundary(MAX_PLACE));
    }
    longer
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether two numbers are the same: whole ones exactly, whatever is written with a point or an exponent as a double; and
/// within the tolerance.
fn alike(old: &Number, new: &Number, tolerance: f64) -> bool {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    if let (Some(old), Some(new)) = (whole(old), whole(new))
        && old == new
    {
        return true;
    }
    let both_whole = whole(old).is_some() && whole(new).is_some();
    match (old.as_f64(), new.as_f64()) {
        // Two whole numbers that differ may be the same double.
        (Some(old), Some(new)) if !both_whole || tolerance > 0.0 => {
            (old - new).abs() <= tolerance * old.abs().max(new.abs()).max(1.0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
