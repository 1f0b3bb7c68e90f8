//! Where events are posted, and which.

use http::uri::PathAndQuery;
use serde_json::{Value, json};

use crate::events::Kind;
use crate::plan::Address;

use super::address::authority;
use super::choice::{one_of, unknown};
use super::{Scalar, Wrong};

/// Where events are posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct HookUrl {
    /// It was written with `https`.
    pub(in crate::config) secure: bool,
    pub(in crate::config) address: Address,
    /// Path and query, as they are sent.
    pub(in crate::config) target: String,
}

/// The name of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct EventName(pub(in crate::config) Kind);

/// Longest URL, in bytes.
const MAX_URL: usize = 2048;

impl Scalar for HookUrl {
    fn expected() -> String {
        "a URL such as https://hooks.example/serin".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^https?://", "maxLength": MAX_URL })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.len() > MAX_URL {
            return Err(Wrong::new(format!("longer than {MAX_URL} bytes")));
        }
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            (None, None) => return Err(Wrong::new("not a URL").help("it begins with `https://` or `http://`")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        if host.contains('@') {
            return Err(
                Wrong::new("a user or password has no place in this URL").help("the signature says who sends it")
            );
        }
        if target.contains('#') {
            return Err(Wrong::new("a fragment is never sent").help("leave out what begins with `#`"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let target =
            target.parse::<PathAndQuery>().map_err(|_| Wrong::new("its path is not one that can be asked for"))?;
        let address = authority(host, if secure { 443 } else { 80 })?;
        Ok(Self { secure, address, target: target.to_string() })
    }
}

impl Scalar for EventName {
    fn expected() -> String {
        one_of(Kind::WORDS)
    }

    fn schema() -> Value {
        json!({ "enum": Kind::WORDS })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Kind::of_word(text).map(Self).ok_or_else(|| unknown(text, Kind::WORDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_a_url_with_whatever_path_and_no_user() {
        let read = |text: &str| {
            let url = HookUrl::from_text(text).ok()?;
            Some(format!("{} {} {}", url.secure, url.address, url.target))
        };
        assert_eq!(read("https://hooks.example/a/b?c=d").as_deref(), Some("true hooks.example:443 /a/b?c=d"));
        assert_eq!(read("http://127.0.0.1:8080").as_deref(), Some("false 127.0.0.1:8080 /"));
        assert_eq!(read("http://[::1]?a").as_deref(), Some("false [::1]:80 /?a"));
        for bad in [
            "",
            "hooks.example",
            "ftp://a",
            "http://",
            "https:///a",
            "http://u@h/",
            "http://h/#a",
            "http://h:0/",
            "http://h/a b",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("http://h/{}", "a".repeat(MAX_URL))), None);
    }
}
