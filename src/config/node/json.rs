//! JSON ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)) as a tree with places. YAML's reader reads it too, but takes
//! many times as long, and a flag file that a program wrote is large.

use super::{Bounds, Key, Kind, Node, Place};

/// Why a text is no JSON, and where that shows.
#[derive(Debug)]
pub(super) struct NoJson {
    pub(super) place: Place,
    pub(super) message: String,
}

/// The tree of a whole text.
pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Node, NoJson> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader { rest: text, line: 1, column: 1, depth: 0, nodes: 0, bounds };
    reader.skip_space();
    let root = reader.value()?;
    reader.skip_space();
    if reader.rest.is_empty() { Ok(root) } else { Err(reader.wrong("the end of the file")) }
}

struct Reader<'a> {
    rest: &'a str,
    /// Where `rest` begins.
    line: u32,
    column: u32,
    depth: usize,
    nodes: usize,
    bounds: &'a Bounds,
}

type Read<T> = Result<T, NoJson>;

impl Reader<'_> {
    fn value(&mut self) -> Read<Node> {
        self.nodes += 1;
        if self.nodes > self.bounds.nodes {
            return Err(self.fault(format!("the file has more than {} values", self.bounds.nodes)));
        }
        let (start, before) = (self.place(), self.rest.len());
        let kind = match self.rest.as_bytes().first() {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            _ => return Err(self.wrong("a value")),
        };
        // Scalars stand on one line; of anything longer only the beginning is marked.
        let width = if matches!(kind, Kind::Map(_) | Kind::List(_)) { 1 } else { before - self.rest.len() };
        Ok(Node { place: Place { width: width.max(1), ..start }, kind })
    }

    fn object(&mut self) -> Read<Kind> {
        self.enter()?;
        let mut entries = Vec::new();
        while self.goes_on(entries.len(), '}')? {
            let (start, before) = (self.place(), self.rest.len());
            if !self.rest.starts_with('"') {
                return Err(self.wrong("a key in quotes"));
            }
            let text = self.string()?;
            let place = Place { width: before - self.rest.len(), ..start };
            self.skip_space();
            self.expect(':')?;
            self.skip_space();
            entries.push((Key { place, text }, self.value()?));
        }
        self.depth -= 1;
        Ok(Kind::Map(entries))
    }

    fn array(&mut self) -> Read<Kind> {
        self.enter()?;
        let mut items = Vec::new();
        while self.goes_on(items.len(), ']')? {
            items.push(self.value()?);
        }
        self.depth -= 1;
        Ok(Kind::List(items))
    }

    /// Past the bracket that opens.
    fn enter(&mut self) -> Read<()> {
        self.depth += 1;
        if self.depth > self.bounds.depth {
            return Err(self.fault(format!("the file nests deeper than {} levels", self.bounds.depth)));
        }
        self.advance(1);
        self.skip_space();
        Ok(())
    }

    /// Whether another entry comes after `count` of them, past the comma before it; if not, past the bracket that closes.
    fn goes_on(&mut self, count: usize, close: char) -> Read<bool> {
        self.skip_space();
        if self.rest.starts_with(close) {
            self.advance(1);
            return Ok(false);
        }
        if count > 0 {
            if !self.rest.starts_with(',') {
                return Err(self.wrong(&format!("`,` or `{close}`")));
            }
            self.advance(1);
            self.skip_space();
            if self.rest.starts_with(close) {
                return Err(self.wrong("something after the comma"));
            }
        }
        Ok(true)
    }

    fn expect(&mut self, c: char) -> Read<()> {
        if !self.rest.starts_with(c) {
            return Err(self.wrong(&format!("`{c}`")));
        }
        self.advance(1);
        Ok(())
    }

    fn word(&mut self, word: &str, kind: Kind) -> Read<Kind> {
        if !self.rest.starts_with(word) {
            return Err(self.wrong("a value"));
        }
        self.advance(word.len());
        Ok(kind)
    }

    /// Within quotes.
    fn string(&mut self) -> Read<String> {
        self.advance(1);
        let mut text = String::new();
        loop {
            let plain = self.rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            let Some(plain) = plain else {
                return Err(self.fault("the file ends within a text"));
            };
            text.push_str(&self.rest[..plain]);
            self.advance(plain);
            match self.rest.as_bytes()[0] {
                b'"' => {
                    self.advance(1);
                    return Ok(text);
                }
                b'\\' => text.push(self.escape()?),
                _ => return Err(self.wrong("`\"`: a text ends on its line")),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let c = match self.rest.as_bytes().get(1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.fault("no escape of JSON")),
        };
        self.advance(2);
        Ok(c)
    }

    fn unicode(&mut self) -> Read<char> {
        let unit = |at: usize| {
            let digits = self.rest.get(at..at + 6)?.strip_prefix("\\u")?;
            if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                u16::from_str_radix(digits, 16).ok()
            } else {
                None
            }
        };
        let units: Vec<u16> = [unit(0), unit(6)].into_iter().flatten().collect();
        match char::decode_utf16(units).next() {
            Some(Ok(c)) if unit(0).is_some() => {
                self.advance(6 * c.len_utf16());
                Ok(c)
            }
            _ => Err(self.fault("no character: half of a pair, or no four hexadecimal digits")),
        }
    }

    fn number(&mut self) -> Read<Kind> {
        let end = self.rest.bytes().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let text = &self.rest[..end.unwrap_or(self.rest.len())];
        let Some(whole) = form(text) else { return Err(self.fault("no number of JSON")) };
        let integer = if whole && text != "-0" { text.parse().ok().map(Kind::Integer) } else { None };
        // Past the largest number that can be told from others, a number is what is nearest to it.
        let kind = integer.or_else(|| text.parse().ok().map(Kind::Float));
        let Some(kind) = kind else { return Err(self.fault("no number of JSON")) };
        self.advance(text.len());
        Ok(kind)
    }

    fn skip_space(&mut self) {
        loop {
            let space = self.rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
            self.advance(space);
            let Some(rest) = self.rest.strip_prefix('\n') else { return };
            self.rest = rest;
            self.line = self.line.saturating_add(1);
            self.column = 1;
        }
    }

    /// Past bytes that hold no line end.
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        let characters = passed.bytes().filter(|byte| *byte & 0xc0 != 0x80).count();
        self.column = self.column.saturating_add(characters as u32);
        self.rest = rest;
    }

    fn place(&self) -> Place {
        Place { line: self.line, column: self.column, width: 1 }
    }

    fn wrong(&self, expected: &str) -> NoJson {
        self.fault(format!("not valid JSON: expected {expected} here"))
    }

    fn fault(&self, message: impl Into<String>) -> NoJson {
        NoJson { place: self.place(), message: message.into() }
    }
}

