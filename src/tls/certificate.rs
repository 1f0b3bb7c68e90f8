//! What is said in a certificate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::subject;

/// What serin needs to know of what a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whom it is for, as RFC 4514 writes it; may be empty.
    pub subject: String,
    /// DNS names among its alternative names, in lower case, wildcards included.
    pub dns: Vec<String>,
    /// URIs among its alternative names.
    pub uris: Vec<String>,
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970; for a chain, until when all of it is.
    pub not_after: i64,
}

impl Facts {
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| format!("a certificate in it cannot be read: {error}"))?;
        let mut facts = Self {
            subject: subject::text(certificate.subject()),
            dns: Vec::new(),
            uris: Vec::new(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        };
        let names = certificate.subject_alternative_name().map_err(|_| "its alternative names cannot be read")?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => facts.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(uri) => facts.uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Whether it is not valid any more.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        seconds(now) > self.not_after
    }

    /// Whether it is not valid yet.
    #[must_use]
    pub fn is_early(&self, now: SystemTime) -> bool {
        seconds(now) < self.not_before
    }

    /// Until when it is valid; 1970 for what ended before that.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.not_after).unwrap_or(0))
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
