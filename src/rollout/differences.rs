//! What comparing answers says to a rollout: one more metric of its verdict.

use crate::diff::{Evidence, Finding, Shares, Worst};
use crate::judge::{Allowed, Estimate, MetricVerdict, Outcome, Unit};
use crate::plan::RolloutPlan;
use crate::stats::Alpha;

/// The parts of a plan's alpha: for what the judge looks at, and for differences.
#[must_use]
pub fn alphas(plan: &RolloutPlan) -> (Alpha, Alpha) {
    let whole = Alpha::new(plan.alpha).unwrap_or_default();
    if plan.gates.max_diff.is_none() {
        return (whole, whole);
    }
    let metrics = 1 + plan.gates.latency.len();
    let others = whole.value() * metrics as f64 / (metrics + 1) as f64;
    (Alpha::new(others).unwrap_or(whole), whole.split(metrics + 1))
}

/// The verdict on differences, where `most` of the requests may differ, 0 to 1. `found`: `None` where nothing was compared.
pub(super) fn metric(found: Option<&Evidence>, most: f64) -> MetricVerdict {
    let nothing = Estimate { estimate: None, low: 0.0, high: None, n: 0 };
    let estimate =
        |shares: &Shares| Estimate { estimate: shares.estimate, low: shares.low, high: Some(shares.high), n: shares.n };
    let worst = found.and_then(|found| found.worst.as_ref());
    let verdict = found.map_or(Outcome::Inconclusive, |found| match found.finding {
        Finding::Exceeds => Outcome::Regressed,
        Finding::Within => Outcome::Healthy,
        Finding::Unknown => Outcome::Inconclusive,
    });
    MetricVerdict {
        metric: "diff".to_owned(),
        verdict,
        old: worst.map_or(nothing, |worst| estimate(&worst.noise)),
        new: worst.map_or(nothing, |worst| estimate(&worst.rate)),
        unit: Unit::Share,
        allowed: Allowed { ratio: 1.0, slack: most },
        sentence: sentence(verdict, found, worst, most),
        could_hide: worst.map_or_else(
            || "answers could differ in anything".to_owned(),
            |worst| format!("answers could differ in {} of the requests more than noise", percent(worst.excess.high)),
        ),
        more_requests: None,
    }
}

fn sentence(verdict: Outcome, found: Option<&Evidence>, worst: Option<&Worst>, most: f64) -> String {
    let (Some(found), Some(worst)) = (found, worst) else {
        return "no answers of both versions were compared yet".to_owned();
    };
    let place = match (&worst.place, &worst.route) {
        (Some(place), Some(route)) => format!("at {place} ({route})"),
        _ => "in some place".to_owned(),
    };
    let (compared, allowed) = (found.compared, percent(most));
    match verdict {
        Outcome::Regressed => format!(
            "answers differ {place} in at least {} of {compared} requests more than noise, where {allowed} are allowed",
            percent(worst.excess.low.max(0.0))
        ),
        Outcome::Healthy => {
            format!("answers of {compared} requests are shown to differ in no place by more than {allowed} and noise")
        }
        Outcome::Inconclusive if found.noise_compared == 0 => {
            format!("{compared} pairs of answers were compared, and none of old alone: what is noise is unknown")
        }
        Outcome::Inconclusive => format!(
            "it cannot be told yet whether answers differ in more than {allowed} of the requests: most {place}, by {} to {}",
            percent(worst.excess.low.max(0.0)),
            percent(worst.excess.high)
        ),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::diff::{Change, Comparison, Difference, Pair, Tally};

    fn tally(pairs: u64, differs: impl Fn(u64) -> bool) -> Tally {
        let mut tally = Tally::new(Alpha::DEFAULT, true);
        for number in 0..pairs {
            let difference = Difference {
                place: "$.total".to_owned(),
                change: Change::Value,
                old: "1".to_owned(),
                new: "2".to_owned(),
            };
            let found = Comparison {
                differences: Some(difference).filter(|_| differs(number)).into_iter().collect(),
                body_left_out: false,
            };
            tally.count("orders", Pair::OldAndNew, found, SystemTime::UNIX_EPOCH);
            tally.count("orders", Pair::OldTwice, Comparison::default(), SystemTime::UNIX_EPOCH);
        }
        tally
    }

    #[test]
    fn a_gate_says_where_answers_differ_and_by_how_much() {
        let found = tally(500, |number| number % 2 == 0).evidence(0.001, Alpha::DEFAULT);
        let metric = metric(Some(&found), 0.001);
        assert_eq!(
            (metric.verdict, metric.new.estimate, metric.old.estimate),
            (Outcome::Regressed, Some(0.5), Some(0.0))
        );
        assert!(metric.sentence.starts_with("answers differ at $.total (orders) in at least 3"), "{}", metric.sentence);
        assert!(metric.sentence.ends_with("where 0.10% are allowed"), "{}", metric.sentence);
    }

    #[test]
    fn without_comparisons_nothing_is_said_and_with_enough_of_them_it_holds() {
        assert_eq!(metric(None, 0.001).verdict, Outcome::Inconclusive);
        let few = tally(100, |_| false).evidence(0.001, Alpha::DEFAULT);
        assert_eq!(metric(Some(&few), 0.001).verdict, Outcome::Inconclusive);
        let many = tally(20_000, |_| false).evidence(0.001, Alpha::DEFAULT);
        assert_eq!(metric(Some(&many), 0.001).verdict, Outcome::Healthy, "{many:?}");
    }
}
