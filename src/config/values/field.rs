//! Pieces of HTTP: methods, header names and values, host names.

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::plan::HostPattern;

use super::address::is_dns_name;
use super::choice::{one_of, unknown};
use super::{Scalar, Wrong};

/// A header's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct FieldName(pub(in crate::config) HeaderName);

/// A header's value.
#[derive(Debug, Clone)]
pub(in crate::config) struct FieldValue(pub(in crate::config) HeaderValue);

/// One of the methods Gateway API knows.
#[derive(Debug, Clone)]
pub(in crate::config) struct HttpMethod(pub(in crate::config) Method);

/// A host name, exact or with `*.` before it.
#[derive(Debug, Clone)]
pub(in crate::config) struct Hostname(pub(in crate::config) HostPattern);

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

impl Scalar for FieldName {
    fn expected() -> String {
        "a header name".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$", "maxLength": 256 })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|name| name.as_str().len() <= 256);
        name.map(Self).ok_or_else(|| Wrong::new("not a header name"))
    }
}

impl Scalar for FieldValue {
    fn expected() -> String {
        "a header value".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": 4096 })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.len() > 4096 {
            return Err(Wrong::new("longer than 4096 bytes"));
        }
        // Controls, and spaces at the ends, would not come out as they were written.
        let value = HeaderValue::from_str(text).ok().filter(|_| text.trim_matches([' ', '\t']) == text);
        value.map(Self).ok_or_else(|| Wrong::new("not a header value"))
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("put it in quotes: \"{number}\"")))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("put it in quotes: \"{number}\"")))
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("put it in quotes: \"{value}\"")))
    }
}

impl Scalar for HttpMethod {
    fn expected() -> String {
        one_of(&METHODS)
    }

    fn schema() -> Value {
        json!({ "enum": METHODS })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if METHODS.contains(&text) => Ok(Self(method)),
            _ => Err(unknown(text, &METHODS)),
        }
    }
}

impl Scalar for Hostname {
    fn expected() -> String {
        "a host name such as shop.example or \"*.example.com\", without a port".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": 253 })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let name = text.to_ascii_lowercase();
        if name == "*" {
            return Err(Wrong::new("not a host name").help("a route without `hostnames` answers for all of them"));
        }
        if name.parse::<std::net::Ipv4Addr>().is_ok() {
            return Ok(Self(HostPattern::Exact(name)));
        }
        let suffix = name.strip_prefix("*.");
        if !is_dns_name(suffix.unwrap_or(&name)) || name.ends_with('.') {
            let wrong = Wrong::new("not a host name");
            return Err(match name.rsplit_once(':') {
                Some((host, port)) if is_dns_name(host) && port.parse::<u16>().is_ok() => {
                    wrong.help("the port does not matter to a route: leave it out")
                }
                _ if suffix.is_none() && name.contains('*') => {
                    wrong.help("`*` stands for the first labels alone: \"*.example.com\"")
                }
                _ => wrong,
            });
        }
        Ok(Self(match suffix {
            Some(suffix) => HostPattern::Wildcard(format!(".{suffix}")),
            None => HostPattern::Exact(name),
        }))
    }
}
