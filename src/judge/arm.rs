//! What is known of one version.

use crate::stats::{Durations, Snapshot};

/// The figures of one version over the time both versions are compared in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arm {
    /// Requests that ended, however they did.
    pub requests: u64,
    /// Those of them that failed. More than `requests` count as all.
    pub failures: u64,
    /// How long requests took; those in flight by their age.
    pub durations: Durations,
}

impl Arm {
    /// An arm of which everything is known: a load test that is over.
    #[must_use]
    pub fn finished(failures: u64, durations: Snapshot) -> Self {
        Self { requests: durations.count(), failures, durations: durations.into() }
    }

    /// Adds the figures of other requests to the same version.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.durations.merge(&other.durations);
    }
}
