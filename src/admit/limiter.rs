//! How many requests may be in flight, by what they cost each other.
//!
//! A service that is given more than it can work on at once answers no more requests, only later. So the limit follows
//! the ratio between the latency with few requests in flight (the *baseline*) and that of now:
//!
//! ```text
//! gradient = tolerance × baseline / latency, from 0.5 to 1
//! limit    = limit × gradient + √limit
//! ```
//!
//! Source: Envoy's adaptive concurrency filter (gradient controller: headroom √limit, the baseline measured again and
//! again at a low limit) with the tolerance of `Gradient2Limit` in Netflix's concurrency-limits. `Gradient2` itself
//! compares with a long-term mean, which under a long overload drifts up to the overload's own latency and takes the
//! limit with it.
//!
//! What is different here, and why:
//! - Latencies are medians of windows: the slow tail of a mixed service is not an overload.
//! - A window with less than half of the limit in flight changes nothing: such latencies are the service's own.
//! - The baseline is measured by going down to a part of the limit that is below the service's capacity if the limit is
//!   about right (`0.6 / tolerance`), not to a fixed low number: that costs little of the throughput. Where the latency
//!   is then still above what the baseline allows, or there was no baseline yet, it goes down further, by half each time,
//!   until two measurements agree: then it is the service's own. With few requests in flight it is measured by the way.
//! - Probes begin at times that are multiples of their interval, so that the limiters of all workers, which share one
//!   clock and one upstream, probe together: one that probed alone would measure the others' load.
//! - Before the first measurement the limit is not raised.

use std::time::Duration;

use super::window::{Seen, Window};

/// How often the baseline is measured again while the limit is in use.
const PROBE_EVERY: Duration = Duration::from_secs(16);
/// The same before the first measurement.
const PROBE_FIRST_EVERY: Duration = Duration::from_secs(1);
/// How many latencies the requests in flight have to come down to the probe's limit.
const SETTLE_LATENCIES: u32 = 4;
/// The least time for that.
const SETTLE: Duration = Duration::from_millis(100);
/// How many latencies a probe may measure.
const MEASURE_LATENCIES: u32 = 8;
/// The least time for that.
const MEASURE: Duration = Duration::from_secs(1);
/// Samples that will do for a baseline when that time is over.
const FEW: u32 = 10;
/// A measurement with half as many in flight, or with as few once more, agrees with the one before if it is not lower than
/// by this factor. A line that is still being worked off goes on getting shorter.
const AGREEMENT: f64 = 1.2;
/// Measurements of one probe after the first.
const STEPS: u32 = 8;
/// The probe's limit as a part of the limit, times the tolerance.
const PROBE_PART: f64 = 0.6;
/// Weight of a calm window in the baseline.
const CALM_WEIGHT: f64 = 0.2;

/// Between what the limit may move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Where it begins.
    pub initial: u32,
    /// Never less, at least 1. The same as `max`: the limit is fixed.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// How much longer than the baseline requests may take before the limit comes down, at least 1.
    pub tolerance: f64,
}

/// The limit on one worker's requests to one version.
#[derive(Debug)]
pub struct Limiter {
    bounds: Bounds,
    limit: f64,
    window: Window,
    /// The median latency with few requests in flight.
    baseline: Option<Duration>,
    /// The last window's median.
    latency: Duration,
    /// Not merely the first latency that was seen.
    is_measured: bool,
    /// The limit was used since the last measurement.
    used: bool,
    /// When it was last seen whether a probe is due.
    looked: Duration,
    probe: Option<Probe>,
}

/// A measurement of the baseline.
#[derive(Debug, Clone, Copy)]
struct Probe {
    limit: u32,
    /// How many measurements came before this one.
    step: u32,
    /// Those that were in flight when it began are over, for the most part, those of the other workers too.
    settles: Duration,
    until: Duration,
    /// As few requests are in flight as should be.
    settled: bool,
}

impl Limiter {
    /// A limiter that knows nothing yet.
    #[must_use]
    pub fn new(bounds: Bounds, now: Duration) -> Self {
        let limit = f64::from(bounds.initial.clamp(bounds.min, bounds.max));
        Self {
            bounds,
            limit,
            window: Window::new(now),
            baseline: None,
            latency: Duration::ZERO,
            is_measured: false,
            used: false,
            looked: now,
            probe: None,
        }
    }

