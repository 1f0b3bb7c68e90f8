//! YAML as most files are written, straight from the parser's events.
//!
//! serde-saphyr drives the same parser, but hands every place through serde, which takes several times as long as parsing.
//! So a text without anchors, aliases, tags and merge keys becomes a tree here. At anything else, an error included, this
//! gives up, and serde-saphyr reads the text from its beginning: what is accepted, and what is said of it, it decides.

use std::borrow::Cow;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Bounds, Key, Kind, Node, Place, options};

/// The tree of a text; `None` where serde-saphyr is to be asked.
pub(super) fn parse(text: &str, bounds: &Bounds) -> Option<Node> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let (mut documents, mut nodes) = (0, 0);
    let events = Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false });
    for event in events {
        let (event, span) = event.ok()?;
        let node = match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return None;
                }
                continue;
            }
            Event::Scalar(text, style, 0, None) => {
                nodes += 1;
                if let Some(Open { node: Node { kind: Kind::Map(_), .. }, key: key @ None }) = open.last_mut() {
                    *key = Some(name(text, style, span)?);
                    continue;
                }
                Node { place: span.into(), kind: scalar(text, style, bounds)? }
            }
            Event::SequenceStart(_, 0, None) => {
                nodes += 1;
                open.push(Open::new(span, Kind::List(Vec::new()), open.last())?);
                continue;
            }
            Event::MappingStart(_, 0, None) => {
                nodes += 1;
                open.push(Open::new(span, Kind::Map(Vec::new()), open.last())?);
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop()?.node,
            _ => return None,
        };
        if nodes > bounds.nodes || open.len() >= bounds.depth {
            return None;
        }
        match open.last_mut() {
            Some(parent) => parent.add(node)?,
            None => root = Some(node),
        }
    }
    root
}

/// A list or mapping whose end is not read yet.
struct Open {
    node: Node,
    /// The key of the value that comes next.
    key: Option<Key>,
}

impl Open {
    /// `None` where it is a key: no plain word.
    fn new(span: Span, kind: Kind, parent: Option<&Self>) -> Option<Self> {
        let is_key = parent.is_some_and(|parent| matches!(parent.node.kind, Kind::Map(_)) && parent.key.is_none());
        (!is_key).then(|| Self { node: Node { place: span.into(), kind }, key: None })
    }

    fn add(&mut self, node: Node) -> Option<()> {
        match &mut self.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => entries.push((self.key.take()?, node)),
            _ => return None,
        }
        Some(())
    }
}

fn name(text: Cow<'_, str>, style: ScalarStyle, span: Span) -> Option<Key> {
    // Merge keys, and keys that are missing, are nothing for this reader.
    let special = text == "<<" || (style == ScalarStyle::Plain && is_null(&text));
    (!special).then(|| Key { place: span.into(), text: text.into_owned() })
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, bounds: &Bounds) -> Option<Kind> {
    if style != ScalarStyle::Plain {
        return Some(Kind::Text(text.into_owned()));
    }
    match &*text {
        "true" | "True" | "TRUE" => Some(Kind::Bool(true)),
        "false" | "False" | "FALSE" => Some(Kind::Bool(false)),
        word if is_null(word) => Some(Kind::Null),
        word if word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) => {
            number_or_text(word, bounds)
        }
        _ => Some(Kind::Text(text.into_owned())),
    }
}

fn is_null(word: &str) -> bool {
    matches!(word, "" | "~" | "null" | "Null" | "NULL")
}

