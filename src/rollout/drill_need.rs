//! Whether a drill can be noticed in time with today's traffic, and how much it must hurt for that.
//!
//! What is asked is the judge's own test, with counts as they are expected: those of the step so far, which the drill is
//! judged together with, and those that come while it is on.

use std::time::Duration;

use super::drill::{DrillFault, DrillOrder};
use super::need::{Traffic, least, spoken};
use super::state::Exposure;
use crate::plan::RolloutPlan;
use crate::stats::{Alpha, QuantileTest, Rate};

/// What a drill needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrillNeed {
    /// How long requests must wait; zero where they fail.
    pub delay: Duration,
    /// Requests to the new version until it is noticed.
    pub requests: u64,
    /// Seconds until then.
    pub seconds: f64,
}

/// What a version has answered in the step so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SoFar {
    /// Requests.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
}

/// Longest that a request is made to wait.
const LONGEST: Duration = Duration::from_secs(5);
/// Shortest, so that it stands out of a machine's own noise.
const SHORTEST: Duration = Duration::from_millis(20);

/// What the drill that is asked for needs where `to` has `exposure`; `so_far` is of `from` and `to`.
///
/// # Errors
/// A sentence that says why it would not be noticed in time.
pub fn drill_need(
    plan: &RolloutPlan,
    asked: &DrillOrder,
    exposure: Exposure,
    traffic: &Traffic,
    so_far: [SoFar; 2],
) -> Result<DrillNeed, String> {
    let to = &plan.to;
    let rate = traffic.per_second * exposure.fraction();
    if rate <= 0.0 {
        return Err(format!("no requests came in the last seconds: nothing that a drill does to {to} could be seen"));
    }
    let alpha = Alpha::new(plan.alpha).unwrap_or_default().split(1 + plan.gates.latency.len());
    let (delay, requests) = match asked.fault {
        DrillFault::Errors => (Duration::ZERO, for_errors(plan, asked, exposure, traffic, so_far, alpha)),
        DrillFault::Delay => {
            let (delay, requests) = for_delay(plan, asked, traffic, so_far, alpha.split(2))?;
            (delay, requests)
        }
    };
    let Some(requests) = requests else {
        return Err(format!(
            "{} of {to}'s requests are within what the gates tolerate: ask for a greater share",
            asked.share
        ));
    };
    let seconds = requests as f64 / rate;
    let within = asked.within.as_secs_f64();
    if seconds > within {
        return Err(format!(
            "{to} gets {rate:.1} requests a second at {exposure}, and the judge needs about {requests} of them to see this: \
             {}, and the drill may take {}",
            spoken(seconds),
            spoken(within)
        ));
    }
    Ok(DrillNeed { delay, requests, seconds })
}

fn for_errors(
    plan: &RolloutPlan,
    asked: &DrillOrder,
    exposure: Exposure,
    traffic: &Traffic,
    [old, new]: [SoFar; 2],
    alpha: Alpha,
) -> Option<u64> {
    let usual = traffic.failures as f64 / traffic.requests.max(1) as f64;
    let hurt = (usual + fraction(asked)).min(1.0);
    let share = exposure.fraction();
    let of_old = if share < 1.0 { (1.0 - share) / share.max(1e-5) } else { 0.0 };
    let expected = |so_far: SoFar, rate: f64, more: f64| {
        Rate::new(so_far.failures + (rate * more).round() as u64, so_far.requests + more.round() as u64)
    };
    least(|n| {
        let (old, new) = (expected(old, usual, n as f64 * of_old), expected(new, hurt, n as f64));
        old.is_exceeded_by(&new, plan.gates.max_failure_increase, alpha)
    })
}

/// How long requests must wait, and how many must have come until that is noticed.
fn for_delay(
    plan: &RolloutPlan,
    asked: &DrillOrder,
    traffic: &Traffic,
    [_, new]: [SoFar; 2],
    alpha: Alpha,
) -> Result<(Duration, Option<u64>), String> {
    let hurt = fraction(asked);
    let reached = plan.gates.latency.iter().filter(|gate| 1.0 - gate.quantile < hurt);
    // The highest quantile is the one that the fewest slow requests move.
    let Some(gate) = reached.max_by(|one, other| one.quantile.total_cmp(&other.quantile)) else {
        return Err(format!("no gate looks at the slowest {} of {}'s requests: ask for errors", asked.share, plan.to));
    };
    let Some(usual) = traffic.durations.quantile(gate.quantile) else {
        return Err(format!("{} has answered nothing in the last seconds, so what is slow is not known", plan.from));
    };
    let allowed = usual.high * gate.max_ratio + gate.slack.as_secs_f64();
    // Twice what is allowed is nobody's noise.
    let delay = Duration::try_from_secs_f64(allowed * 2.0).unwrap_or(Duration::MAX).max(SHORTEST);
    if delay > LONGEST {
        return Err(format!(
            "requests would have to wait {} to be slower than the gates allow, and a drill has them wait {} at most",
            spoken(delay.as_secs_f64()),
            spoken(LONGEST.as_secs_f64())
        ));
    }
    let test = QuantileTest::new(gate.quantile);
    let requests = least(|n| {
        let above = (hurt * n as f64).round() as u64;
        test.is_above(new.requests + n.saturating_sub(above), above, alpha)
    });
    Ok((delay, requests))
}

