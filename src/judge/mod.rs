//! Floor 2. Whether a new version is worse than the old one, as far as the evidence goes.
//!
//! [`judge`] compares two [`Arm`]s by [`Gates`] and gives a [`Verdict`]: a pure function, the same for the same figures.
//! It may be asked at any time and as often as one likes: over all looks together, a version that is no worse than
//! allowed is called [`Outcome::Regressed`], or one that is worse [`Outcome::Healthy`], with probability alpha at most.
//! What cannot be told yet is [`Outcome::Inconclusive`] and never a pass. A [`LoadTest`] is an arm read from what a load
//! generator wrote. Nothing here reads figures, a file or a clock, and nothing acts.

mod arm;
mod gates;
mod metrics;
mod results;
mod verdict;
mod words;

pub use arm::Arm;
pub use gates::{GateError, Gates, LatencyGate};
pub use results::{LoadTest, MAX_RESULT_BYTES, Precision, ResultsError};
pub use verdict::{Allowed, Estimate, MetricVerdict, Outcome, Unit, Verdict};

/// Compares `new` with `old`.
///
/// A metric is regressed where new's interval lies above what old's allows, healthy where it lies within; or where a
/// direct comparison of both arms shows the one or the other, as it often does sooner. Each metric gets an even part of
/// the gates' alpha; half of that goes to the direct comparison, a quarter to each arm's interval.
#[must_use]
pub fn judge(old: &Arm, new: &Arm, gates: &Gates) -> Verdict {
    judge_named(["old", "new"], [old, new], gates)
}

/// The same for two arms, the one to compare with first, that people know by these names.
#[must_use]
pub fn judge_named(names: [&str; 2], [old, new]: [&Arm; 2], gates: &Gates) -> Verdict {
    let alpha = gates.alpha().split(gates.metrics());
    let failures = gates.max_increase().map(|allowed| metrics::failures(names, [old, new], allowed, alpha));
    let ranked = [old, new].map(|arm| arm.durations.ranked());
    let arms = [(old, &ranked[0]), (new, &ranked[1])];
    let latency = gates.latency().iter().map(|gate| metrics::latency(names, arms, gate, alpha));
    Verdict::over(failures.into_iter().chain(latency).collect())
}

#[cfg(test)]
mod tests;
