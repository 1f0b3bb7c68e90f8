//! Requests to the flag API, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::labels::labelled;

labelled! {
    /// What a request to the flag API is for.
    OfrepKind {
        /// One flag.
        Single => "single",
        /// All flags.
        Bulk => "bulk",
        /// To be told of changes.
        Events => "events",
        /// Anything else.
        Other => "other",
    }
}

/// The statuses that the flag API answers with; any other is counted as the last.
const CODES: [u16; 11] = [200, 204, 304, 400, 404, 405, 408, 413, 429, 503, 500];

/// The figures of the flag API. **Written by its thread only.**
#[derive(Debug, Default)]
pub struct OfrepCell {
    requests: [[AtomicU64; CODES.len()]; OfrepKind::ALL.len()],
    event_streams: AtomicU64,
}

impl OfrepCell {
    /// A request was answered with this status.
    pub fn answered(&self, kind: OfrepKind, status: u16) {
        let code = CODES.iter().position(|code| *code == status).unwrap_or(CODES.len() - 1);
        let count = &self.requests[kind as usize][code];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// So many event streams are open.
    pub fn event_streams(&self, open: usize) {
        self.event_streams.store(open as u64, Relaxed);
    }

    /// Kind, status and number of requests, those that were none left out.
    pub(super) fn requests(&self) -> impl Iterator<Item = (OfrepKind, u16, u64)> {
        OfrepKind::ALL
            .into_iter()
            .flat_map(|kind| {
                CODES.iter().zip(&self.requests[kind as usize]).map(move |(code, n)| (kind, *code, n.load(Relaxed)))
            })
            .filter(|(.., count)| *count > 0)
    }

    pub(super) fn open_event_streams(&self) -> u64 {
        self.event_streams.load(Relaxed)
    }
}
