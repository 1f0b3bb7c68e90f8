//! Figures of requests by the variant of a flag, so that an experiment within one version is measured like a canary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::cell::Gauge;
use super::{Outcome, Outcomes, RegistrySnapshot};
use crate::stats::{Histogram, Snapshot};

/// Most variants, over all flags that were measured by since the start, that a version keeps apart; what comes later
/// counts as [`OTHER_VARIANT`].
const KEPT: usize = 256;
/// What requests are counted as for which the flag has no variant.
pub const NO_VARIANT: &str = "none";
/// What requests are counted as whose variant is one too many.
pub const OTHER_VARIANT: &str = "other";

/// One worker's figures for the requests of one version for which a flag has one variant. **Written by that worker only.**
#[derive(Debug)]
#[repr(align(64))] // no cache line is shared with another worker's cell
pub struct VariantCell {
    in_flight: Gauge,
    /// A histogram exists from its outcome's first use.
    outcomes: [OnceLock<Box<Histogram>>; Outcome::COUNT],
}

impl VariantCell {
    fn new() -> Self {
        Self { in_flight: Gauge::zero(), outcomes: [const { OnceLock::new() }; _] }
    }

    /// A request begins; exactly one [`Self::end`] or [`Self::turned_away`] follows.
    #[inline]
    pub fn begin(&self) {
        self.in_flight.change(1);
    }

    /// The exchange is over, `nanos` after it began.
    #[inline]
    pub fn end(&self, outcome: Outcome, nanos: u64) {
        self.in_flight.change(-1);
        self.outcomes[outcome.slot()].get_or_init(Box::default).record_nanos(nanos);
    }

    /// The request never reached the version, which had too much to do.
    pub fn turned_away(&self) {
        self.in_flight.change(-1);
    }

    fn add_to(&self, total: &mut VariantSnapshot) {
        total.in_flight += self.in_flight.value();
        for (outcome, cell) in Outcome::all().zip(&self.outcomes) {
            if let Some(histogram) = cell.get() {
                total.outcomes.add(outcome, &histogram.snapshot());
            }
        }
    }
}

/// What happened to the requests of one version for which a flag has one variant. Two of them are the two arms of an
/// experiment: [`requests`](Self::requests), [`failures`](Self::failures) and [`durations`](Self::durations) are what a
/// judge compares.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantSnapshot {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// The flag's key.
    pub flag: Arc<str>,
    /// The variant's name, [`NO_VARIANT`] or [`OTHER_VARIANT`].
    pub variant: Arc<str>,
    /// How long finished requests took, by how they ended.
    pub outcomes: Outcomes,
    /// Requests begun and not ended.
    pub in_flight: u64,
}

impl VariantSnapshot {
    /// Requests that ended, in whatever way.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.outcomes.requests()
    }

    /// Requests that ended in an outcome which [is a failure](Outcome::is_failure).
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.outcomes.failures()
    }

    /// How long requests took, however they ended.
    #[must_use]
    pub fn durations(&self) -> Snapshot {
        self.outcomes.durations()
    }

    /// The window between `earlier`, a previous snapshot of the same variant, and this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { outcomes: self.outcomes.since(&earlier.outcomes), ..self.clone() }
    }

    /// Adds the figures of the same variant of another version: an experiment that goes through several.
    pub fn merge(&mut self, other: &Self) {
        self.outcomes.merge(&other.outcomes);
        self.in_flight += other.in_flight;
    }
}

impl RegistrySnapshot {
    /// The figures of one variant; `None` before its first cell was asked for.
    #[must_use]
    pub fn variant(&self, service: &str, version: &str, flag: &str, variant: &str) -> Option<&VariantSnapshot> {
        self.variants
            .iter()
            .find(|v| [&*v.service, &v.version, &v.flag, &v.variant] == [service, version, flag, variant])
    }
}

/// All cells; those handed out stay.
#[derive(Debug, Default)]
pub(super) struct VariantFigures(Mutex<BTreeMap<VersionName, BTreeMap<VariantName, WorkerCells>>>);

/// Service and version.
type VersionName = (Arc<str>, Arc<str>);
/// Flag and variant.
type VariantName = (Arc<str>, Arc<str>);
type WorkerCells = Box<[Arc<VariantCell>]>;

impl VariantFigures {
    pub(super) fn cell(
        &self,
        (worker, workers): (usize, usize),
        (service, version): (&Arc<str>, &Arc<str>),
        flag: &Arc<str>,
        variant: &str,
    ) -> Arc<VariantCell> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_version = all.entry((Arc::clone(service), Arc::clone(version))).or_default();
        let mut name = (Arc::clone(flag), Arc::from(variant));
        if of_version.len() >= KEPT && !of_version.contains_key(&name) {
            name.1 = OTHER_VARIANT.into();
        }
        let cells =
            of_version.entry(name).or_insert_with(|| (0..workers).map(|_| Arc::new(VariantCell::new())).collect());
        Arc::clone(&cells[worker])
    }

    pub(super) fn snapshot(&self) -> Vec<VariantSnapshot> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = all.iter().flat_map(|(version, variants)| variants.iter().map(move |each| (version, each)));
        names
            .map(|((service, version), ((flag, variant), cells))| {
                let [service, version, flag, variant] = [service, version, flag, variant].map(Arc::clone);
                let (outcomes, in_flight) = (Outcomes::default(), 0);
                let mut total = VariantSnapshot { service, version, flag, variant, outcomes, in_flight };
                cells.iter().for_each(|cell| cell.add_to(&mut total));
                total
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_all_workers_wrote_and_a_window_is_a_difference() {
        let figures = VariantFigures::default();
        let (service, version, flag): (Arc<str>, Arc<str>, Arc<str>) = ("shop".into(), "new".into(), "banner".into());
        let cell = |worker, variant| figures.cell((worker, 2), (&service, &version), &flag, variant);
        let read = |variant: &str| {
            let all = figures.snapshot();
            all.into_iter().find(|snapshot| &*snapshot.variant == variant).unwrap()
        };
        for worker in [0, 1] {
            cell(worker, "red").begin();
            cell(worker, "red").end(Outcome::Status(2), 1_000_000);
        }
        let earlier = read("red");
        assert_eq!((earlier.requests(), earlier.failures(), earlier.in_flight), (2, 0, 0));
        cell(0, "red").begin();
        cell(0, "red").end(Outcome::Status(5), 5_000_000);
        cell(1, "red").begin();
        cell(0, "none").begin();
        cell(0, "none").turned_away();
        let window = read("red").since(&earlier);
        assert_eq!((window.requests(), window.failures(), window.in_flight), (1, 1, 1));
        assert_eq!(window.durations().count(), 1);
        assert_eq!((read("none").requests(), read("none").in_flight), (0, 0));
        let mut both = earlier;
        both.merge(&window);
        assert_eq!(both, read("red"));
    }

    #[test]
    fn variants_without_end_are_counted_together_in_the_end() {
        let figures = VariantFigures::default();
        let (service, flag): (Arc<str>, Arc<str>) = ("shop".into(), "banner".into());
        for number in 0..2 * KEPT {
            figures.cell((0, 1), (&service, &service), &flag, &format!("v{number}")).begin();
        }
        let snapshot = figures.snapshot();
        assert_eq!(snapshot.len(), KEPT + 1);
        let other = snapshot.iter().find(|variant| &*variant.variant == OTHER_VARIANT).unwrap();
        assert_eq!(other.in_flight, KEPT as u64);
        figures.cell((0, 1), (&service, &service), &flag, "v7").begin();
        assert_eq!(figures.snapshot().len(), KEPT + 1, "a known one stays itself");
    }
}
