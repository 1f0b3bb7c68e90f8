//! Parameters of a query string (`application/x-www-form-urlencoded`: `&` between pairs, `+` for a space).

use std::borrow::Cow;

/// The value of the first parameter with this name, still encoded; empty where the parameter has no `=`.
pub(super) fn first<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(raw, _)| if is_encoded(raw) { decoded(raw).eq(name.bytes()) } else { *raw == name })
        .map(|(_, value)| value)
}

/// The decoded bytes; borrowed where nothing is encoded.
pub(super) fn decode(raw: &str) -> Cow<'_, [u8]> {
    if is_encoded(raw) { Cow::Owned(decoded(raw).collect()) } else { Cow::Borrowed(raw.as_bytes()) }
}

/// The decoded bytes, one by one. A `%` without two hexadecimal digits stands for itself, as in the WHATWG URL standard.
pub(super) fn decoded(raw: &str) -> impl Iterator<Item = u8> {
    let mut rest = raw.as_bytes();
    std::iter::from_fn(move || {
        let (byte, used) = match *rest {
            [] => return None,
            [b'%', high, low, ..] => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            [b'+', ..] => (b' ', 1),
            [byte, ..] => (byte, 1),
        };
        rest = &rest[used..];
        Some(byte)
    })
}

fn is_encoded(raw: &str) -> bool {
    raw.bytes().any(|byte| byte == b'%' || byte == b'+')
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parameter_of_a_name_counts_and_names_are_decoded() {
        for (query, name, expected) in [
            ("a=1&b=2&a=3", "a", Some("1")),
            ("a=1&b=2", "b", Some("2")),
            ("a", "a", Some("")),
            ("a=", "a", Some("")),
            ("a=b=c", "a", Some("b=c")),
            ("%61=1", "a", Some("1")),
            ("a+b=1", "a b", Some("1")),
            ("a+b=1", "a+b", None),
            ("a%2Bb=1", "a+b", Some("1")),
            ("ab=1", "a", None),
            ("A=1", "a", None),
            ("", "a", None),
        ] {
            assert_eq!(first(query, name), expected, "{query} {name}");
        }
    }

    #[test]
    fn values_are_decoded_and_what_is_no_encoding_stands_for_itself() {
        for (raw, expected) in [
            ("plain", "plain"),
            ("a+b", "a b"),
            ("a%20b%2Bc%2b", "a b+c+"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%C3%a9", "\u{e9}"),
            ("", ""),
        ] {
            assert_eq!(decode(raw).as_ref(), expected.as_bytes(), "{raw}");
        }
        assert!(matches!(decode("plain"), Cow::Borrowed(_)));
    }
}
