//! Figures of who is told of events.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Figures of event streams.
#[derive(Debug, Default)]
pub struct EventFigures {
    streams: AtomicU64,
    slow: AtomicU64,
}

impl EventFigures {
    /// An event stream began.
    pub fn stream_begins(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    /// An event stream ended.
    pub fn stream_ends(&self) {
        self.streams.fetch_sub(1, Relaxed);
    }

    /// An event stream was ended because its client was too slow.
    pub fn stream_dropped(&self) {
        self.slow.fetch_add(1, Relaxed);
    }

    /// Streams that are open.
    pub(super) fn streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// Streams that were ended for being too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.slow.load(Relaxed)
    }
}
