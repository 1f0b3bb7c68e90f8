//! What happened to a version, or to some of its requests, since a given moment.

use std::time::Duration;

use super::{BeganTogether, Outcomes, RegistrySnapshot};
use crate::stats::{Durations, Snapshot};

/// What is known of the requests that began in a window: the evidence a judge goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Requests that ended in the window, however they did.
    pub requests: u64,
    /// Those of them that [failed](super::Outcome::is_failure).
    pub failures: u64,
    /// How long requests took; those in flight by their age.
    pub durations: Durations,
}

impl RegistrySnapshot {
    /// The window between `earlier`, a previous snapshot of the same registry, and this one, for one version.
    ///
    /// A request belongs to the window it began in. For one in flight that is known to about a quarter of its age; where
    /// the window's beginning falls into what is not known, it is doubtful. One that has ended does not tell when it
    /// began, but how many there are that began before and have ended since is known, and since when they had been in
    /// flight: bounds on quantiles allow for them. Requests that began and ended while `earlier` was being taken belong
    /// to no window.
    #[must_use]
    pub fn window(&self, earlier: &Self, service: &str, version: &str) -> Window {
        let look = |snapshot: &Self| {
            let known = snapshot.version(service, version);
            known.map(|v| (v.outcomes.clone(), v.in_flight_since.clone())).unwrap_or_default()
        };
        between((earlier.at, &look(earlier)), (self.at, &look(self)))
    }

    /// The same for the requests of a service for which a flag has one variant, whichever version answered.
    #[must_use]
    pub fn variant_window(&self, earlier: &Self, service: &str, flag: &str, variant: &str) -> Window {
        let look = |snapshot: &Self| {
            let figures = snapshot.variant(service, flag, variant);
            (figures.outcomes, figures.in_flight_since)
        };
        between((earlier.at, &look(earlier)), (self.at, &look(self)))
    }

    /// The same for the requests of one version that are a control arm.
    #[must_use]
    pub fn control_window(&self, earlier: &Self, service: &str, version: &str) -> Window {
        let look = |snapshot: &Self| {
            let mut arms = snapshot.control_arms.iter();
            let known = arms.find(|arm| &*arm.service == service && &*arm.version == version);
            known.map(|arm| (arm.figures.outcomes.clone(), arm.figures.in_flight_since.clone())).unwrap_or_default()
        };
        between((earlier.at, &look(earlier)), (self.at, &look(self)))
    }

    /// The same for the copies of requests to one version.
    #[must_use]
    pub fn shadow_window(&self, earlier: &Self, service: &str, version: &str) -> Window {
        let look = |snapshot: &Self| {
            let known = snapshot.shadow(service, version).map(|shadow| &shadow.arm);
            known.map(|arm| (arm.outcomes.clone(), arm.in_flight_since.clone())).unwrap_or_default()
        };
        between((earlier.at, &look(earlier)), (self.at, &look(self)))
    }

    /// The same for what clients were answered to the requests that were copied to one version.
    #[must_use]
    pub fn paired_window(&self, earlier: &Self, service: &str, version: &str) -> Window {
        let look = |snapshot: &Self| {
            let known = snapshot.shadow(service, version).map(|shadow| &shadow.paired);
            known.map(|arm| (arm.outcomes.clone(), arm.in_flight_since.clone())).unwrap_or_default()
        };
        between((earlier.at, &look(earlier)), (self.at, &look(self)))
    }
}

/// What was known of some requests at a time: how those ended that did, and when those began that have not.
type Look = (Outcomes, Vec<BeganTogether>);

fn between((began, (ended_before, in_flight)): (Duration, &Look), (at, (ended, still)): (Duration, &Look)) -> Window {
    let (began, at) = (nanos(began), nanos(at));
    let ended = ended.since(ended_before);
    let mut durations = Durations { done: ended.durations(), ..Durations::default() };
    let mut carried = 0u64;
    for group in in_flight {
        if group.earliest_nanos < began {
            carried += group.count;
            durations.carried.merge(&repeated(began.saturating_sub(group.latest_nanos), group.count));
        }
    }
    for group in still {
        if group.latest_nanos < began {
            carried = carried.saturating_sub(group.count);
        } else if group.earliest_nanos < began {
            durations.doubtful += group.count;
        } else {
            durations.waiting.merge(&repeated(at.saturating_sub(group.latest_nanos), group.count));
        }
    }
    durations.carried_done = carried;
    Window { requests: ended.requests(), failures: ended.failures(), durations }
}

fn repeated(nanos: u64, count: u64) -> Snapshot {
    let mut one = Snapshot::default();
    one.record_nanos(nanos);
    one.times(count)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
