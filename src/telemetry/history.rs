//! What the versions did in the last hour by the second and in the last day by the minute, in a ring of fixed size.
//!
//! Filled by one task of the admin side from snapshots that are taken anyway; no worker knows of it. A version's rows take
//! [`BYTES_PER_VERSION`]; there are never more than [`MAX_VERSIONS`] of them, so that all together stay below 16 MB. Beyond
//! that a version has no history until the place of one becomes free that the plan no longer has.

use std::sync::Arc;

use super::{RegistrySnapshot, VersionSnapshot};
use crate::plan::{Plan, VersionId};

mod ring;
#[cfg(test)]
mod tests;

use ring::Ring;
pub use ring::{Moment, Row};

/// Most versions, over all services, whose history is kept.
pub const MAX_VERSIONS: usize = 96;
/// Rows by the second: an hour.
const SECONDS: usize = 3600;
/// Rows by the minute: a day.
const MINUTES: usize = 1440;
/// What the rows of one version take, in bytes.
pub const BYTES_PER_VERSION: usize = (SECONDS + MINUTES) * size_of::<Row>();

/// How far apart the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A second, for an hour.
    Second,
    /// A minute, for a day.
    Minute,
}

/// The history of all versions.
#[derive(Debug)]
pub struct History {
    seconds: Recorder,
    minutes: Recorder,
    /// The names of those that have rows, by their place in the rings.
    tracks: Vec<Track>,
    /// Versions of the present plan for which there is no place.
    without: usize,
}

/// One ring and where its next row begins.
#[derive(Debug)]
struct Recorder {
    ring: Ring,
    /// Shortest time between two rows, in milliseconds.
    every: u64,
    last: Option<Arc<RegistrySnapshot>>,
}

/// A version that has rows.
#[derive(Debug)]
struct Track {
    service: Arc<str>,
    version: Arc<str>,
    /// The last look at which the plan had it.
    seen: u64,
}

/// Rows of one service, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// When each ends, and how long it is.
    pub moments: Vec<Moment>,
    /// By version that has a history: its name and as many rows. `None` where the plan did not have it.
    pub versions: Vec<(Arc<str>, Vec<Option<Row>>)>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            seconds: Recorder::new(SECONDS, 0),
            minutes: Recorder::new(MINUTES, 60_000),
            tracks: Vec::new(),
            without: 0,
        }
    }
}

impl History {
    /// Takes down what happened since the last look. `now` is in milliseconds since 1970; a clock that was set back does
    /// not turn rows around.
    pub fn note(&mut self, now: u64, plan: &Plan, snapshot: &Arc<RegistrySnapshot>) {
        self.find_places(plan);
        for recorder in [&mut self.seconds, &mut self.minutes] {
            recorder.note(now, plan, snapshot, &self.tracks);
        }
    }

    /// The rows of one service that end later than `from`, in milliseconds since 1970.
    #[must_use]
    pub fn rows(&self, step: Step, service: &str, from: u64) -> Rows {
        let ring = match step {
            Step::Second => &self.seconds.ring,
            Step::Minute => &self.minutes.ring,
        };
        let tracks = self.tracks.iter().enumerate().filter(|(_, track)| &*track.service == service);
        Rows {
            moments: ring.moments(from).collect(),
            versions: tracks.map(|(place, track)| (Arc::clone(&track.version), ring.rows(place, from))).collect(),
        }
    }

    /// Versions of the present plan that have no history, as there are too many.
    #[must_use]
    pub fn without(&self) -> usize {
        self.without
    }

    /// Gives each version of the plan a place, where there is one: a free one, or that of one the plan has not had for longest.
    fn find_places(&mut self, plan: &Plan) {
        let look = self.tracks.iter().map(|track| track.seen).max().unwrap_or(0) + 1;
        let mut missing = Vec::new();
        for service in &plan.services {
            for version in &service.versions {
                let is_it = |track: &&mut Track| track.service == service.name && track.version == version.name;
                match self.tracks.iter_mut().find(is_it) {
                    Some(track) => track.seen = look,
                    None => missing.push((&service.name, &version.name)),
                }
            }
        }
        self.without = 0;
        for (service, version) in missing {
            let track = Track { service: Arc::clone(service), version: Arc::clone(version), seen: look };
            if self.tracks.len() < MAX_VERSIONS {
                self.tracks.push(track);
                self.seconds.ring.grow();
                self.minutes.ring.grow();
                continue;
            }
            let gone = self.tracks.iter().enumerate().filter(|(_, track)| track.seen < look);
            match gone.min_by_key(|(_, track)| track.seen).map(|(place, _)| place) {
                Some(place) => {
                    self.tracks[place] = track;
                    self.seconds.ring.clear(place);
                    self.minutes.ring.clear(place);
                }
                None => self.without += 1,
            }
        }
    }
}

impl Recorder {
    fn new(length: usize, every: u64) -> Self {
        Self { ring: Ring::new(length), every, last: None }
    }

    fn note(&mut self, now: u64, plan: &Plan, snapshot: &Arc<RegistrySnapshot>, tracks: &[Track]) {
        let Some(last) = &self.last else {
            self.last = Some(Arc::clone(snapshot));
            return;
        };
        let span = snapshot.at.saturating_sub(last.at);
        if span.is_zero() || span.as_millis() < u128::from(self.every) {
            return;
        }
        self.ring.begin(Moment { at: now, seconds: span.as_secs_f32() });
        for (place, track) in tracks.iter().enumerate() {
            let share = plan.service_named(&track.service).and_then(|(_, service)| {
                service.version_named(&track.version).map(|version: VersionId| service.split.share(version))
            });
            let now = snapshot.version(&track.service, &track.version);
            if let (Some(share), Some(now)) = (share, now) {
                let then = last.version(&track.service, &track.version);
                self.ring.set(place, row(now, then, share));
            }
        }
        self.last = Some(Arc::clone(snapshot));
    }
}

/// What a version did between two snapshots.
fn row(now: &VersionSnapshot, then: Option<&VersionSnapshot>, share: f64) -> Row {
    let outcomes = then.map_or_else(|| now.outcomes.clone(), |then| now.outcomes.since(&then.outcomes));
    let durations = outcomes.durations();
    let quantile = |order| durations.quantile(order).map_or(f32::NAN, |quantile| quantile.value as f32);
    let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Row {
        requests: narrow(outcomes.requests()),
        failures: narrow(outcomes.failures()),
        latency: [0.5, 0.9, 0.99, 0.999].map(quantile),
        share: share as f32,
        in_flight: narrow(now.in_flight),
    }
}
