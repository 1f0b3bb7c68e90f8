//! Finished requests by how they ended.

use std::collections::{BTreeMap, btree_map};

use super::Outcome;
use crate::stats::Snapshot;

/// How long finished requests took, by how they ended. Only outcomes that occurred; the number of requests is the
/// durations' count.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcomes(BTreeMap<Outcome, Snapshot>);

impl Outcomes {
    /// Each outcome with the durations of its requests.
    pub fn iter(&self) -> btree_map::Iter<'_, Outcome, Snapshot> {
        self.0.iter()
    }

    /// Adds requests that ended so.
    pub fn add(&mut self, outcome: Outcome, durations: &Snapshot) {
        self.0.entry(outcome).or_default().merge(durations);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (outcome, durations) in other {
            self.add(*outcome, durations);
        }
    }

    /// Those between `earlier`, a previous look at the same requests, and this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut window = self.clone();
        for (outcome, durations) in &mut window.0 {
            if let Some(before) = earlier.0.get(outcome) {
                *durations = durations.since(before);
            }
        }
        window.0.retain(|_, durations| !durations.is_empty());
        window
    }

    /// Requests that ended, in whatever way.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.values().map(Snapshot::count).sum()
    }

    /// Requests that ended in an outcome which [is a failure](Outcome::is_failure).
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.iter().filter(|(outcome, _)| outcome.is_failure()).map(|(_, durations)| durations.count()).sum()
    }

    /// How long requests took, however they ended.
    #[must_use]
    pub fn durations(&self) -> Snapshot {
        self.0.values().fold(Snapshot::default(), |mut sum, durations| {
            sum.merge(durations);
            sum
        })
    }
}

impl<'a> IntoIterator for &'a Outcomes {
    type Item = (&'a Outcome, &'a Snapshot);
    type IntoIter = btree_map::Iter<'a, Outcome, Snapshot>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
