//! Versions of TLS, and the names in certificates.

use serde_json::{Value, json};

use super::{Scalar, Wrong};
use crate::config::values::choice::{one_of, unknown};

/// A version of TLS that may be the oldest one.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum TlsVersion {
    /// `1.2`
    Tls12,
    /// `1.3`
    Tls13,
}

const VERSIONS: [&str; 2] = ["\"1.2\"", "\"1.3\""];

impl Scalar for TlsVersion {
    fn expected() -> String {
        one_of(&VERSIONS)
    }

    fn schema() -> Value {
        json!({ "enum": ["1.2", "1.3"] })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            "1.0" | "1.1" => Err(Wrong::new("this version of TLS is broken, and is not spoken here")),
            other => Err(unknown(other, &VERSIONS)),
        }
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("a version is no number: put it in quotes: \"{number}\"")))
    }
}

/// A DNS name or IP address that a certificate is for.
#[derive(Debug, Clone)]
pub(in crate::config) struct ServerName(pub(in crate::config) rustls::pki_types::ServerName<'static>);

impl Scalar for ServerName {
    fn expected() -> String {
        "a DNS name or an IP address".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["shop.internal", "10.0.0.1"] })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let name = rustls::pki_types::ServerName::try_from(text.to_owned());
        name.map(Self).map_err(|_| Wrong::new("not a name that a certificate can have"))
    }
}
