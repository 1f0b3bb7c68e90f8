//! Sends a failing version's requests to another version at once, but for a trickle that tells when it has recovered.
//!
//! Closed, every request is tried on its version first, and each failure that the other version answers for takes from a
//! budget of the version's requests. When that is used up the circuit opens: from then on one request in twenty is tried,
//! and enough of these answered well in a row close it. Those that are safe to send again are preferred for trying, since
//! their clients see no failure; but no more than [`PATIENCE`] passes without a try as long as there are requests.

use std::time::{Duration, Instant};

use super::budget::Budget;

/// One request in so many is tried while the circuit is open.
pub(super) const TRICKLE: u64 = 20;
/// Tries in a row that must be answered well before the circuit closes.
const ENOUGH: u32 = 5;
/// Longest time without a try while there are requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// The circuit of one version.
#[derive(Debug)]
pub(super) struct Circuit {
    /// Hundredths of a percent of the version's requests that may fail.
    share: u32,
    min_per_second: u32,
    budget: Budget,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Tries answered well since the last that was not.
    well: u32,
    tried_at: Instant,
}

/// Where a request goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Admit {
    /// To its version.
    Try,
    /// To its version, to see whether that has recovered.
    Probe,
    /// To the other version at once.
    AtOnce,
}

impl Circuit {
    pub(super) fn new(share: u32, min_per_second: u32) -> Self {
        Self { share, min_per_second, budget: Budget::new(share, min_per_second), open: None }
    }

    /// A request for this version has come; `draw` is uniform over all numbers, `safe` whether it may be sent again.
    pub(super) fn admit(&mut self, now: Instant, draw: u64, safe: bool) -> Admit {
        let Some(open) = &mut self.open else {
            self.budget.deposit(now);
            return Admit::Try;
        };
        let drawn = safe && draw.is_multiple_of(TRICKLE);
        if !drawn && now.saturating_duration_since(open.tried_at) < PATIENCE {
            return Admit::AtOnce;
        }
        open.tried_at = now;
        Admit::Probe
    }

    /// A request tried on this version was answered well.
    pub(super) fn well(&mut self, admitted: Admit) {
        if let (Some(open), Admit::Probe) = (&mut self.open, admitted) {
            open.well += 1;
            if open.well >= ENOUGH {
                *self = Self::new(self.share, self.min_per_second);
            }
        }
    }

    /// A request tried on this version failed in a way that the other version answers for.
    pub(super) fn failed(&mut self, now: Instant, admitted: Admit) {
        match (&mut self.open, admitted) {
            (Some(open), Admit::Probe) => open.well = 0,
            // Sent before the circuit opened.
            (Some(_), _) => {}
            (None, _) => {
                if !self.budget.withdraw(now) {
                    self.open = Some(Open { well: 0, tried_at: now });
                }
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What became of a run of requests.
    #[derive(Debug, Default)]
    struct Seen {
        tried: u32,
        failed: u32,
        at_once: u32,
    }

    /// `seconds` of `rate` requests a second, of which the version fails those that `fails` says.
    fn run(
        circuit: &mut Circuit,
        rng: &mut fastrand::Rng,
        start: Instant,
        (seconds, rate): (u32, u32),
        fails: impl Fn(&mut fastrand::Rng) -> bool,
    ) -> Seen {
        let mut seen = Seen::default();
        for request in 0..seconds * rate {
            let now = start + Duration::from_secs(1) * request / rate;
            let admitted = circuit.admit(now, rng.u64(..), true);
            if admitted == Admit::AtOnce {
                seen.at_once += 1;
                continue;
            }
            seen.tried += 1;
            if fails(rng) {
                seen.failed += 1;
                circuit.failed(now, admitted);
            } else {
                circuit.well(admitted);
            }
        }
        seen
    }

    #[test]
    fn a_dead_version_gets_its_budget_and_then_a_trickle_and_is_back_when_it_is_well() {
        for seed in 0..256 {
            let rng = &mut fastrand::Rng::with_seed(seed);
            let circuit = &mut Circuit::new(2_000, 3);
            let start = Instant::now();
            let dead = run(circuit, rng, start, (60, 100), |_| true);
            assert!(circuit.is_open(), "seed {seed}");
            // A reserve of 30 and a fifth of the requests until it is used up, then a twentieth of 6,000 and some chance.
            assert!(dead.failed <= 40 + 300 + 100, "seed {seed}: {dead:?}");
            assert!(dead.failed >= 30 + 150, "seed {seed}: {dead:?}");
            let alive = run(circuit, rng, start + Duration::from_mins(1), (60, 100), |_| false);
            assert!(!circuit.is_open(), "seed {seed}");
            // Five of one in twenty; ten times as many would be bad luck beyond belief.
            assert!(alive.at_once < 1_000, "seed {seed}: {alive:?}");
        }
    }

    #[test]
    fn a_version_that_fails_less_than_its_budget_is_always_tried() {
        for seed in 0..256 {
            let rng = &mut fastrand::Rng::with_seed(seed);
            let circuit = &mut Circuit::new(2_000, 3);
            let seen = run(circuit, rng, Instant::now(), (60, 100), |rng| rng.f64() < 0.1);
            assert_eq!(seen.at_once, 0, "seed {seed}: {seen:?}");
        }
    }

    #[test]
    fn a_version_that_fails_half_of_its_requests_adds_no_more_than_its_budget_in_the_long_run() {
        for seed in 0..64 {
            let rng = &mut fastrand::Rng::with_seed(seed);
            let circuit = &mut Circuit::new(2_000, 0);
            let seen = run(circuit, rng, Instant::now(), (600, 50), fastrand::Rng::bool);
            // A circuit that was closed by chance may use its budget up again.
            assert!(f64::from(seen.failed) <= 0.22 * 30_000.0, "seed {seed}: {seen:?}");
        }
    }

    #[test]
    fn requests_that_must_not_be_sent_again_are_tried_only_when_nothing_else_was_for_long() {
        let circuit = &mut Circuit::new(0, 0);
        let start = Instant::now();
        circuit.failed(start, Admit::Try);
        assert!(circuit.is_open());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(circuit.admit(at(4_999), 0, false), Admit::AtOnce);
        assert_eq!(circuit.admit(at(5_000), 1, false), Admit::Probe);
        assert_eq!(circuit.admit(at(5_001), 0, false), Admit::AtOnce);
        assert_eq!(circuit.admit(at(5_001), 0, true), Admit::Probe);
    }

    #[test]
    fn only_enough_good_probes_in_a_row_close_it() {
        let circuit = &mut Circuit::new(0, 0);
        let now = Instant::now();
        circuit.failed(now, Admit::Try);
        for _ in 0..100 {
            (0..ENOUGH - 1).for_each(|_| circuit.well(Admit::Probe));
            circuit.failed(now, Admit::Probe);
        }
        // Answers to what was sent before it opened say nothing about now.
        (0..100).for_each(|_| circuit.well(Admit::Try));
        assert!(circuit.is_open());
        (0..ENOUGH).for_each(|_| circuit.well(Admit::Probe));
        assert!(!circuit.is_open());
    }
}
