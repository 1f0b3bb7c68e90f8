//! Who still calls versions whose end is announced.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// What callers are counted as whose name is one too many.
pub const OTHER_CALLER: &str = "other";
/// What callers are counted as that do not say who they are.
pub const NO_CALLER: &str = "unknown";

/// Requests of one caller.
#[derive(Debug, Default)]
pub struct CallerCell(AtomicU64);

impl CallerCell {
    /// It has called once more.
    pub fn called(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Requests of one caller to one version, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerCount {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// The caller's name, [`NO_CALLER`] or [`OTHER_CALLER`].
    pub caller: Arc<str>,
    /// How many there were.
    pub requests: u64,
}

/// All cells; those handed out stay.
#[derive(Debug, Default)]
pub(super) struct CallerFigures(Mutex<BTreeMap<VersionName, Callers>>);

/// Service and version.
type VersionName = (Arc<str>, Arc<str>);
/// By name.
type Callers = BTreeMap<Arc<str>, Arc<CallerCell>>;

impl CallerFigures {
    /// The cell of a caller, and whether it is its own: where there are `most` already, all others have one together.
    pub(super) fn cell(&self, (service, version): (&str, &str), caller: &str, most: usize) -> (Arc<CallerCell>, bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = all.entry((service.into(), version.into())).or_default();
        let shared = [OTHER_CALLER, NO_CALLER];
        let named = callers.keys().filter(|known| !shared.contains(&&***known)).count();
        let is_own = callers.contains_key(caller) || named < most || shared.contains(&caller);
        let name = if is_own { caller } else { OTHER_CALLER };
        (Arc::clone(callers.entry(name.into()).or_default()), is_own)
    }

    pub(super) fn counts(&self) -> Vec<CallerCount> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = Vec::new();
        for ((service, version), callers) in &*all {
            for (caller, cell) in callers {
                let [service, version, caller] = [service, version, caller].map(Arc::clone);
                counts.push(CallerCount { service, version, caller, requests: cell.0.load(Relaxed) });
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_without_end_are_counted_together_in_the_end() {
        let figures = CallerFigures::default();
        for number in 0..10 {
            let (cell, is_own) = figures.cell(("shop", "old"), &format!("c{number}"), 3);
            cell.called();
            assert_eq!(is_own, number < 3);
        }
        figures.cell(("shop", "old"), "c1", 3).0.called();
        figures.cell(("shop", "old"), NO_CALLER, 3).0.called();
        let counts: Vec<_> = figures.counts().into_iter().map(|c| (c.caller.to_string(), c.requests)).collect();
        let expected = [("c0", 1), ("c1", 2), ("c2", 1), ("other", 7), ("unknown", 1)];
        assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)));
    }
}
