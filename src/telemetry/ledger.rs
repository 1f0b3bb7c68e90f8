//! Figures of the ledger.

use std::time::Duration;

use super::ControlFigures;
use crate::stats::Snapshot;

/// How writing the ledger goes.
#[derive(Debug, Clone, Default)]
pub(super) struct LedgerState {
    /// Whether there is one.
    pub(super) kept: bool,
    /// Whether it cannot be written.
    pub(super) failing: bool,
    /// Entries written since the start.
    pub(super) entries: u64,
    /// Attempts that failed.
    pub(super) failures: u64,
    /// Changes in force that wait to be written.
    pub(super) waiting: u64,
    /// How long each writing took, until it was on the disk.
    pub(super) appends: Snapshot,
}

impl ControlFigures {
    /// Entries were written, which took this long until they were on the disk.
    pub fn ledger_wrote(&self, entries: u64, took: Duration) {
        let ledger = &mut self.state().ledger;
        (ledger.kept, ledger.failing, ledger.waiting) = (true, false, 0);
        ledger.entries += entries;
        ledger.appends.record_nanos(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Entries written to the ledger since the start: grows when there is something to read.
    #[must_use]
    pub fn ledger_entries(&self) -> u64 {
        self.state().ledger.entries
    }

    /// The ledger could not be written.
    pub fn ledger_failed(&self) {
        let ledger = &mut self.state().ledger;
        (ledger.kept, ledger.failing) = (true, true);
        ledger.failures += 1;
    }

    /// So many changes are in force and wait to be written.
    pub fn ledger_waits(&self, changes: usize) {
        self.state().ledger.waiting = changes as u64;
    }
}
