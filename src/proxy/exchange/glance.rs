//! One look at the names of a message's headers, so that what is rare is not searched for in vain.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE,
    COOKIE, DATE, ETAG, EXPECT, FORWARDED, HOST, LAST_MODIFIED, SERVER, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT, VARY,
};
use http::{HeaderMap, HeaderName};

use crate::plan::{FLAG_HEADER_PREFIX, SHADOW_HEADER};

/// Envoy's header for a verified client certificate.
pub(super) const CLIENT_CERTIFICATE: &str = "x-forwarded-client-cert";

/// What there is among the headers of a message.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent findings")]
pub(super) struct Glance {
    pub(super) connection: bool,
    pub(super) te: bool,
    pub(super) upgrade: bool,
    pub(super) expect: bool,
    pub(super) forwarded: bool,
    /// What somebody says of a client's certificate.
    pub(super) client_certificate: bool,
    /// What somebody says of flags.
    pub(super) flags: bool,
    /// What somebody says of this being a copy.
    pub(super) shadow: bool,
    /// Anything but `Connection` and `TE` that speaks of one hop only, or shadows a name that is vouched for.
    pub(super) doomed: bool,
}

impl Glance {
    /// Looks at every name once.
    pub(super) fn at(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for name in headers.keys() {
            seen.note(name);
        }
        seen
    }

    fn note(&mut self, name: &HeaderName) {
        match *name {
            // What most messages have, and nobody has to look at.
            ACCEPT | ACCEPT_ENCODING | ACCEPT_LANGUAGE | AUTHORIZATION | CACHE_CONTROL | CONTENT_LENGTH
            | CONTENT_TYPE | COOKIE | DATE | ETAG | HOST | LAST_MODIFIED | SERVER | SET_COOKIE | USER_AGENT | VARY => {}
            CONNECTION => self.connection = true,
            TE => self.te = true,
            UPGRADE => (self.upgrade, self.doomed) = (true, true),
            EXPECT => self.expect = true,
            FORWARDED => self.forwarded = true,
            _ => self.note_other(name),
        }
    }

    fn note_other(&mut self, name: &HeaderName) {
        let text = name.as_str();
        // Underscores after this prefix do no harm: the whole name goes.
        if text.starts_with(FLAG_HEADER_PREFIX) {
            self.flags = true;
        } else if text == CLIENT_CERTIFICATE {
            self.client_certificate = true;
        } else if *name == SHADOW_HEADER {
            self.shadow = true;
        } else {
            self.doomed |= is_doomed(name);
        }
    }
}

/// Whether a header but `Connection` and `TE` speaks of one hop only (RFC 9110, section 7.6.1), or has a name that a gateway which turns dashes
/// into underscores would take for one it trusts.
pub(super) fn is_doomed(name: &HeaderName) -> bool {
    let text = name.as_str();
    match text.as_bytes()[0] {
        b't' => *name == TRANSFER_ENCODING || shadows(text),
        b'u' => *name == UPGRADE,
        b'k' => text == "keep-alive",
        b'p' => text.starts_with("proxy-"),
        b'c' | b'x' | b'f' => shadows(text),
        b'h' => text == "http2-settings",
        _ => false,
    }
}

/// Whether a name with underscores is one of those that frame or vouch for a message, written with dashes.
fn shadows(name: &str) -> bool {
    const PROTECTED: [&str; 5] = ["content-length", "transfer-encoding", "forwarded", "x-forwarded-", "x-serin-"];
    if !name.bytes().any(|byte| byte == b'_') {
        return false;
    }
    let dashed = name.replace('_', "-");
    PROTECTED.iter().any(|protected| dashed.starts_with(protected))
}
