//! Figures of copies of requests: an arm of their own for each version that gets any, so that it can be judged before it
//! has a single user.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::labels::labelled;
use super::{ArmCell, ArmFigures, RegistrySnapshot, VersionCell, VersionSnapshot};

labelled! {
    /// What became of the copy of a request.
    ShadowResult {
        /// It was answered whole.
        Answered => "answered",
        /// It was sent and not answered, or not to the end: no connection, a reset, an answer that is not HTTP.
        Failed => "failed",
        /// It was not answered in time.
        Timeout => "timeout",
        /// Its answer was longer than is read, and was given up.
        AnswerTooLarge => "answerTooLarge",
        /// It was not sent: the request's body was longer than is kept.
        BodyTooLarge => "bodyTooLarge",
        /// It was not sent: the request's body never became whole, or not in time.
        BodyIncomplete => "bodyIncomplete",
        /// It was not sent: as many as allowed were in flight.
        MaxInFlight => "maxInFlight",
        /// It was not sent: the service has too much to do as it is.
        Pressure => "pressure",
        /// It was not sent: too many copies in a row had failed.
        Suspended => "suspended",
        /// It was given up while it was in flight, as serin ends.
        Abandoned => "abandoned",
    }
}

labelled! {
    /// Why answers were not compared that were to be.
    DiffDrop {
        /// Those before them were not all compared yet.
        QueueFull => "queueFull",
        /// The client's answer did not come from the version that was picked, or not to its end in time.
        NoAnswer => "noAnswer",
    }
}

/// The figures of the copies for one version, of all workers. Only requests that are copied come here, and the bound on
/// copies in flight is one of the whole process, so unlike most cells these are shared.
#[derive(Debug, Default)]
pub struct ShadowCell {
    in_flight: AtomicU32,
    results: [AtomicU64; ShadowResult::ALL.len()],
    diff_drops: [AtomicU64; DiffDrop::ALL.len()],
}

/// One copy in flight, counted for as long as this lives.
#[derive(Debug)]
pub struct CopyInFlight(Arc<ShadowCell>);

/// What happened to the copies for one version.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowSnapshot {
    /// The figures of an arm: how long copies took and how they ended, in flight, connections. What is known only of
    /// clients' requests is 0. Service and version are named here.
    pub arm: VersionSnapshot,
    /// What clients were answered to the very requests whose copies the arm tells of.
    pub paired: ArmFigures,
    /// Copies in flight or waiting for the request's body.
    pub in_flight: u64,
    /// What became of copies, by [`ShadowResult::ALL`].
    pub results: [u64; ShadowResult::ALL.len()],
    /// Answers not compared, by [`DiffDrop::ALL`].
    pub diff_drops: [u64; DiffDrop::ALL.len()],
}

impl ShadowCell {
    /// A copy begins, unless `most` are in flight: then that is counted, and there is none.
    #[must_use]
    pub fn begin(self: &Arc<Self>, most: u32) -> Option<CopyInFlight> {
        let begun = self.in_flight.fetch_update(Relaxed, Relaxed, |now| (now < most).then_some(now + 1));
        if begun.is_err() {
            self.ended(ShadowResult::MaxInFlight);
            return None;
        }
        Some(CopyInFlight(Arc::clone(self)))
    }

    /// What became of a copy.
    pub fn ended(&self, result: ShadowResult) {
        self.results[result as usize].fetch_add(1, Relaxed);
    }

    /// Answers were not compared that were to be.
    pub fn not_compared(&self, why: DiffDrop) {
        self.diff_drops[why as usize].fetch_add(1, Relaxed);
    }
}

impl Drop for CopyInFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl RegistrySnapshot {
    /// The figures of the copies for one version; `None` before its first cell was asked for.
    #[must_use]
    pub fn shadow(&self, service: &str, version: &str) -> Option<&ShadowSnapshot> {
        self.shadows.iter().find(|shadow| &*shadow.arm.service == service && &*shadow.arm.version == version)
    }
}

/// All cells; those handed out stay.
#[derive(Debug, Default)]
pub(super) struct ShadowFigures(Mutex<BTreeMap<VersionName, Cells>>);

/// Service and version.
type VersionName = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Cells {
    shared: Arc<ShadowCell>,
    /// By worker, each of which writes its own alone.
    arms: Box<[Arc<VersionCell>]>,
    /// The same.
    paired: Box<[Arc<ArmCell>]>,
}

/// One worker's cells for the copies of requests to one version.
#[derive(Debug)]
pub struct ShadowCells {
    /// What all workers share.
    pub shared: Arc<ShadowCell>,
    /// How the copies fare.
    pub arm: Arc<VersionCell>,
    /// What clients are answered to the requests that are copied.
    pub paired: Arc<ArmCell>,
}

impl ShadowFigures {
    /// The cells of one version for one of so many workers. `made`: what times are counted from.
    pub(super) fn cells(
        &self,
        (worker, workers): (usize, usize),
        (service, version): (&str, &str),
        made: Instant,
    ) -> ShadowCells {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = all.entry((service.into(), version.into())).or_insert_with(|| Cells {
            shared: Arc::default(),
            arms: (0..workers).map(|_| Arc::new(VersionCell::new(made))).collect(),
            paired: (0..workers).map(|_| Arc::new(ArmCell::new())).collect(),
        });
        ShadowCells {
            shared: Arc::clone(&cells.shared),
            arm: Arc::clone(&cells.arms[worker]),
            paired: Arc::clone(&cells.paired[worker]),
        }
    }

    pub(super) fn snapshot(&self) -> Vec<ShadowSnapshot> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let each = all.iter().map(|((service, version), Cells { shared, arms, paired: cells })| {
            let mut arm = VersionSnapshot::empty(Arc::clone(service), Arc::clone(version));
            arms.iter().for_each(|cell| cell.add_to(&mut arm));
            let mut paired = ArmFigures::default();
            cells.iter().for_each(|cell| cell.add_to(&mut paired));
            ShadowSnapshot {
                arm,
                paired,
                in_flight: shared.in_flight.load(Relaxed).into(),
                results: ShadowResult::ALL.map(|result| shared.results[result as usize].load(Relaxed)),
                diff_drops: DiffDrop::ALL.map(|why| shared.diff_drops[why as usize].load(Relaxed)),
            }
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Outcome, Why};

    #[test]
    fn no_more_copies_than_allowed_are_in_flight_and_the_others_are_counted() {
        let (figures, made) = (ShadowFigures::default(), Instant::now());
        let ShadowCells { shared: cell, .. } = figures.cells((0, 2), ("shop", "new"), made);
        let held: Vec<_> = (0..5).filter_map(|_| cell.begin(3)).collect();
        assert_eq!(held.len(), 3);
        let ShadowCells { arm, .. } = figures.cells((1, 2), ("shop", "new"), made);
        arm.begin(Why::Draw);
        arm.end(Outcome::Status(2), 1_000_000);
        let read = || figures.snapshot().into_iter().next().unwrap();
        assert_eq!((read().in_flight, read().results[ShadowResult::MaxInFlight as usize]), (3, 2));
        assert_eq!((read().arm.requests(), read().arm.in_flight), (1, 0));
        drop(held);
        assert_eq!(read().in_flight, 0);
        assert!(cell.begin(3).is_some());
    }
}
