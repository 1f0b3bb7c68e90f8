//! JSON documents taken apart a level at a time, so that of two which are mostly written alike only the rest is read.
//!
//! What is passed over is only held to end where it should; whatever a comparison depends on is read by `serde_json`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memchr2;
use serde_json::Value;

/// So many bytes of a string are looked at one by one.
const SHORT: usize = 24;

/// Bytes that tell where a value within brackets ends.
const MATTERS: [bool; 256] = {
    let mut matters = [false; 256];
    matters[b'"' as usize] = true;
    matters[b'{' as usize] = true;
    matters[b'}' as usize] = true;
    matters[b'[' as usize] = true;
    matters[b']' as usize] = true;
    matters
};

/// The members of an object by name, each as it is written.
pub(super) type Members<'a> = BTreeMap<Cow<'a, str>, &'a str>;

/// A JSON value, taken apart by one level.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Taken<'a> {
    /// An object's members.
    Object(Members<'a>),
    /// An array's elements, with the index of each.
    Array(Vec<(usize, &'a str)>),
    /// What has no parts, or none that can be told apart.
    Plain,
}

/// A body that is one JSON value: the value without white space around it, and taken apart. `None`: it is none.
pub(super) fn document(body: &[u8]) -> Option<(&str, Taken<'_>)> {
    let text = std::str::from_utf8(body).ok()?.trim_matches([' ', '\t', '\n', '\r']);
    match taken_apart(text) {
        Taken::Plain => read(text).map(|_| (text, Taken::Plain)),
        apart => Some((text, apart)),
    }
}

/// A value by its parts.
pub(super) fn taken_apart(text: &str) -> Taken<'_> {
    members(text).map(Taken::Object).or_else(|| elements(text).map(Taken::Array)).unwrap_or(Taken::Plain)
}

/// What is in an object. Of members of one name the last counts. `None`: it is no object.
fn members(text: &str) -> Option<Members<'_>> {
    let mut members = Members::new();
    each(text, *b"{}", |text, at| {
        let end = end_of_string(text.as_bytes(), at)?;
        let key = &text[at + 1..end - 1];
        let key = if key.contains('\\') { Cow::Owned(serde_json::from_str(&text[at..end]).ok()?) } else { key.into() };
        let colon = Some(after_space(text, end)).filter(|at| text.as_bytes().get(*at) == Some(&b':'))?;
        let from = after_space(text, colon + 1);
        let end = end_of_value(text.as_bytes(), from)?;
        members.insert(key, &text[from..end]);
        Some(end)
    })?;
    Some(members)
}

/// What is in an array, with the index of each. `None`: it is no array.
fn elements(text: &str) -> Option<Vec<(usize, &str)>> {
    let mut elements = Vec::new();
    each(text, *b"[]", |text, at| {
        let end = end_of_value(text.as_bytes(), at)?;
        elements.push((elements.len(), &text[at..end]));
        Some(end)
    })?;
    Some(elements)
}

/// A value read whole; `None`: it is none, or deeper than `serde_json` goes.
pub(super) fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Takes apart what stands between these brackets and is separated by commas: `item` is told where one begins and says
/// where it ends.
fn each<'a>(
    text: &'a str,
    [open, close]: [u8; 2],
    mut item: impl FnMut(&'a str, usize) -> Option<usize>,
) -> Option<()> {
    let bytes = text.as_bytes();
    if *bytes.first()? != open {
        return None;
    }
    let mut at = after_space(text, 1);
    if *bytes.get(at)? != close {
        loop {
            at = after_space(text, item(text, at)?);
            match *bytes.get(at)? {
                b',' => at = after_space(text, at + 1),
                byte if byte == close => break,
                _ => return None,
            }
        }
    }
    (at + 1 == bytes.len()).then_some(())
}

fn after_space(text: &str, from: usize) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    from + rest.iter().take_while(|byte| is_space(byte)).count()
}

