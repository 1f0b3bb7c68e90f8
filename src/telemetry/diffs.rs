//! Figures of comparisons. Written by the thread that compares, so behind a lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::diff::Verdict;

/// What was compared of one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiffCounts {
    /// Pairs of answers of old and new, by the verdict on the worst place in which they differed, by [`Verdict::ALL`].
    pub pairs: [u64; Verdict::ALL.len()],
    /// Pairs of answers of old alone.
    pub noise_pairs: u64,
    /// Places by what is to be made of them now, by [`Verdict::ALL`].
    pub places: [u64; Verdict::ALL.len()],
}

/// Comparisons by service and route.
#[derive(Debug, Default)]
pub struct DiffFigures(Mutex<Counts>);

type Counts = BTreeMap<(Arc<str>, Arc<str>), DiffCounts>;

impl DiffFigures {
    /// Two answers of old and new were compared.
    pub fn compared(&self, service: &Arc<str>, route: &Arc<str>, verdict: Verdict) {
        self.with(service, route, |counts| counts.pairs[verdict as usize] += 1);
    }

    /// Two answers of old were compared.
    pub fn compared_noise(&self, service: &Arc<str>, route: &Arc<str>) {
        self.with(service, route, |counts| counts.noise_pairs += 1);
    }

    /// What is to be made of the places of a route now.
    pub fn set_places(&self, service: &Arc<str>, route: &Arc<str>, places: [u64; Verdict::ALL.len()]) {
        self.with(service, route, |counts| counts.places = places);
    }

    /// The places of a service are none any more: comparing begins anew.
    pub fn forget_places(&self, service: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter_mut().filter(|((name, _), _)| **name == *service).for_each(|(_, counts)| counts.places = [0; _]);
    }

    fn with(&self, service: &Arc<str>, route: &Arc<str>, change: impl FnOnce(&mut DiffCounts)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry((Arc::clone(service), Arc::clone(route))).or_default());
    }

    pub(super) fn read(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
