//! Floor 2. Whether a new version is worse than the old one, as far as the evidence goes.
//!
//! [`judge`] compares two [`Arm`]s by [`Gates`] and gives a [`Verdict`]: a pure function, the same for the same figures.
//! It may be asked at any time and as often as one likes: over all looks together, a version that is no worse than
//! allowed is called [`Outcome::Regressed`], or one that is worse [`Outcome::Healthy`], with probability alpha at most.
//! What cannot be told yet is [`Outcome::Inconclusive`] and never a pass. Nothing here reads figures or a clock, and
//! nothing acts.

mod arm;
mod gates;
mod metrics;
mod verdict;
mod words;

pub use arm::Arm;
pub use gates::{GateError, Gates, LatencyGate};
pub use verdict::{Allowed, Estimate, MetricVerdict, Outcome, Unit, Verdict};

/// Compares `new` with `old`.
///
/// Each metric gets an even part of the gates' alpha, and of that each arm's interval a half; the difference of failure
/// rates is one statement about both arms and has the whole part.
#[must_use]
pub fn judge(old: &Arm, new: &Arm, gates: &Gates) -> Verdict {
    let alpha = gates.alpha().split(gates.metrics());
    let failures = gates.max_increase().map(|allowed| metrics::failures(old, new, allowed, alpha));
    let latency = gates.latency().iter().map(|gate| metrics::latency(old, new, gate, alpha));
    Verdict::over(failures.into_iter().chain(latency).collect())
}

#[cfg(test)]
mod tests;