/// Where the string that begins at `at` ends; `None`: none begins there, or it has no end.
fn end_of_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut rest = bytes.get(at..)?.strip_prefix(b"\"")?;
    loop {
        // Most strings are shorter than it takes to begin a search by vectors.
        let short = rest.iter().take(SHORT).position(|byte| matches!(byte, b'"' | b'\\'));
        let end = short.or_else(|| Some(SHORT + memchr2(b'"', b'\\', rest.get(SHORT..)?)?))?;
        if rest[end] == b'"' {
            return Some(bytes.len() - rest.len() + end + 1);
        }
        rest = rest.get(end + 2..)?;
    }
}

/// Where the value that begins at `at` ends; `None`: none begins there, or it has no end.
fn end_of_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        // Within brackets only these matter.
        let rest = bytes.get(at..)?;
        let next = if depth == 0 { 0 } else { rest.iter().position(|byte| MATTERS[usize::from(*byte)])? };
        at += next;
        match *rest.get(next)? {
            b'"' => at = end_of_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ => return end_of_plain(bytes, at),
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Where a number or a word ends.
fn end_of_plain(bytes: &[u8], at: usize) -> Option<usize> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let length = bytes[at..].iter().take_while(|byte| is_plain(byte)).count();
    (length > 0).then_some(at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `serde_json` reads, taken apart level by level and put together again.
    fn whole((text, taken): (&str, Taken<'_>)) -> Option<Value> {
        let inner = |text| whole((text, taken_apart(text)));
        match taken {
            Taken::Object(members) => {
                let members = members.into_iter().map(|(key, value)| Some((key.into_owned(), inner(value)?)));
                members.collect::<Option<_>>().map(Value::Object)
            }
            Taken::Array(elements) => {
                elements.into_iter().map(|(_, value)| inner(value)).collect::<Option<_>>().map(Value::Array)
            }
            Taken::Plain => read(text),
        }
    }

    #[test]
    fn a_document_taken_apart_is_what_serde_json_reads() {
        let texts = [
            "{}",
            " [ ] ",
            r#"{"a":[1,-2.5e+3,true,null,"x"],"b":{"c":{}}}"#,
            " { \"a\\\"b\" :\t1 ,\r\n\"\\u00e9\": [ { } , [ [ ] ] ] , \"\": \"}],{[\\\\\" } ",
            r#"{"a":1,"a":2}"#,
            "\"only a text\"",
            "-0.5",
        ];
        for text in texts {
            let read: Value = serde_json::from_str(text).unwrap();
            assert_eq!(document(text.as_bytes()).and_then(whole), Some(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_document_is_none_wherever_it_breaks_off() {
        let text = "{\"a\":[1,{\"b\":\"c\\\\\"}],\"d\":null}";
        for end in 0..text.len() {
            assert_eq!(document(&text.as_bytes()[..end]), None, "{}", &text[..end]);
        }
        for text in ["", " ", "hello", "{} {}", "[1]]", "1 2", "\"a", "\"a\\", "nul"] {
            assert_eq!(document(text.as_bytes()), None, "{text}");
        }
        for text in ["{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{a:1}", "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}"] {
            assert_eq!(members(text), None, "{text}");
        }
        for text in ["[1,]", "[,]", "[1 2]", "[", "{}"] {
            assert_eq!(elements(text), None, "{text}");
        }
    }

    #[test]
    fn whatever_bytes_come_nothing_panics_and_what_serde_json_reads_is_read_alike() {
        let mut rng = fastrand::Rng::with_seed(7);
        let alphabet = b"{}[]\",:\\ 1e-.tru\n\xc3\xa9u0";
        for _ in 0..50_000 {
            let text: Vec<u8> = (0..rng.usize(0..24)).map(|_| alphabet[rng.usize(0..alphabet.len())]).collect();
            let taken = document(&text).and_then(whole);
            if let Ok(read) = serde_json::from_slice::<Value>(&text) {
                assert_eq!(taken, Some(read), "{}", String::from_utf8_lossy(&text));
            }
        }
    }
}
