//! Figures of requests that are told apart within a version: by the variant of a flag, or as a control arm. What a judge
//! compares is known of them as it is of versions.

use std::sync::{Arc, OnceLock};

use super::cell::Gauge;
use super::in_flight::InFlight;
use super::{Began, BeganTogether, Outcome, Outcomes};
use crate::stats::Histogram;

/// One worker's figures for some of the requests of one version. **Written by that worker only.**
#[derive(Debug)]
#[repr(align(64))] // no cache line is shared with another worker's cell
pub struct ArmCell {
    in_flight: Gauge,
    /// There from the first request on.
    in_flight_since: OnceLock<Box<InFlight>>,
    /// A histogram exists from its outcome's first use.
    outcomes: [OnceLock<Box<Histogram>>; Outcome::COUNT],
}

impl ArmCell {
    pub(super) fn new() -> Self {
        Self { in_flight: Gauge::zero(), in_flight_since: OnceLock::new(), outcomes: [const { OnceLock::new() }; _] }
    }

    /// A request begins, `began` as its version's cell knows it; exactly one [`Self::end`] or [`Self::turned_away`] follows.
    #[inline]
    pub fn begin(&self, began: Began) {
        self.in_flight.change(1);
        self.in_flight_since.get_or_init(Box::default).join(began);
    }

    /// The request begins anew: it `began` otherwise until now.
    pub fn begin_again(&self, before: Began, began: Began) {
        if let Some(in_flight) = self.in_flight_since.get() {
            in_flight.leave(before);
            in_flight.join(began);
        }
    }

    /// The exchange is over, `nanos` after it began.
    #[inline]
    pub fn end(&self, began: Began, outcome: Outcome, nanos: u64) {
        self.turned_away(began);
        self.ended(outcome, nanos);
    }

    /// An exchange that is not in flight here any more was over `nanos` after it began.
    #[inline]
    pub fn ended(&self, outcome: Outcome, nanos: u64) {
        self.outcomes[outcome.slot()].get_or_init(Box::default).record_nanos(nanos);
    }

    /// The request never reached the version, which had too much to do.
    #[inline]
    pub fn turned_away(&self, began: Began) {
        self.in_flight.change(-1);
        if let Some(in_flight) = self.in_flight_since.get() {
            in_flight.leave(began);
        }
    }

    /// Adds this worker's figures to those of the others.
    pub(super) fn add_to(&self, total: &mut ArmFigures) {
        total.in_flight += self.in_flight.value();
        for (outcome, cell) in Outcome::all().zip(&self.outcomes) {
            if let Some(histogram) = cell.get() {
                total.outcomes.add(outcome, &histogram.snapshot());
            }
        }
        // After the outcomes, so that no request is both: ended, and still in flight.
        if let Some(in_flight) = self.in_flight_since.get() {
            in_flight.read(&mut total.in_flight_since);
        }
    }
}

/// What happened to some of the requests of a version, added up over the workers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArmFigures {
    /// How long finished requests took, by how they ended.
    pub outcomes: Outcomes,
    /// Requests begun and not ended.
    pub in_flight: u64,
    /// When those began, as far as it is known.
    pub in_flight_since: Vec<BeganTogether>,
}

/// What happened to the requests of one version that are a control arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlArmSnapshot {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// What happened.
    pub figures: ArmFigures,
}

impl ArmFigures {
    /// Adds the figures of other requests.
    pub fn merge(&mut self, other: &Self) {
        self.outcomes.merge(&other.outcomes);
        self.in_flight += other.in_flight;
        self.in_flight_since.extend_from_slice(&other.in_flight_since);
    }
}
