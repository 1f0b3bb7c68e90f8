//! A header field as it was read: checked once, when its bytes come, however often it is referred to later.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::OVERHEAD;

/// A field of a message's head or trailers.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    /// `:authority`.
    Authority(HeaderValue),
    /// `:method`.
    Method(Method),
    /// `:path`.
    Path(PathAndQuery),
    /// `:scheme`, whatever it is: what a client asks by is known from its connection.
    Scheme,
    /// `:status`.
    Status(StatusCode),
    /// Any other.
    Header(HeaderName, HeaderValue),
    /// One that no message may have; what is wrong with it.
    Malformed(&'static str),
}

/// A field in a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) field: Field,
    pub(super) name_length: usize,
    pub(super) value_length: usize,
}

/// Longest target that the `http` crate takes.
const MAX_TARGET: usize = u16::MAX as usize - 1;

impl Entry {
    /// What it counts in a table, and in a header list.
    pub(super) fn size(&self) -> usize {
        self.name_length + self.value_length + OVERHEAD
    }

    /// The field that has these bytes for its name.
    pub(super) fn named(name: &[u8], value: Bytes) -> Self {
        let (name_length, value_length) = (name.len(), value.len());
        let field = match name {
            b":authority" => authority(value),
            b":method" => method(&value),
            b":path" => path(value),
            b":scheme" => scheme(&value),
            b":status" => status(&value),
            [b':', ..] => Field::Malformed("there is no pseudo-header field of this name"),
            // Upper case and all that is no token is refused by this.
            _ => match HeaderName::from_lowercase(name) {
                Ok(name) => header(name, value),
                Err(_) => Field::Malformed("a field name is not a token in lower case"),
            },
        };
        Self { field, name_length, value_length }
    }

    /// A field with the same name and another value.
    pub(super) fn with_value(&self, value: Bytes) -> Self {
        let value_length = value.len();
        let field = match &self.field {
            Field::Authority(_) => authority(value),
            Field::Method(_) => method(&value),
            Field::Path(_) => path(value),
            Field::Scheme => scheme(&value),
            Field::Status(_) => status(&value),
            Field::Header(name, _) => header(name.clone(), value),
            // A message with it is refused as well, and nobody who sends such fields is owed more.
            Field::Malformed(what) => Field::Malformed(what),
        };
        Self { field, name_length: self.name_length, value_length }
    }
}

fn authority(value: Bytes) -> Field {
    match plain_value(value) {
        Some(value) => Field::Authority(value),
        None => Field::Malformed("the authority has control bytes in it"),
    }
}

fn method(value: &[u8]) -> Field {
    match Method::from_bytes(value) {
        Ok(method) => Field::Method(method),
        Err(_) => Field::Malformed("the method is not a token"),
    }
}

fn path(value: Bytes) -> Field {
    if value.is_empty() || value.len() > MAX_TARGET || !value.iter().all(u8::is_ascii_graphic) {
        return Field::Malformed("the path is not a URI's");
    }
    match PathAndQuery::from_maybe_shared(value) {
        Ok(path) => Field::Path(path),
        Err(_) => Field::Malformed("the path is not a URI's"),
    }
}

/// RFC 3986, section 3.1.
fn scheme(value: &[u8]) -> Field {
    let is_scheme = matches!(value, [b'a'..=b'z' | b'A'..=b'Z', rest @ ..]
        if rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)));
    if is_scheme { Field::Scheme } else { Field::Malformed("the scheme is not one") }
}

fn status(value: &[u8]) -> Field {
    match StatusCode::from_bytes(value) {
        Ok(status) => Field::Status(status),
        Err(_) => Field::Malformed("the status is not three digits"),
    }
}

fn header(name: HeaderName, value: Bytes) -> Field {
    match plain_value(value) {
        Some(value) => Field::Header(name, value),
        None => Field::Malformed("a field value has control bytes in it, or blanks around it"),
    }
}

/// RFC 9113, section 8.2.1.
fn plain_value(value: Bytes) -> Option<HeaderValue> {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        return None;
    }
    HeaderValue::from_maybe_shared(value).ok()
}
