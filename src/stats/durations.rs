//! How long requests take, as far as that is known while some still last.

use super::{Ranked, Snapshot};

/// The durations of the requests that began in a window, as far as they are known.
///
/// Not all of them are: some still last, and some that ended in the window may have begun before it and do not belong
/// to it. Bounds on quantiles ([`Ranked`]) hold whichever they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durations {
    /// What ended in the window.
    pub done: Snapshot,
    /// Where durations are only known to lie between two values: `done` has each at the lower, this at the upper one.
    pub slowest: Option<Snapshot>,
    /// What began in the window and still lasts, by its age, rounded down: the duration will be that or more.
    pub waiting: Snapshot,
    /// Still lasts, and may or may not have begun in the window.
    pub doubtful: u64,
    /// What had begun before the window, by its age when the window began, rounded down.
    pub carried: Snapshot,
    /// At most so many of `done` are among `carried`.
    pub carried_done: u64,
}

impl From<Snapshot> for Durations {
    /// Durations that are all known.
    fn from(done: Snapshot) -> Self {
        Self { done, ..Self::default() }
    }
}

impl Durations {
    /// How many requests this is about, those that still last among them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.done.count().saturating_add(self.waiting.count())
    }

    /// Adds what is known of other requests.
    pub fn merge(&mut self, other: &Self) {
        if self.slowest.is_some() || other.slowest.is_some() {
            let mut slowest = self.slowest.take().unwrap_or_else(|| self.done.clone());
            slowest.merge(other.slowest.as_ref().unwrap_or(&other.done));
            self.slowest = Some(slowest);
        }
        self.done.merge(&other.done);
        self.waiting.merge(&other.waiting);
        self.doubtful = self.doubtful.saturating_add(other.doubtful);
        self.carried.merge(&other.carried);
        self.carried_done = self.carried_done.saturating_add(other.carried_done);
    }

    /// In the order of their lengths, ready for questions about quantiles.
    #[must_use]
    pub fn ranked(&self) -> Ranked {
        Ranked::new(self)
    }
}
