//! Figures of the admin API: who was turned away.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::labels::labelled;

labelled! {
    /// Why a request to the admin API was turned away.
    AuthFailure {
        /// It needs credentials and has none.
        NoCredentials => "noCredentials",
        /// Its `Authorization` is none that is understood.
        Malformed => "malformed",
        /// Its token is nobody's.
        UnknownToken => "unknownToken",
        /// Its token has expired.
        ExpiredToken => "expiredToken",
        /// It needs credentials, and its certificate is nobody's.
        UnknownCertificate => "unknownCertificate",
        /// Whose it is may not do this.
        Forbidden => "forbidden",
        /// It was not looked at: where it comes from, too much was wrong before.
        TooMany => "tooMany",
        /// It may be a web page's doing: its host or origin is foreign, or its body no JSON.
        Foreign => "foreign",
    }
}

/// Figures of the admin API.
#[derive(Debug, Default)]
pub struct AdminFigures([AtomicU64; AuthFailure::ALL.len()]);

impl AdminFigures {
    /// A request was turned away.
    pub fn turned_away(&self, why: AuthFailure) {
        self.0[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn count(&self, why: AuthFailure) -> u64 {
        self.0[why as usize].load(Relaxed)
    }
}
