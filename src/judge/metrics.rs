//! One metric of both arms.

use super::words::{self, Compared};
use super::{Allowed, Arm, Estimate, LatencyGate, MetricVerdict, Outcome};
use crate::stats::{Alpha, Interval, QuantileBounds, QuantileTest, Ranked, Rate};

/// Above so many the estimate of what is needed says nothing to anybody.
const MOST_NEEDED: f64 = 1e9;

/// Compares failure rates.
pub(super) fn failures(names: [&str; 2], [old, new]: [&Arm; 2], allowed: f64, alpha: Alpha) -> MetricVerdict {
    let [before, now] = [old, new].map(|arm| Rate::new(arm.failures, arm.requests));
    let difference = before.difference(&now, alpha.split(2));
    let [of_old, of_new] = [(&before, old), (&now, new)].map(|(rate, arm)| {
        let interval = rate.interval(alpha.split(4));
        Estimate { estimate: rate.estimate(), low: interval.low, high: Some(interval.high), n: arm.requests }
    });
    let [old_high, new_high] = [of_old.high, of_new.high].map(|high| high.unwrap_or(1.0));
    // Where every request fails there is nothing left that could be compared.
    let all_fail = [old, new].iter().any(|arm| arm.requests > 0 && arm.failures >= arm.requests);
    // What both intervals say is true of the difference as well.
    let low = difference.low.max(of_new.low - old_high);
    let difference = Interval { low, high: difference.high.min(new_high - of_old.low).max(low) };
    // Rare failures alone would be within what is allowed of any rate; but without both there is no comparison.
    let both = old.requests > 0 && new.requests > 0;
    let verdict = decide(difference.low > allowed, difference.high <= allowed && both && !all_fail);
    let needed = match (of_old.estimate, of_new.estimate) {
        _ if verdict != Outcome::Inconclusive || all_fail => None,
        (Some(o), Some(n)) => {
            let room = allowed - (n - o);
            let unsure = if room > 0.0 { difference.high - (n - o) } else { (n - o) - difference.low };
            more(new.requests, unsure / room.abs())
        }
        _ => None,
    };
    let compared = Compared {
        names,
        metric: "failures",
        verdict,
        old: &of_old,
        new: &of_new,
        allowed: Allowed { ratio: 1.0, slack: allowed },
        needed,
    };
    words::failures(&compared, difference, all_fail)
}

/// Compares one quantile of the latency.
pub(super) fn latency(
    names: [&str; 2],
    [(old, old_ranked), (new, new_ranked)]: [(&Arm, &Ranked); 2],
    gate: &LatencyGate,
    alpha: Alpha,
) -> MetricVerdict {
    let (direct, each) = (alpha.split(2), alpha.split(4));
    let [before, now] = [old_ranked, new_ranked].map(|arm| arm.quantile(gate.quantile(), each));
    let tolerance = (gate.max_ratio(), gate.slack().as_secs_f64());
    let apart = now.low > gate.most(before.high);
    let regressed = apart || old_ranked.is_exceeded_by(new_ranked, gate.quantile(), tolerance, direct);
    // What is all alike was not measured: a clock that stands, or figures that are none.
    let alike = [old_ranked, new_ranked].iter().any(|arm| arm.are_all_alike());
    let inside = now.high <= gate.most(before.low);
    let within = inside || old_ranked.is_kept_by(new_ranked, gate.quantile(), tolerance, direct);
    let verdict = decide(regressed, within && !alike);
    let estimate = |bounds: QuantileBounds, arm: &Arm| Estimate {
        estimate: bounds.estimate,
        low: bounds.low,
        high: bounds.high.is_finite().then_some(bounds.high),
        n: arm.durations.count(),
    };
    let (of_old, of_new) = (estimate(before, old), estimate(now, new));
    let needed = if verdict == Outcome::Inconclusive && !alike {
        needed(&before, &now, gate, each, (of_old.n, of_new.n))
    } else {
        None
    };
    let allowed = Allowed { ratio: tolerance.0, slack: tolerance.1 };
    let name = gate.name();
    let compared = Compared { names, metric: &name, verdict, old: &of_old, new: &of_new, allowed, needed };
    words::latency(&compared, alike, apart || inside)
}

/// About how many more requests new needs.
fn needed(
    old: &QuantileBounds,
    new: &QuantileBounds,
    gate: &LatencyGate,
    alpha: Alpha,
    (of_old, of_new): (u64, u64),
) -> Option<u64> {
    let (before, now) = (old.estimate?, new.estimate?);
    let room = gate.most(before) - now;
    let ratio = gate.max_ratio();
    let unsure = if room > 0.0 {
        (new.high - now) + ratio * (before - old.low)
    } else {
        (now - new.low) + ratio * (old.high - before)
    };
    if unsure.is_finite() {
        return more(of_new, unsure / room.abs());
    }
    // One has no bound yet: first it needs as many requests as can give one.
    let least = QuantileTest::new(gate.quantile()).least_for_bound(alpha) as f64;
    let growth = (least / of_new.min(of_old).max(1) as f64).max(2.0);
    more(of_new, growth.sqrt())
}

/// How many more than `n` it takes for intervals `factor` times narrower: their width goes with the root of `n`.
fn more(n: u64, factor: f64) -> Option<u64> {
    let more = n as f64 * (factor * factor - 1.0);
    (more.is_finite() && more <= MOST_NEEDED).then(|| (more.max(1.0)) as u64)
}

fn decide(regressed: bool, healthy: bool) -> Outcome {
    match (regressed, healthy) {
        (true, _) => Outcome::Regressed,
        (false, true) => Outcome::Healthy,
        (false, false) => Outcome::Inconclusive,
    }
}
