//! How long a step must last to be able to see what it guards against.
//!
//! The regression that a gate is held against is twice what it tolerates: failures that rise by twice `maxIncrease`, a
//! quantile that rises by twice what ratio and slack allow. How many requests the judge needs for that is asked of the
//! judge's own tests, with counts as they are expected; what is still uncertain of `from`, which has more requests in most
//! steps, is left out for latencies.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::Exposure;
use crate::plan::{LatencyGate, RolloutPlan};
use crate::stats::{Alpha, QuantileTest, Rate, Snapshot};

/// What the service is asked today.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Requests a second, of all versions.
    pub per_second: f64,
    /// How `from` does: requests, failures and how long they took.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// How long they took.
    pub durations: Snapshot,
}

/// What a step needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// Which step, from 1.
    pub step: usize,
    /// The share of the new version in percent.
    pub weight: f64,
    /// How long the step bakes at least, in seconds.
    pub bake_seconds: f64,
    /// Requests a second that the new version would get today.
    pub requests_per_second: f64,
    /// Requests to the new version before it can be seen that it is twice as much worse as tolerated. Nothing where today's
    /// figures do not tell.
    pub requests: Option<u64>,
    /// Seconds until then.
    pub seconds: Option<f64>,
    /// Seconds until `minRequests` are in.
    pub min_requests_seconds: Option<f64>,
}

/// No more requests are counted on.
const MOST: u64 = 1 << 34;
/// Requests that today's latencies must be of, so that anything can be said of them.
const ENOUGH: u64 = 100;
/// Least regressions that are asked about where a gate tolerates nothing.
const LEAST_INCREASE: f64 = 0.001;
const LEAST_RATIO: f64 = 1.05;

/// What each step of `plan` needs with this traffic.
#[must_use]
pub fn needs(plan: &RolloutPlan, traffic: &Traffic) -> Vec<Need> {
    let (alpha, _) = super::differences::alphas(plan);
    let alpha = alpha.split(1 + plan.gates.latency.len());
    let latency: Vec<_> =
        plan.gates.latency.iter().map(|gate| for_latency(gate, &traffic.durations, alpha.split(2))).collect();
    let each = plan.steps.iter().enumerate().map(|(index, step)| {
        let share = Exposure::of_step(step.weight).fraction();
        let rate = traffic.per_second * share;
        let failures = for_failures(plan.gates.max_failure_increase, traffic, share, alpha);
        let all = latency.iter().copied().chain([failures]).collect::<Option<Vec<_>>>();
        let requests = all.and_then(|all| all.into_iter().max()).filter(|_| share > 0.0);
        let seconds = |requests: u64| (rate > 0.0).then(|| requests as f64 / rate);
        Need {
            step: index + 1,
            weight: Exposure::of_step(step.weight).percent(),
            bake_seconds: step.bake.as_secs_f64(),
            requests_per_second: rate,
            requests,
            seconds: requests.and_then(seconds),
            min_requests_seconds: seconds(u64::from(plan.min_requests)).filter(|_| share > 0.0),
        }
    });
    each.collect()
}

/// Requests to the new version until a failure rate that rose by twice `tolerated` is found.
fn for_failures(tolerated: f64, traffic: &Traffic, share: f64, alpha: Alpha) -> Option<u64> {
    if traffic.requests < ENOUGH {
        return None;
    }
    let before = traffic.failures as f64 / traffic.requests as f64;
    let after = (before + (2.0 * tolerated).max(tolerated + LEAST_INCREASE)).min(1.0);
    // Where all go to the new version, it is compared with what the old one did before.
    let of_old = if share < 1.0 { (1.0 - share) / share.max(1e-5) } else { 1.0 };
    let expected = |rate: f64, n: f64| Rate::new((rate * n).round() as u64, n.round() as u64);
    least(|n| {
        let (old, new) = (expected(before, n as f64 * of_old), expected(after, n as f64));
        old.is_exceeded_by(&new, tolerated, alpha)
    })
}

/// Requests to the new version until a quantile that rose by twice what the gate tolerates is found.
fn for_latency(gate: &LatencyGate, today: &Snapshot, alpha: Alpha) -> Option<u64> {
    if today.count() < ENOUGH {
        return None;
    }
    let usual = today.quantile(gate.quantile)?.value.max(1e-6);
    let allowed = usual * gate.max_ratio + gate.slack.as_secs_f64();
    let ratio = ((2.0 * allowed - usual) / usual).max(gate.max_ratio * LEAST_RATIO);
    // Of a version that is slower by `ratio`, these are within what is allowed.
    let within = today.count_at_most(allowed / ratio) as f64 / today.count() as f64;
    let test = QuantileTest::new(gate.quantile);
    least(|n| {
        let at_most = (within * n as f64).round() as u64;
        test.is_above(at_most, n.saturating_sub(at_most), alpha)
    })
}

/// The least number that is enough, if any is; enough for one is taken for enough for all above it.
fn least(enough: impl Fn(u64) -> bool) -> Option<u64> {
    let mut upper = 1;
    while !enough(upper) {
        upper *= 2;
        if upper > MOST {
            return None;
        }
    }
    let mut lower = upper / 2;
    while upper - lower > 1 {
        let middle = u64::midpoint(lower, upper);
        if enough(middle) { upper = middle } else { lower = middle }
    }
    Some(upper)
}

/// A duration in seconds for people.
pub(super) fn spoken(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0}ms", seconds * 1e3);
    }
    let whole = Duration::from_secs_f64(seconds.min(1e9)).as_secs();
    match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes}m"),
        (days, hours, ..) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::plan;
    use super::*;

    fn traffic(per_second: f64, failing: u64) -> Traffic {
        let mut durations = Snapshot::default();
        // 10 ms at the median with a tail.
        (1..=2_000_u64).for_each(|i| durations.record_nanos(5_000_000 + i * i * 5));
        Traffic { per_second, requests: 10_000, failures: failing, durations }
    }

    #[test]
    fn a_step_with_more_traffic_needs_less_time() {
        let (few, many) =
            (needs(&plan("1, 5, 25"), &traffic(20.0, 10)), needs(&plan("1, 5, 25"), &traffic(2_000.0, 10)));
        assert_eq!(few.len(), 3);
        for (few, many) in few.iter().zip(&many) {
            assert!(few.seconds.unwrap() > many.seconds.unwrap() * 50.0, "{few:?} {many:?}");
            assert!((100..200_000).contains(&few.requests.unwrap()), "{few:?}");
        }
        assert!(few[0].seconds > few[1].seconds && few[1].seconds > few[2].seconds, "{few:?}");
        assert!((few[0].min_requests_seconds.unwrap() - 500.0).abs() < 1e-9, "100 at 0.2 a second");
    }

    #[test]
    fn without_traffic_nothing_is_said_of_time() {
        let none = needs(&plan("0, 5"), &Traffic::default());
        assert!(none.iter().all(|need| need.requests.is_none() && need.seconds.is_none()), "{none:?}");
        let at_rest = needs(&plan("0, 5"), &traffic(10.0, 0));
        assert_eq!((at_rest[0].requests, at_rest[0].min_requests_seconds), (None, None));
        assert!(at_rest[1].requests.is_some());
    }

    #[test]
    fn durations_are_spoken_as_people_say_them() {
        let spoken = [0.25, 42.0, 150.0, 8_000.0, 200_000.0].map(spoken);
        assert_eq!(spoken, ["250ms", "42s", "2m30s", "2h13m", "2d7h"]);
    }
}
