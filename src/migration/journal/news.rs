//! What the ledger and the log are to hear of.

use std::sync::Arc;

use super::Refused;

/// Something that happened to a journal, once for each time it begins or ends; never once for each write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Writes of a service are refused, or go to the authoritative side alone, from now on.
    Full {
        /// The service.
        service: Arc<str>,
        /// For want of what.
        why: Refused,
        /// Whether they go on with the authoritative side alone.
        alone: bool,
    },
    /// Writes of a service are journaled again.
    Roomy {
        /// The service.
        service: Arc<str>,
        /// How many were refused meanwhile.
        refused: u64,
        /// How many went to the authoritative side alone.
        alone: u64,
    },
    /// The first dead letter of a service that had none.
    DeadLetter {
        /// The service.
        service: Arc<str>,
        /// The key that is stopped.
        key: Arc<str>,
        /// What the other side said.
        why: Arc<str>,
    },
    /// Keys of a service are to be reconciled that had none.
    ToReconcile {
        /// The service.
        service: Arc<str>,
        /// The first of them.
        key: Arc<str>,
        /// Why.
        why: super::Why,
    },
    /// The disk fails.
    DiskGone {
        /// What it says.
        why: Arc<str>,
    },
    /// The disk works, and everything is on it.
    DiskBack,
}
