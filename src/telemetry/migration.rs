//! Figures of requests to services under migration.
//!
//! Shared by the workers: only writes to two versions come here, and each of them waits for a disk anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::labels::labelled;

labelled! {
    /// What became of a write to two versions, or of what might have been one.
    WriteResult {
        /// The authoritative version has done it.
        Applied => "applied",
        /// The authoritative version has not done it: it said so, or was never asked.
        Refused => "refused",
        /// Nobody knows whether the authoritative version has done it.
        Unknown => "unknown",
        /// It was answered 400: it has no key.
        NoKey => "noKey",
        /// It was answered 400: its key, or the key that tells it from its repetition, is none.
        BadKey => "badKey",
        /// It was answered 413.
        TooLarge => "tooLarge",
        /// It was answered 501: a call of gRPC, or an upgrade.
        Unsupported => "unsupported",
        /// It was answered 503: the journal did not take it, or its turn did not come.
        NotJournaled => "notJournaled",
        /// Its body did not come whole.
        Broken => "broken",
        /// The client left before it was sent.
        ClientGone => "clientGone",
    }
}

/// The figures of one service's migration.
#[derive(Debug, Default)]
pub struct MigrationCell {
    writes: [AtomicU64; WriteResult::ALL.len()],
}

/// The figures of one service's migration as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationSnapshot {
    /// The service's name.
    pub service: Arc<str>,
    /// Writes, by [`WriteResult::ALL`].
    pub writes: [u64; WriteResult::ALL.len()],
}

impl MigrationCell {
    /// What became of a write.
    pub fn wrote(&self, result: WriteResult) {
        self.writes[result as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self, service: &Arc<str>) -> MigrationSnapshot {
        let writes = WriteResult::ALL.map(|result| self.writes[result as usize].load(Relaxed));
        MigrationSnapshot { service: Arc::clone(service), writes }
    }
}
