//! The sentence beside a status.

use std::fmt::Write;

use http::HeaderValue;

/// A sentence as `grpc-message` carries it: everything but printable ASCII is percent-encoded, and so is `%`.
#[must_use]
pub fn message_value(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Invariant: a `String` takes everything.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    // Invariant: only printable ASCII is left, which every header value may hold.
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_percent_encoded_where_a_header_could_not_carry_it() {
        for (text, value) in [
            ("", ""),
            ("No route matches this request.", "No route matches this request."),
            ("100%", "100%25"),
            ("a\r\nb\0", "a%0D%0Ab%00"),
            ("Bäcker ☕", "B%C3%A4cker %E2%98%95"),
            ("~\u{7f}", "~%7F"),
        ] {
            assert_eq!(message_value(text), value, "{text:?}");
        }
    }
}
