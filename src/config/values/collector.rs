//! Where spans are sent.

use serde_json::{Value, json};

use super::{Scalar, Wrong};

/// The base URL of an OTLP/HTTP collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Collector {
    /// A name, or an address without brackets.
    pub(in crate::config) host: String,
    pub(in crate::config) port: u16,
    /// Where spans are posted: the path of the URL with OTLP's own after it.
    pub(in crate::config) path: String,
}

/// The port of OTLP over HTTP.
const PORT: u16 = 4318;
/// What OTLP puts after the base URL.
const SIGNAL: &str = "/v1/traces";

impl Scalar for Collector {
    fn expected() -> String {
        "a URL such as http://127.0.0.1:4318".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^http://", "maxLength": 1024 })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong::new("not a collector's URL");
        if text.starts_with("https://") {
            return Err(wrong().help("spans go out in plain HTTP: to a collector on this machine, or one in the mesh"));
        }
        if !text.starts_with("http://") {
            return Err(wrong().help(format!("write `http://{}`", text.trim_start_matches('/'))));
        }
        let uri: http::Uri = text.parse().ok().filter(|_| text.len() <= 1024).ok_or_else(wrong)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        if uri.query().is_some() || authority.host().is_empty() {
            return Err(wrong());
        }
        let base = uri.path().trim_end_matches('/');
        if base.ends_with(SIGNAL) {
            return Err(wrong().help(format!("leave `{SIGNAL}` out: it is put there by itself")));
        }
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| Wrong::new("the port is not a number from 1 to 65535"))?,
            _ => PORT,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port, path: format!("{base}{SIGNAL}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_base_url_with_a_port_of_its_own_or_otlps() {
        let read =
            |text: &str| Collector::from_text(text).ok().map(|Collector { host, port, path }| (host, port, path));
        let of = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(read("http://127.0.0.1:4319"), of("127.0.0.1", 4319, "/v1/traces"));
        assert_eq!(read("http://collector.internal/"), of("collector.internal", 4318, "/v1/traces"));
        assert_eq!(read("http://[::1]:80/tenant/a/"), of("::1", 80, "/tenant/a/v1/traces"));
        assert_eq!(read("http://[::1]"), of("::1", 4318, "/v1/traces"));
        for bad in [
            "",
            "127.0.0.1:4318",
            "https://collector",
            "grpc://collector",
            "http://",
            "http://user@collector",
            "http://collector/?a",
            "http://collector:0",
            "http://collector:99999",
            "http://collector/v1/traces",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
