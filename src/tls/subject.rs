//! Distinguished names as text: RFC 4514, with everything that is not printable ASCII escaped, as OpenSSL's `RFC2253`
//! prints them.

use std::fmt::Write as _;

use x509_parser::prelude::{AttributeTypeAndValue, X509Name};

/// The last relative name first, as it is written since LDAP.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            append(&mut text, attribute);
        }
    }
    text
}

fn append(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let id = attribute.attr_type().to_id_string();
    match NAMES.iter().find(|(known, _)| *known == id) {
        Some((_, name)) => text.push_str(name),
        None => text.push_str(&id),
    }
    text.push('=');
    if let Ok(value) = attribute.as_str() {
        escape(text, value);
    } else {
        // Of an odd type: its bytes.
        text.push('#');
        for byte in attribute.attr_value().data {
            hex(text, *byte);
        }
    }
}

/// The short names of RFC 4514, section 3, and those that OpenSSL has beyond.
const NAMES: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

fn escape(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'#' if at == 0 => text.push_str("\\#"),
            b' ' if at == 0 || at == last => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                text.push('\\');
                hex(text, byte);
            }
        }
    }
}

fn hex(text: &mut String, byte: u8) {
    // Writing to a string does not fail.
    let _ = write!(text, "{byte:02X}");
}
