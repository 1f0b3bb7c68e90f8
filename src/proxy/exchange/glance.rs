//! One look at the names of a message's headers, so that what is rare is not searched for in vain.

use http::header::{CONNECTION, EXPECT, FORWARDED, TE, TRANSFER_ENCODING, UPGRADE};
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
    /// Anything but `Connection` that speaks of one hop only, or shadows a name that is vouched for.
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
            CONNECTION => {
                self.connection = true;
                return;
            }
            TE => self.te = true,
            UPGRADE => self.upgrade = true,
            EXPECT => {
                self.expect = true;
                return;
            }
            FORWARDED => {
                self.forwarded = true;
                return;
            }
            _ if name.as_str() == CLIENT_CERTIFICATE => {
                self.client_certificate = true;
                return;
            }
            _ if name.as_str().starts_with(FLAG_HEADER_PREFIX) => {
                self.flags = true;
                // Underscores further on do no harm: the whole name goes.
                return;
            }
            _ if *name == SHADOW_HEADER => {
                self.shadow = true;
                return;
            }
            _ if !is_doomed(name) => return,
            _ => {}
        }
        self.doomed = true;
    }
}

/// Whether a header but `Connection` speaks of one hop only (RFC 9110, section 7.6.1), or has a name that a gateway which turns dashes
/// into underscores would take for one it trusts.
pub(super) fn is_doomed(name: &HeaderName) -> bool {
    let text = name.as_str();
    match text.as_bytes()[0] {
        b't' => *name == TE || *name == TRANSFER_ENCODING || shadows(text),
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
