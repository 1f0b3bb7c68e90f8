//! What happened to a version since a given moment.

use super::{Outcome, RegistrySnapshot, VersionSnapshot};
use crate::stats::{Durations, Snapshot};

/// What is known of the requests to one version that began in a window: the evidence a judge goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Requests that ended in the window, however they did.
    pub requests: u64,
    /// Those of them that [count against the version](Outcome::counts_against_version).
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
        self.between(earlier, self.version(service, version), earlier.version(service, version))
    }

    /// The same for the copies of requests to one version.
    #[must_use]
    pub fn shadow_window(&self, earlier: &Self, service: &str, version: &str) -> Window {
        let arm = |snapshot: &'_ Self| snapshot.shadow(service, version).map(|shadow| shadow.arm.clone());
        self.between(earlier, arm(self).as_ref(), arm(earlier).as_ref())
    }

    fn between(&self, earlier: &Self, now: Option<&VersionSnapshot>, before: Option<&VersionSnapshot>) -> Window {
        let Some(now) = now else { return Window::default() };
        let began = nanos(earlier.at);
        let ended = before.map_or_else(|| now.clone(), |before| now.since(before));
        let mut durations = Durations { done: ended.durations(), ..Durations::default() };
        let mut carried = 0u64;
        for group in before.into_iter().flat_map(|before| &before.in_flight_since) {
            if group.earliest_nanos < began {
                carried += group.count;
                durations.carried.merge(&repeated(began.saturating_sub(group.latest_nanos), group.count));
            }
        }
        for group in &now.in_flight_since {
            if group.latest_nanos < began {
                carried = carried.saturating_sub(group.count);
            } else if group.earliest_nanos < began {
                durations.doubtful += group.count;
            } else {
                let age = nanos(self.at).saturating_sub(group.latest_nanos);
                durations.waiting.merge(&repeated(age, group.count));
            }
        }
        durations.carried_done = carried;
        Window { requests: ended.requests(), failures: failures(&ended), durations }
    }
}

fn failures(version: &VersionSnapshot) -> u64 {
    let against = version.outcomes.iter().filter(|(outcome, _)| Outcome::counts_against_version(**outcome));
    against.map(|(_, durations)| durations.count()).sum()
}

fn repeated(nanos: u64, count: u64) -> Snapshot {
    let mut one = Snapshot::default();
    one.record_nanos(nanos);
    one.times(count)
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
