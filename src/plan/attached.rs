//! What flags have to do with requests, as configured: which are sent to the upstream, which steer the split, and what
//! their rules may ask about a request.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{VersionId, query, sticky};
use crate::jwt;

/// What the headers begin with that carry flags; what clients send under such names is removed.
pub const FLAG_HEADER_PREFIX: &str = "x-serin-flag-";

/// A flag whose value is sent to the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteFlag {
    /// Its key in the flag file.
    pub key: Arc<str>,
    /// The header that carries its value.
    pub header: HeaderName,
}

impl RouteFlag {
    /// The flag of this key, in the header that is named after it: in lower case, `-` for what has no place in a header's
    /// name. `None` where that makes no header name, as for a key of some 65,000 characters.
    #[must_use]
    pub fn new(key: &str) -> Option<Self> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let named: String = key.chars().map(|c| if legal(c) { c.to_ascii_lowercase() } else { '-' }).collect();
        let header = HeaderName::try_from(format!("{FLAG_HEADER_PREFIX}{named}")).ok()?;
        Some(Self { key: key.into(), header })
    }
}

/// Most bytes of a header that carries a flag.
const MAX_FLAG_VALUE: usize = 4096;

/// A flag's value as a header carries it: booleans, numbers and strings as text, lists and objects as compact JSON. `None`
/// for null, and for what no header can carry as it is: control characters, blanks at the ends, more than
/// 4096 bytes.
#[must_use]
pub fn flag_header_value(value: &Value) -> Option<HeaderValue> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    if text.len() > MAX_FLAG_VALUE || text.trim_matches([' ', '\t']) != text {
        return None;
    }
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// Most variants of a flag by which latency and failures are kept apart; further ones count together.
pub const MEASURED_VARIANTS: usize = 32;

/// What flags do to the split of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceFlags {
    /// The flag whose variant is the version.
    pub version_from: Option<Arc<str>>,
    /// The flags that take a version's share away while they are true, by version.
    pub kill_switches: Vec<(VersionId, Arc<str>)>,
    /// The flag by whose variants latency and failures are kept apart.
    pub measure_by: Option<Arc<str>>,
    /// The variant of that flag which the others are compared with. `None`: its default variant.
    pub baseline: Option<Arc<str>>,
}

impl ServiceFlags {
    /// Whether any flag has anything to do with the service's requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.version_from.is_none() && self.kill_switches.is_empty() && self.measure_by.is_none()
    }
}

/// What the rules of flags may ask about a request beside what they always may.
#[derive(Debug, Clone, Default)]
pub struct FlagContext {
    /// Attributes taken from requests; no two have the same name.
    pub attributes: Vec<FlagAttribute>,
    /// Where the token is whose claims are attributes, and when it is believed. `None`: no token is looked at.
    pub token: Option<Token>,
}

/// The attributes that every request has, whatever is configured.
pub const OWN_ATTRIBUTES: [&str; 8] =
    ["targetingKey", "clientAddress", "route", "service", "version", "host", "path", "method"];

/// One attribute taken from requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagAttribute {
    /// Its name in rules.
    pub name: Box<str>,
    /// Where its value is.
    pub source: AttributeSource,
}

/// Where the value of an attribute is. Of several with the name the first counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeSource {
    /// A header.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
    /// A query parameter, percent-decoded.
    Query(String),
    /// A claim of a token that holds.
    Claim(String),
}

/// Where the token of a request is, and when it is believed.
#[derive(Debug, Clone)]
pub struct Token {
    /// The header it is in.
    pub header: HeaderName,
    /// The JWKS file, relative to the folder of `serin.yaml`.
    pub jwks: PathBuf,
    /// What `iss` must say. `None`: anything.
    pub issuer: Option<String>,
    /// What `aud` must say. `None`: anything.
    pub audience: Option<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// All of that with the keys, once the file was read.
    pub rules: Option<Arc<jwt::Rules>>,
}

impl AttributeSource {
    /// The value in a request, as far as it is text in UTF-8; `None` also for claims, which are in no request. `query` is
    /// without its `?`.
    #[must_use]
    pub fn find<'a>(&self, headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        match self {
            Self::Header(name) => text(headers.get(name)?.as_bytes()),
            Self::Cookie(name) => text(sticky::cookie(headers, name.as_bytes())?),
            Self::Query(name) => match query::decode(query::first(query?, name)?) {
                Cow::Borrowed(bytes) => text(bytes),
                Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
            },
            Self::Claim(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_becomes_the_name_of_a_header() {
        for (key, header) in [
            ("new-checkout", "x-serin-flag-new-checkout"),
            ("newCheckout", "x-serin-flag-newcheckout"),
            ("shop.checkout_v2", "x-serin-flag-shop.checkout_v2"),
            ("shop/checkout v2", "x-serin-flag-shop-checkout-v2"),
            ("caf\u{e9}\r\n: x", "x-serin-flag-caf-----x"),
        ] {
            assert_eq!(RouteFlag::new(key).unwrap().header, header, "{key:?}");
        }
        assert_eq!(RouteFlag::new(&"k".repeat(1 << 16)), None);
    }

    #[test]
    fn values_are_text_or_compact_json_as_far_as_a_header_can_carry_them() {
        let shown = |value: Value| flag_header_value(&value).map(|v| String::from_utf8(v.as_bytes().to_vec()).unwrap());
        for (value, expected) in [
            (json!(true), Some("true")),
            (json!(-3), Some("-3")),
            (json!(2.5), Some("2.5")),
            (json!("red"), Some("red")),
            (json!(""), Some("")),
            (json!("gr\u{fc}n"), Some("gr\u{fc}n")),
            (json!({ "a": [1, "b c"], "d": null }), Some(r#"{"a":[1,"b c"],"d":null}"#)),
            (json!({ "a": "line\nend" }), Some(r#"{"a":"line\nend"}"#)),
            (json!("line\nend"), None),
            (json!("a\u{7f}"), None),
            (json!(" a"), None),
            (json!("a\t"), None),
            (json!(null), None),
            (json!("x".repeat(4097)), None),
        ] {
            assert_eq!(shown(value.clone()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn attributes_are_the_text_that_a_request_has_under_their_name() {
        let mut headers = HeaderMap::new();
        headers.insert("x-country", "ch".parse().unwrap());
        headers.append("x-country", "de".parse().unwrap());
        headers.insert("cookie", "plan=gold; x=1".parse().unwrap());
        headers.insert("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap());
        let find =
            |source: AttributeSource| source.find(&headers, Some("beta=a%20b&empty&bad=%ff")).map(Cow::into_owned);
        let header = |name| AttributeSource::Header(HeaderName::from_static(name));
        assert_eq!(find(header("x-country")).as_deref(), Some("ch"), "the first of several");
        assert_eq!(find(header("x-bytes")), None, "what is no text");
        assert_eq!(find(header("x-none")), None);
        assert_eq!(find(AttributeSource::Cookie("plan".to_owned())).as_deref(), Some("gold"));
        assert_eq!(find(AttributeSource::Query("beta".to_owned())).as_deref(), Some("a b"));
        assert_eq!(find(AttributeSource::Query("empty".to_owned())).as_deref(), Some(""));
        assert_eq!(find(AttributeSource::Query("bad".to_owned())), None);
        assert_eq!(find(AttributeSource::Claim("x-country".to_owned())), None, "claims are in no request");
    }
}
