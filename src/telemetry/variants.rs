//! Figures of requests by the variant of a flag, so that an experiment within one version is measured like a canary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ArmCell, ArmFigures, RegistrySnapshot};

/// Most variants, over all flags that were measured by since the start, that a version keeps apart; what comes later
/// counts as [`OTHER_VARIANT`].
const KEPT: usize = 256;
/// What requests are counted as for which the flag has no variant.
pub const NO_VARIANT: &str = "none";
/// What requests are counted as whose variant is one too many.
pub const OTHER_VARIANT: &str = "other";

/// What happened to the requests of one version for which a flag has one variant. Two of them are the two arms of an
/// experiment.
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
    /// What happened.
    pub figures: ArmFigures,
}

impl RegistrySnapshot {
    /// What happened to the requests of a service for which a flag has one variant, whichever version answered.
    #[must_use]
    pub fn variant(&self, service: &str, flag: &str, variant: &str) -> ArmFigures {
        let of_it = |v: &&VariantSnapshot| [&*v.service, &v.flag, &v.variant] == [service, flag, variant];
        self.variants.iter().filter(of_it).fold(ArmFigures::default(), |mut sum, version| {
            sum.merge(&version.figures);
            sum
        })
    }
}

/// All cells; those handed out stay.
#[derive(Debug, Default)]
pub(super) struct VariantFigures(Mutex<BTreeMap<VersionName, BTreeMap<VariantName, WorkerCells>>>);

/// Service and version.
type VersionName = (Arc<str>, Arc<str>);
/// Flag and variant.
type VariantName = (Arc<str>, Arc<str>);
type WorkerCells = Box<[Arc<ArmCell>]>;

impl VariantFigures {
    pub(super) fn cell(
        &self,
        (worker, workers): (usize, usize),
        (service, version): (&Arc<str>, &Arc<str>),
        flag: &Arc<str>,
        variant: &str,
    ) -> Arc<ArmCell> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_version = all.entry((Arc::clone(service), Arc::clone(version))).or_default();
        let mut name = (Arc::clone(flag), Arc::from(variant));
        if of_version.len() >= KEPT && !of_version.contains_key(&name) {
            name.1 = OTHER_VARIANT.into();
        }
        let cells = of_version.entry(name).or_insert_with(|| (0..workers).map(|_| Arc::new(ArmCell::new())).collect());
        Arc::clone(&cells[worker])
    }

    pub(super) fn snapshot(&self) -> Vec<VariantSnapshot> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = all.iter().flat_map(|(version, variants)| variants.iter().map(move |each| (version, each)));
        names
            .map(|((service, version), ((flag, variant), cells))| {
                let [service, version, flag, variant] = [service, version, flag, variant].map(Arc::clone);
                let mut figures = ArmFigures::default();
                cells.iter().for_each(|cell| cell.add_to(&mut figures));
                VariantSnapshot { service, version, flag, variant, figures }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Outcome, Registry, Why};

    #[test]
    fn a_variants_window_is_what_all_workers_and_versions_wrote_since() {
        let registry = Registry::new(2);
        let names: [Arc<str>; 4] = ["shop", "old", "new", "banner"].map(Arc::from);
        let [service, old, new, flag] = &names;
        let began = |worker: usize| {
            let cell = registry.version(worker, "shop", "old");
            cell.begin(Why::Draw);
            cell.entered(std::time::Instant::now())
        };
        let cell = |worker, version, variant| registry.variant(worker, service, version, flag, variant);
        for (worker, version) in [(0, old), (1, old), (1, new)] {
            let began = began(worker);
            cell(worker, version, "red").begin(began);
            cell(worker, version, "red").end(began, Outcome::Status(2), 1_000_000);
        }
        let earlier = registry.snapshot();
        let sum = earlier.variant("shop", "banner", "red");
        assert_eq!((sum.outcomes.requests(), sum.outcomes.failures(), sum.in_flight), (3, 0, 0));
        let (failing, lasting, turned) = (began(0), began(1), began(0));
        cell(0, new, "red").begin(failing);
        cell(0, new, "red").end(failing, Outcome::Status(5), 5_000_000);
        cell(1, old, "red").begin(lasting);
        cell(0, old, "none").begin(turned);
        cell(0, old, "none").turned_away(turned);
        let window = registry.snapshot().variant_window(&earlier, "shop", "banner", "red");
        assert_eq!((window.requests, window.failures, window.durations.done.count()), (1, 1, 1));
        // In the tick in which the window began it may have begun just before.
        assert_eq!(
            window.durations.waiting.count() + window.durations.doubtful,
            1,
            "what is in flight counts by its age"
        );
        let none = registry.snapshot().variant("shop", "banner", "none");
        assert_eq!((none.outcomes.requests(), none.in_flight, none.in_flight_since.len()), (0, 0, 0));
    }

    #[test]
    fn variants_without_end_are_counted_together_in_the_end() {
        let figures = VariantFigures::default();
        let registry = Registry::new(1);
        let began = registry.version(0, "shop", "old").entered(std::time::Instant::now());
        let (service, flag): (Arc<str>, Arc<str>) = ("shop".into(), "banner".into());
        for number in 0..2 * KEPT {
            figures.cell((0, 1), (&service, &service), &flag, &format!("v{number}")).begin(began);
        }
        let snapshot = figures.snapshot();
        assert_eq!(snapshot.len(), KEPT + 1);
        let other = snapshot.iter().find(|variant| &*variant.variant == OTHER_VARIANT).unwrap();
        assert_eq!(other.figures.in_flight, KEPT as u64);
        figures.cell((0, 1), (&service, &service), &flag, "v7").begin(began);
        assert_eq!(figures.snapshot().len(), KEPT + 1, "a known one stays itself");
    }
}
