//! Figures of who is told of events.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::labels::labelled;

labelled! {
    /// What became of an event on its way to a webhook's receiver.
    WebhookResult {
        /// The receiver has it.
        Delivered => "delivered",
        /// A try failed; there will be another.
        Retried => "retried",
        /// The last try failed: the receiver will not have it.
        Failed => "failed",
        /// It was not tried: too many were waiting, or the receiver wants no more.
        Dropped => "dropped",
    }
}

/// Figures of event streams and webhooks.
#[derive(Debug, Default)]
pub struct EventFigures {
    streams: AtomicU64,
    slow: AtomicU64,
    has_webhooks: AtomicBool,
    deliveries: [AtomicU64; WebhookResult::ALL.len()],
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

    /// There are webhooks: their figures are exported from now on.
    pub fn webhooks_begin(&self) {
        self.has_webhooks.store(true, Relaxed);
    }

    /// This became of so many events.
    pub fn webhook(&self, result: WebhookResult, events: u64) {
        self.deliveries[result as usize].fetch_add(events, Relaxed);
    }

    /// Streams that are open.
    pub(super) fn streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// Streams that were ended for being too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.slow.load(Relaxed)
    }

    /// What became of events; nothing where there were no webhooks.
    pub(super) fn deliveries(&self) -> impl Iterator<Item = (WebhookResult, u64)> {
        let has_any = self.has_webhooks.load(Relaxed);
        let counted = WebhookResult::ALL.into_iter().zip(&self.deliveries);
        counted.filter(move |_| has_any).map(|(result, count)| (result, count.load(Relaxed)))
    }
}