/// Whether a number is written without a fraction or exponent; `None` if it is no number.
fn form(text: &str) -> Option<bool> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.starts_with('0')) {
        return None;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        rest = &fraction[count..];
        if count == 0 {
            return None;
        }
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let count = digits(exponent);
        rest = &exponent[count..];
        if count == 0 {
            return None;
        }
    }
    rest.is_empty().then_some(text.len() == whole)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 1000, depth: 100, nodes: 100 };

    fn value(node: &Node) -> Value {
        match &node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => (*value).into(),
            Kind::Integer(value) => i64::try_from(*value).map_or_else(|_| (*value as f64).into(), Value::from),
            Kind::Float(value) => (*value).into(),
            Kind::Text(text) => text.as_str().into(),
            Kind::List(items) => items.iter().map(value).collect(),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.text.clone(), value(node))).collect())
            }
        }
    }

    #[test]
    fn what_is_json_is_read_as_serde_json_reads_it() {
        let texts = [
            "{}",
            "[]",
            " [ ] ",
            "null",
            "true",
            "-0",
            "0",
            "-12.5e-3",
            "1E5",
            "1.0",
            "9007199254740993",
            r#"{"a":[1,{"b":null},"x\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00ä😀"],"":{}}"#,
            "\t{\r\n\"a\" : false }\n",
        ];
        for text in texts {
            let read = parse(text, &BOUNDS).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(value(&read), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_where_serde_json_refuses_it() {
        let texts = [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "--1",
            "1e",
            "nul",
            "tru e",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\u12\"",
            "\"a\nb\"",
            "\"open",
            "{} {}",
            "[1]]",
            "NaN",
            "// x\n{}",
            "{\"a\" 1}",
        ];
        for text in texts {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
            assert!(parse(text, &BOUNDS).is_err(), "{text}");
        }
    }

    #[test]
    fn places_count_lines_and_characters() {
        let root = parse("{ \"ä\": 1,\n  \"b\": [ \"x\", 22 ] }", &BOUNDS).unwrap();
        let Kind::Map(entries) = &root.kind else { panic!() };
        let spot = |place: Place| (place.line, place.column, place.width);
        assert_eq!(spot(entries[0].1.place), (1, 8, 1));
        assert_eq!(spot(entries[1].0.place), (2, 3, 3));
        assert_eq!(spot(entries[1].1.item(1).unwrap().place), (2, 15, 2));
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(99), &BOUNDS).is_ok());
        assert!(parse(&nested(101), &Bounds { nodes: 1000, ..BOUNDS }).is_err());
        assert!(parse(&format!("[{}1]", "1,".repeat(100)), &BOUNDS).is_err());
    }
}
