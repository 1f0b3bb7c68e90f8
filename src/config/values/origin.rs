//! Where pages come from.

use serde_json::{Value, json};

use super::{Scalar, Wrong};

/// An origin as browsers send it (RFC 6454, section 6.1), or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Origin(pub(in crate::config) String);

/// All origins.
pub(in crate::config) const ANY: &str = "*";

impl Scalar for Origin {
    fn expected() -> String {
        "an origin such as `https://shop.example`, or `*`".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(\\*|[a-z][a-z0-9+.-]*://[^/?#@\\s]+)$", "maxLength": 256 })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text == ANY {
            return Ok(Self(text.to_owned()));
        }
        let wrong = || Wrong::new("not an origin");
        let Some((scheme, authority)) = text.split_once("://") else {
            return Err(wrong().help(format!("write `https://{}`", text.trim_matches('/'))));
        };
        if text != text.to_ascii_lowercase() {
            return Err(wrong().help(format!("browsers send `{}`", text.to_ascii_lowercase())));
        }
        if let Some((host, _)) = authority.split_once('/') {
            return Err(wrong().help(format!("an origin has no path: write `{scheme}://{host}`")));
        }
        let is_default = |(known, port): &(&str, &str)| *known == scheme && authority.ends_with(port);
        if let Some((_, port)) = [("http", ":80"), ("https", ":443")].iter().find(|known| is_default(known)) {
            let host = authority.trim_end_matches(port);
            return Err(wrong().help(format!("browsers leave the scheme's own port out: `{scheme}://{host}`")));
        }
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
        let is_authority =
            !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_graphic() && !b"?#@,*".contains(&b));
        if is_scheme && is_authority && text.len() <= 256 { Ok(Self(text.to_owned())) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for good in ["*", "https://shop.example", "http://localhost:3000", "http://[::1]:3000", "capacitor://localhost"]
        {
            assert_eq!(Origin::from_text(good).ok(), Some(Origin(good.to_owned())), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/path",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://Shop.example",
            "https://user@shop.example",
            "https://*.shop.example",
            "https://shop.example, https://other.example",
            "null",
        ] {
            assert!(Origin::from_text(bad).is_err(), "{bad}");
        }
    }
}