    /// Most requests in flight.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.probe.map_or(self.limit as u32, |probe| probe.limit)
    }

    /// The median latency with few requests in flight, once it is known.
    #[must_use]
    pub fn baseline(&self) -> Option<Duration> {
        self.baseline
    }

    /// Other bounds from now on; what was learned is kept.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.limit = self.limit.clamp(f64::from(bounds.min), f64::from(bounds.max));
        self.probe = None;
    }

    /// A request was let in; with it so many are in flight.
    pub fn begun(&mut self, in_flight: u32, now: Duration) {
        if self.is_fixed() {
            return;
        }
        self.window.in_flight(in_flight);
        self.watch_probe(in_flight, now);
    }

    /// A request that began at `begun` was answered at `now`, after `latency`; with it so many are in flight.
    pub fn answered(&mut self, begun: Duration, latency: Duration, in_flight: u32, now: Duration) {
        if self.is_fixed() {
            return;
        }
        self.watch_probe(in_flight, now);
        match self.probe {
            Some(Probe { settled: true, .. }) => {
                if let Some(seen) = self.window.take(begun, latency, now) {
                    self.measured(Some(seen), now);
                }
            }
            Some(_) => {}
            None => {
                if let Some(seen) = self.window.take(begun, latency, now) {
                    self.follow(seen);
                    self.window.restart(now);
                }
                if self.is_probe_due(now) {
                    self.begin_probe(now);
                }
            }
        }
    }

    /// A request that began at `begun` ended without a proper answer. What fails fast says nothing of the load; what has
    /// taken longer than usual would have taken longer still.
    pub fn failed(&mut self, begun: Duration, latency: Duration, in_flight: u32, now: Duration) {
        if self.baseline.is_some_and(|baseline| latency > baseline) {
            self.answered(begun, latency, in_flight, now);
        }
    }

    fn is_fixed(&self) -> bool {
        self.bounds.min >= self.bounds.max
    }

    /// Moves the limit by what a window has seen.
    fn follow(&mut self, seen: Seen) {
        let Seen { median, peak } = seen;
        self.latency = median;
        let Some(baseline) = self.baseline else {
            // Whatever it is, it is all there is to compare with until the first probe.
            self.baseline = Some(median);
            self.is_measured = peak <= self.bounds.min;
            self.used = f64::from(peak) >= self.limit / 2.0;
            return;
        };
        if peak <= self.bounds.min {
            self.baseline = Some(baseline.mul_f64(1.0 - CALM_WEIGHT) + median.mul_f64(CALM_WEIGHT));
            self.is_measured = true;
        }
        if f64::from(peak) < self.limit / 2.0 {
            return;
        }
        self.used = true;
        let allowed = baseline.as_secs_f64() * self.bounds.tolerance;
        let gradient = (allowed / median.as_secs_f64().max(1e-6)).clamp(0.5, 1.0);
        let limit = self.limit * gradient + self.limit.sqrt();
        let max = if self.is_measured { self.bounds.max } else { self.bounds.initial };
        self.limit = limit.clamp(f64::from(self.bounds.min), f64::from(max));
    }

    /// Whether the baseline should be measured now.
    fn is_probe_due(&mut self, now: Duration) -> bool {
        let interval = if self.is_measured { PROBE_EVERY } else { PROBE_FIRST_EVERY };
        let looked = std::mem::replace(&mut self.looked, now);
        let turn = |at: Duration| at.as_nanos() / interval.as_nanos();
        self.used && self.baseline.is_some() && turn(looked) != turn(now)
    }

    fn begin_probe(&mut self, now: Duration) {
        self.probe_at(self.limit * PROBE_PART / self.bounds.tolerance, 0, now);
    }

    fn probe_at(&mut self, limit: f64, step: u32, now: Duration) {
        let limit = (limit as u32).max(self.bounds.min);
        let (settles, until) = (now + self.latency, now + SETTLE.max(SETTLE_LATENCIES * self.latency));
        self.probe = Some(Probe { limit, step, settles, until, settled: false });
    }

    /// Notices that a probe's requests have become few, or that its time is over.
    fn watch_probe(&mut self, in_flight: u32, now: Duration) {
        let Some(probe) = &mut self.probe else { return };
        if !probe.settled && in_flight <= probe.limit && now >= probe.settles {
            probe.settled = true;
            probe.until = now + MEASURE.max(MEASURE_LATENCIES * self.latency);
            self.window.restart(now);
        } else if now >= probe.until {
            let seen = if probe.settled { self.window.so_far(FEW) } else { None };
            self.measured(seen, now);
        }
    }

    /// Ends a probe, or goes on with it. Without a result, what was known has to do until the next one.
    fn measured(&mut self, seen: Option<Seen>, now: Duration) {
        if let (Some(Seen { median, peak }), Some(probe)) = (seen, self.probe) {
            let known = self.baseline.replace(median).unwrap_or_default();
            let agrees = match probe.step {
                0 => self.is_measured && median <= known.mul_f64(self.bounds.tolerance),
                _ => known <= median.mul_f64(AGREEMENT),
            };
            // With fewer in flight, it is not this limit that is felt.
            if !agrees && peak >= probe.limit && probe.step < STEPS {
                self.latency = median;
                return self.probe_at(f64::from(probe.limit) / 2.0, probe.step + 1, now);
            }
            self.is_measured = true;
            if probe.step > 0 {
                // The limit was wrong, or this probe would have been over before. From where it is known to be right it
                // grows again soon; other workers may still be measuring.
                self.limit = self.limit.min(f64::from(2 * probe.limit));
            }
        }
        self.used = false;
        self.probe = None;
        self.window.restart(now);
    }
}
