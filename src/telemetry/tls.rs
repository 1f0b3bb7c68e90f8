//! Figures of TLS: handshakes by listener, and until when certificates are valid.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use super::labels::labelled;

labelled! {
    /// How a handshake with a client ended.
    Handshake {
        /// A new session.
        Full => "full",
        /// An earlier session goes on.
        Resumed => "resumed",
        /// The client showed no certificate where it must, or one that does not hold.
        ClientCertificate => "clientCertificate",
        /// What came is not TLS, such as plain HTTP.
        NotTls => "notTls",
        /// It took too long.
        Timeout => "timeout",
        /// The client left.
        ClientGone => "clientGone",
        /// No version or suite in common, a certificate the client does not take, or anything else.
        Failed => "failed",
    }
}

/// One listener's handshakes. Written by all workers: beside what a handshake costs, sharing a counter is nothing.
#[derive(Debug, Default)]
pub struct HandshakeCell([AtomicU64; Handshake::ALL.len()]);

impl HandshakeCell {
    /// A handshake ended so.
    pub fn ended(&self, result: Handshake) {
        self.0[result as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> [u64; Handshake::ALL.len()] {
        Handshake::ALL.map(|result| self.0[result as usize].load(Relaxed))
    }
}

/// A certificate in use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateInUse {
    /// Its file, as the configuration names it.
    pub file: String,
    /// What shows it, and at what: `listener`, `admin` or `upstream`.
    pub shown_by: &'static str,
    /// Whom it is for.
    pub subject: String,
    /// Until when it is valid, with all that vouch for it in its file.
    pub expires: SystemTime,
}