/// What begins like a number. The common form of whole numbers is read here, any other is asked of serde-saphyr.
fn number_or_text(word: &str, bounds: &Bounds) -> Option<Kind> {
    /// Longer ones may not fit 64 bits.
    const DIGITS: usize = 18;
    let digits = word.strip_prefix('-').unwrap_or(word);
    let is_whole = digits.len() <= DIGITS
        && !digits.is_empty()
        && (digits == "0" || !digits.starts_with('0'))
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole {
        return word.parse().ok().map(Kind::Integer);
    }
    if word.contains(char::is_whitespace) || word.starts_with("---") || word.starts_with("...") {
        return Some(Kind::Text(word.to_owned()));
    }
    let kind = serde_yaml::from_str_with_options(word, options(bounds)).ok()?;
    // By itself it may be something else: `-` alone is a list.
    matches!(kind, Kind::Integer(_) | Kind::Float(_) | Kind::Text(_)).then_some(kind)
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { line: count(span.start.line()), column: count(span.start.col() + 1), width: span.len().max(1) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{CONFIGURATION, yaml};
    use super::*;

    /// The tree, if it was built here, which then must be the one that serde-saphyr builds.
    fn agreed(text: &str) -> Option<Node> {
        let read = parse(text, &CONFIGURATION)?;
        match yaml(text, &CONFIGURATION) {
            Ok(expected) => assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{text:?}"),
            Err(error) => panic!("{text:?} was read, but is refused: {error}"),
        }
        Some(read)
    }

    #[test]
    fn common_files_are_read_here_as_serde_saphyr_reads_them() {
        let texts = [
            "a: 1",
            "- a\n- b: [ 1, -2.5, .5, 1e3, 0x1F, 0o17, +5, 007, 1_000, -0, .inf, -.inf, .nan ]\n",
            "{ \"on\": true, 'off': False, ~x: null, y: ~, z: }\n",
            "times: [ 10m, 2026-01-01, 10.0.0.1, 5%, -x, +y, .z, \"-1\", '' ]\n# comment\n",
            "---\na: |\n  two\n  lines\nb: >-\n  folded\n  text\nc: -- x\n...\n",
            "ä: \"ö\\n\\u00fc\"\n\"b\" : [ {}, [], { c: d } ]\n",
            "9223372036854775807: 18446744073709551615\n-1: 18446744073709551616\n",
            "plain text over\n  two lines",
            "12",
            "? a\n: b\n",
        ];
        for text in texts {
            assert!(agreed(text).is_some(), "{text:?} was left to serde-saphyr");
        }
    }

    #[test]
    fn what_is_not_common_is_left_to_serde_saphyr() {
        let texts =
            ["a: &x 1\nb: *x", "a: !!str 1", "b: { <<: { a: 1 } }", "~: 1", ": 1", "[a]: 1", "a: b: c", "a: [", ""];
        for text in texts.into_iter().chain(["a: 1\n---\nb: 1", "a: \"open", "{a: 1}}", "*x"]) {
            assert!(agreed(text).is_none(), "{text:?}");
        }
        assert!(agreed(&"[".repeat(100)).is_none());
        assert!(agreed(&format!("{}{}", "[".repeat(31), "]".repeat(31))).is_some());
        assert!(agreed(&format!("{}{}", "[".repeat(33), "]".repeat(33))).is_none());
        let many = |items: usize| format!("[{}]", "1,".repeat(items));
        assert!(agreed(&many(CONFIGURATION.nodes - 1)).is_some());
        assert!(parse(&many(CONFIGURATION.nodes), &CONFIGURATION).is_none());
    }

    #[test]
    fn the_files_of_the_tests_are_read_alike() {
        let mut read = 0;
        for folder in ["config", "tests/bad"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "yaml")
                    && let Ok(text) = std::fs::read_to_string(path)
                {
                    read += usize::from(agreed(&text).is_some());
                }
            }
        }
        assert!(read > 50, "{read} files");
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_serde_saphyr_reads_it_or_left_to_it(
            parts in proptest::collection::vec(proptest::sample::select(&[
                "a", "b", "1", "-1", "1.5", "0x1", "-", "- ", ": ", ":", ", ", "[", "]", "{", "}", "\n", "\n  ", "\n    ",
                "true", "null", "~", "\"", "'", "#", " # ", "|", ">", "&x ", "*x", "!t ", "<<", "? ", "---", "...", "%", "ä",
                "_", "e", ".", "+", "\t", "\r\n", "\\", "@", "\u{feff}",
            ][..]), 0..24),
        ) {
            agreed(&parts.concat());
        }
    }
}
