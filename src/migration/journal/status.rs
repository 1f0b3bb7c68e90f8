//! What a journal says of itself.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::{Refused, Why};
use crate::telemetry::JournalOf;

/// The journal of one service at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// All writes in it.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Waiting for the disk or for their turn at the authoritative side.
    pub waiting: usize,
    /// Sent to the authoritative side, not settled.
    pub in_flight: usize,
    /// Applied there, to be delivered to the other side; those stopped by a dead letter are among them.
    pub pending: usize,
    /// Nobody knows whether they are applied at the authoritative side; being asked.
    pub uncertain: usize,
    /// Tried in vain; each stops its key.
    pub dead_letters: usize,
    /// Age of the oldest write that is neither a dead letter nor stopped by one; `None`: there is none.
    pub oldest: Option<Duration>,
    /// Keys to be reconciled.
    pub to_reconcile: usize,
    /// There were more of them than are listed: every key is to be looked at.
    pub all_to_reconcile: bool,
    /// Writes delivered since the start.
    pub delivered: u64,
    /// Tries to deliver that failed since the start.
    pub failed: u64,
    /// Writes refused since the start, by [`Refused::ALL`].
    pub refused: [u64; Refused::ALL.len()],
    /// Writes that went to the authoritative side alone since the start.
    pub alone: u64,
    /// Why writes find no room now; `None`: they do.
    pub full: Option<Refused>,
    /// Entries are kept in memory alone.
    pub in_memory: bool,
}

impl Status {
    /// Writes that the other side does not have, or may not have: 0 where both sides have seen the same.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.entries
    }

    /// As metrics show it.
    pub(super) fn figures(&self, service: Arc<str>) -> JournalOf {
        let states = [
            ("waiting", self.waiting),
            ("inFlight", self.in_flight),
            ("uncertain", self.uncertain),
            ("pending", self.pending),
            ("deadLetter", self.dead_letters),
        ];
        JournalOf {
            service,
            states: states.map(|(state, count)| (state, count as u64)).into(),
            bytes: self.bytes,
            oldest: self.oldest.unwrap_or_default(),
            to_reconcile: self.to_reconcile as u64,
            deliveries: vec![("delivered", self.delivered), ("failed", self.failed)],
            refused: Refused::ALL.into_iter().map(|why| (why.label(), self.refused[why as usize])).collect(),
            alone: self.alone,
        }
    }
}

/// A write that stops its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, by which it is retried or given up.
    pub number: u64,
    /// Its key.
    pub key: Arc<str>,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The version that does not take it.
    pub other: Arc<str>,
    /// How often it was tried.
    pub tries: u32,
    /// What the version said the last time.
    pub why: Arc<str>,
    /// How long ago it was journaled.
    pub age: Duration,
    /// Later writes of the key that wait behind it.
    pub behind: usize,
}

/// A key that is to be reconciled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: Arc<str>,
    /// Why it was listed last.
    pub why: Why,
    /// How long ago.
    pub age: Duration,
    /// Grows each time it is listed anew; goes back in [`super::Journal::reconciled`].
    pub stamp: u64,
}
