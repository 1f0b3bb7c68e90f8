//! Figures of the journal of writes that go to two versions.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::stats::Snapshot;

/// The journal of one service at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalOf {
    /// The service.
    pub service: Arc<str>,
    /// Writes in it, by state.
    pub states: Vec<(&'static str, u64)>,
    /// Their bytes.
    pub bytes: u64,
    /// Age of the oldest that is still tried; zero where there is none.
    pub oldest: Duration,
    /// Keys to be reconciled.
    pub to_reconcile: u64,
    /// Tries to deliver since the start, by result.
    pub deliveries: Vec<(&'static str, u64)>,
    /// Writes refused since the start, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Writes that went to the authoritative side alone since the start.
    pub alone: u64,
}

/// Figures of the journal, read from it when somebody asks.
#[derive(Default)]
pub struct JournalFigures {
    source: OnceLock<Source>,
    commits: Mutex<Snapshot>,
}

type Source = Box<dyn Fn() -> Vec<JournalOf> + Send + Sync>;

impl JournalFigures {
    /// Where the figures come from. Only the first counts: there is one journal in a process.
    pub fn read_from(&self, source: impl Fn() -> Vec<JournalOf> + Send + Sync + 'static) {
        let _ = self.source.set(Box::new(source));
    }

    /// Writes were put on the disk together, which took this long.
    pub fn committed(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).record_nanos(nanos);
    }

    /// The journals of all services, by name, and how long each group commit took.
    pub(super) fn read(&self) -> (Vec<JournalOf>, Snapshot) {
        let mut journals = self.source.get().map(|source| source()).unwrap_or_default();
        journals.sort_by(|a, b| a.service.cmp(&b.service));
        (journals, self.commits.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl fmt::Debug for JournalFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalFigures").field("commits", &self.commits).finish_non_exhaustive()
    }
}