fn fraction(asked: &DrillOrder) -> f64 {
    crate::plan::fraction(asked.share)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::plan;
    use super::*;
    use crate::plan::Share;
    use crate::stats::Snapshot;

    fn traffic(per_second: f64) -> Traffic {
        let mut durations = Snapshot::default();
        (1..=1_000_u64).for_each(|i| durations.record_nanos(5_000_000 + i * 10_000));
        Traffic { per_second, requests: 1_000, failures: 1, durations }
    }

    fn asked(fault: DrillFault, percent: u32) -> DrillOrder {
        let share = Share::from_hundredths(percent * 100);
        DrillOrder { fault, share, within: Duration::from_secs(30), delay: Duration::ZERO, in_force: None, run: 0 }
    }

    fn five_percent() -> Exposure {
        serde_json::from_value(5_000.into()).unwrap()
    }

    fn need(asked: &DrillOrder, per_second: f64, so_far: u64) -> Result<DrillNeed, String> {
        let so_far = [so_far * 19, so_far].map(|requests| SoFar { requests, failures: requests / 1_000 });
        drill_need(&plan("5, 100"), asked, five_percent(), &traffic(per_second), so_far)
    }

    #[test]
    fn a_fifth_that_fails_is_seen_in_few_requests_and_a_long_step_takes_more() {
        let errors = asked(DrillFault::Errors, 20);
        let (fresh, late) = (need(&errors, 2_000.0, 0).unwrap(), need(&errors, 2_000.0, 20_000).unwrap());
        assert!((5..200).contains(&fresh.requests), "{fresh:?}");
        assert!((fresh.seconds - fresh.requests as f64 / 100.0).abs() < 1e-9, "{fresh:?}");
        assert!(late.requests > 2 * fresh.requests, "{late:?}");
        assert_eq!(fresh.delay, Duration::ZERO);
    }

    #[test]
    fn requests_wait_longer_than_the_gate_allows_and_not_for_ever() {
        let need = need(&asked(DrillFault::Delay, 20), 2_000.0, 0).unwrap();
        // p99 is 14.9 ms, the gate allows 1.2 times that and 10 ms.
        assert!((50..70).contains(&need.delay.as_millis()), "{need:?}");
        assert!((20..500).contains(&need.requests), "{need:?}");
        let mut slow = traffic(2_000.0);
        slow.durations.record_nanos(1);
        (0..1_000).for_each(|_| slow.durations.record_nanos(4_000_000_000));
        let said = drill_need(
            &plan("5"),
            &asked(DrillFault::Delay, 20),
            five_percent(),
            &slow,
            [SoFar::default(), SoFar::default()],
        );
        assert!(said.unwrap_err().contains("a drill has them wait 5s at most"));
    }

    #[test]
    fn what_could_not_be_seen_is_refused_with_its_numbers() {
        let errors = asked(DrillFault::Errors, 20);
        assert!(need(&errors, 0.0, 0).unwrap_err().starts_with("no requests came in the last seconds"));
        let said = need(&errors, 4.0, 0).unwrap_err();
        assert!(said.contains("new gets 0.2 requests a second at 5%") && said.contains("may take 30s"), "{said}");
        let mut tolerant = plan("5");
        tolerant.gates.max_failure_increase = 0.5;
        let none = [SoFar::default(), SoFar::default()];
        let said = drill_need(&tolerant, &errors, five_percent(), &traffic(2_000.0), none).unwrap_err();
        assert!(said.contains("20% of new's requests are within what the gates tolerate"), "{said}");
        let mut blind = plan("5");
        blind.gates.latency.clear();
        let delay = asked(DrillFault::Delay, 20);
        let said = drill_need(&blind, &delay, five_percent(), &traffic(2_000.0), none).unwrap_err();
        assert!(said.contains("no gate looks at the slowest 20%"), "{said}");
    }
}
