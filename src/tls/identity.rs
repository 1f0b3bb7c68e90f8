//! Who a client is, by the certificate it has shown.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::certificate::Facts;

/// A part of a client's certificate that tells clients apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The subject, as RFC 4514 writes it.
    Subject,
    /// The first URI among the alternative names.
    Uri,
    /// The first DNS name among the alternative names.
    Dns,
    /// The SHA-256 of the certificate, in lower-case hexadecimal.
    Hash,
}

/// A client whose certificate was verified.
#[derive(Debug, Clone)]
pub struct Identity {
    subject: Arc<str>,
    hash: String,
    facts: Facts,
    forwarded: HeaderValue,
}

impl Identity {
    /// The identity in a verified certificate. `by`: the URIs of the certificate that the client was shown. `None` where
    /// it cannot be read, which verifying it has ruled out.
    #[must_use]
    pub fn new(certificate: &[u8], by: &[String]) -> Option<Self> {
        let facts = Facts::read(certificate).ok()?;
        let hash = Sha256::digest(certificate).iter().fold(String::new(), |mut hash, byte| {
            // Writing to a string does not fail.
            let _ = write!(hash, "{byte:02x}");
            hash
        });
        let forwarded = HeaderValue::try_from(element(by, &hash, &facts)).ok()?;
        Some(Self { subject: facts.subject.as_str().into(), hash, facts, forwarded })
    }

    /// Whom the certificate is for.
    #[must_use]
    pub fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// One part of it, where it has that.
    #[must_use]
    pub fn part(&self, part: Part) -> Option<&str> {
        match part {
            Part::Subject => Some(&self.subject),
            Part::Uri => self.facts.uris.first().map(String::as_str),
            Part::Dns => self.facts.dns.first().map(String::as_str),
            Part::Hash => Some(&self.hash),
        }
    }

    /// The element of `x-forwarded-client-cert` that says all of this, as Envoy writes it.
    #[must_use]
    pub fn forwarded(&self) -> &HeaderValue {
        &self.forwarded
    }

    /// Whether the certificate is not valid any more: a resumed session does not look at it again.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.facts.is_expired(now)
    }
}

/// Source: Envoy's documentation of `x-forwarded-client-cert`.
fn element(by: &[String], hash: &str, facts: &Facts) -> String {
    let mut element = String::new();
    for uri in by {
        pair(&mut element, "By", uri);
    }
    pair(&mut element, "Hash", hash);
    // The subject's own escapes make it fit to be quoted.
    let _ = write!(element, ";Subject=\"{}\"", facts.subject);
    for uri in &facts.uris {
        pair(&mut element, "URI", uri);
    }
    for name in &facts.dns {
        pair(&mut element, "DNS", name);
    }
    element
}

/// Appends `key=value`, the value quoted where its own signs could be taken for the element's.
fn pair(element: &mut String, key: &str, value: &str) {
    if !element.is_empty() {
        element.push(';');
    }
    element.push_str(key);
    element.push('=');
    let quoted = value.bytes().any(|byte| b",;=\"\\ ".contains(&byte));
    if quoted {
        element.push('"');
    }
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => {
                element.push('\\');
                element.push(char::from(byte));
            }
            b' '..=b'~' => element.push(char::from(byte)),
            _ => {
                let _ = write!(element, "%{byte:02X}");
            }
        }
    }
    if quoted {
        element.push('"');
    }
}
