//! Before a plan starts: whether it can be carried out, taken back and judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::differences::metric;
use super::need::{Need, Traffic, needs, spoken};
use crate::diff::Evidence;
use crate::judge::{MetricVerdict, Outcome};
use crate::plan::RolloutPlan;

/// What is known before a plan starts.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Whether `from` has an address that can take requests.
    pub from_is_up: bool,
    /// Whether `to` has one.
    pub to_is_up: bool,
    /// Other versions with a share, and this share in percent.
    pub others: Vec<(String, f64)>,
    /// Requests of the whole service in flight.
    pub in_flight: u64,
    /// Most requests in flight that `from` is given. `None`: there is no limit, so none is known.
    pub limit_of_from: Option<u64>,
    /// Whether the ledger takes entries, or why not. `None`: there is none on a disk.
    pub ledger: Option<Result<(), String>>,
    /// What the service is asked today.
    pub traffic: Traffic,
    /// What comparing answers has found; `None`: nothing was compared.
    pub differences: Option<Evidence>,
}

/// What was looked at before a plan starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// Whether nothing stands in the way.
    pub ready: bool,
    /// Each thing that was looked at.
    pub checks: Vec<Check>,
    /// What each step needs, by today's traffic.
    pub steps: Vec<Need>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What: `from`, `to`, `shares`, `rollback`, `ledger`, `evidence`, and `diff` where there is such a gate.
    pub name: String,
    /// How it stands.
    pub grade: Grade,
    /// In words, with the numbers.
    pub detail: String,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Grade {
    /// Good.
    Ok,
    /// Good enough to start, but people should know.
    Warn,
    /// The plan does not start.
    Refuse,
}

/// A step that takes longer than this until its requests are in will not end in any time that matters.
const LONGEST_STEP: f64 = 30.0 * 86_400.0;

impl Preflight {
    /// What stands in the way, in a sentence; `None` where nothing does.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let refused: Vec<_> =
            self.checks.iter().filter(|c| c.grade == Grade::Refuse).map(|c| c.detail.as_str()).collect();
        (!refused.is_empty()).then(|| refused.join("; "))
    }
}

/// Looks at everything before `plan` starts.
#[must_use]
pub fn preflight(plan: &RolloutPlan, facts: &Facts) -> Preflight {
    let steps = needs(plan, &facts.traffic);
    let mut checks = vec![
        up("from", &plan.from, facts.from_is_up),
        up("to", &plan.to, facts.to_is_up),
        shares(plan, facts),
        rollback(plan, facts),
        ledger(facts),
        evidence(plan, facts, &steps),
    ];
    checks.extend(plan.gates.max_diff.map(|most| differences(most, facts)));
    Preflight { ready: checks.iter().all(|check| check.grade != Grade::Refuse), checks, steps }
}

fn check(name: &str, grade: Grade, detail: String) -> Check {
    Check { name: name.to_owned(), grade, detail }
}

fn up(name: &str, version: &str, is_up: bool) -> Check {
    if is_up {
        return check(name, Grade::Ok, format!("{version} has an address that takes requests"));
    }
    check(name, Grade::Refuse, format!("{version} has no address that takes requests"))
}

fn shares(plan: &RolloutPlan, facts: &Facts) -> Check {
    if facts.others.is_empty() {
        let detail = format!("{} and {} have all shares between them", plan.from, plan.to);
        return check("shares", Grade::Ok, detail);
    }
    let others: Vec<_> = facts.others.iter().map(|(name, percent)| format!("{name} has {percent:.3}%")).collect();
    let detail = format!("{}: give it to {} first", others.join(", "), plan.from);
    check("shares", Grade::Refuse, detail)
}

/// Whether `from` can take all at once.
fn rollback(plan: &RolloutPlan, facts: &Facts) -> Check {
    let from = &plan.from;
    if !facts.from_is_up {
        return check(
            "rollback",
            Grade::Refuse,
            format!("{from} cannot take anything back: none of its addresses is up"),
        );
    }
    let Some(limit) = facts.limit_of_from else {
        let detail = format!(
            "whether {from} can take all {} requests in flight at once is unknown: the service has no `overload`",
            facts.in_flight
        );
        return check("rollback", Grade::Warn, detail);
    };
    let detail = format!("{from} is given {limit} requests at a time; the service has {} in flight", facts.in_flight);
    if facts.in_flight > limit {
        return check("rollback", Grade::Refuse, format!("{detail}: it cannot take all of them back"));
    }
    check("rollback", Grade::Ok, detail)
}

fn ledger(facts: &Facts) -> Check {
    match &facts.ledger {
        Some(Ok(())) => check("ledger", Grade::Ok, "the ledger takes entries".to_owned()),
        Some(Err(why)) => check("ledger", Grade::Refuse, why.clone()),
        None => {
            let detail = "there is no stateDir: a restart forgets where the rollout stood, and leaves it where it was not \
                          started";
            check("ledger", Grade::Warn, detail.to_owned())
        }
    }
}

/// Whether steps last long enough for their gates to see anything.
fn evidence(plan: &RolloutPlan, facts: &Facts, steps: &[Need]) -> Check {
    let rate = facts.traffic.per_second;
    if rate <= 0.0 {
        let detail = "no requests in the last seconds: how long steps need to see anything is unknown";
        return check("evidence", Grade::Warn, detail.to_owned());
    }
    let endless = steps.iter().find(|step| step.min_requests_seconds.is_some_and(|seconds| seconds > LONGEST_STEP));
    if let Some(step) = endless {
        let detail = format!(
            "step {} gives {} {:.4} of {rate:.1} requests a second: {} of them take more than 30 days",
            step.step, plan.to, step.requests_per_second, plan.min_requests
        );
        return check("evidence", Grade::Refuse, detail);
    }
    if steps.iter().all(|step| step.weight > 0.0 && step.requests.is_none()) {
        let detail = format!("{} has too few requests to say how long steps need to see a regression", plan.from);
        return check("evidence", Grade::Warn, detail);
    }
    let blind: Vec<_> = steps
        .iter()
        .filter(|step| step.seconds.is_some_and(|seconds| seconds > step.bake_seconds))
        .map(|step| {
            format!(
                "step {} ({}% of {rate:.1}/s) bakes for {} and needs {} ({} requests)",
                step.step,
                step.weight,
                spoken(step.bake_seconds),
                spoken(step.seconds.unwrap_or_default()),
                step.requests.unwrap_or_default(),
            )
        })
        .collect();
    if blind.is_empty() {
        let detail = "every step bakes long enough to see twice what its gates tolerate".to_owned();
        return check("evidence", Grade::Ok, detail);
    }
    let detail = format!("to see a regression of twice what the gates tolerate: {}", blind.join("; "));
    check("evidence", Grade::Warn, detail)
}

/// Whether answers were compared, and what that says.
fn differences(most: f64, facts: &Facts) -> Check {
    let found = facts.differences.as_ref();
    let MetricVerdict { verdict, sentence, .. } = metric(found, most);
    let Some(found) = found.filter(|_| verdict != Outcome::Healthy) else {
        return match verdict {
            Outcome::Healthy => check("diff", Grade::Ok, sentence),
            _ => check("diff", Grade::Warn, format!("{sentence}: this gate sees nothing before there are requests")),
        };
    };
    if verdict == Outcome::Regressed {
        let detail = format!("{sentence}; `serin diff --reset` where that was another build");
        return check("diff", Grade::Refuse, detail);
    }
    let detail = format!("{sentence} ({} pairs of old and new, {} of old alone)", found.compared, found.noise_compared);
    check("diff", Grade::Warn, detail)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::plan;
    use super::*;

    fn good() -> Facts {
        Facts { from_is_up: true, to_is_up: true, ledger: Some(Ok(())), limit_of_from: Some(10), ..Facts::default() }
    }

    #[test]
    fn a_gate_on_differences_is_looked_at_before_a_start() {
        let mut gated = plan("1, 100");
        assert!(preflight(&gated, &good()).checks.iter().all(|check| check.name != "diff"));
        gated.gates.max_diff = Some(0.001);
        let check = preflight(&gated, &good()).checks.into_iter().find(|check| check.name == "diff").unwrap();
        assert_eq!(check.grade, Grade::Warn);
        let mut tally = crate::diff::Tally::new(crate::stats::Alpha::DEFAULT, false);
        let difference = crate::diff::Difference {
            place: "status".to_owned(),
            change: crate::diff::Change::Value,
            old: "200".to_owned(),
            new: "500".to_owned(),
        };
        let found = crate::diff::Comparison { differences: vec![difference], body_left_out: false };
        for _ in 0..50 {
            tally.count("r", crate::diff::Pair::OldAndNew, found.clone(), std::time::SystemTime::UNIX_EPOCH);
        }
        let differences = Some(tally.evidence(0.001, crate::stats::Alpha::DEFAULT));
        let refused = preflight(&gated, &Facts { differences, ..good() });
        assert!(refused.obstacle().is_some_and(|why| why.starts_with("answers differ at status (r)")), "{refused:?}");
    }

    fn graded(facts: &Facts, name: &str) -> (Grade, String) {
        let preflight = preflight(&plan("1, 100"), facts);
        assert_eq!(preflight.ready, preflight.obstacle().is_none());
        let check = preflight.checks.into_iter().find(|check| check.name == name).unwrap();
        (check.grade, check.detail)
    }

    #[test]
    fn what_stands_in_the_way_is_refused_with_its_numbers() {
        assert_eq!(preflight(&plan("1, 100"), &good()).obstacle(), None);
        let cases: [(&str, Facts, &str); 6] = [
            ("from", Facts { from_is_up: false, ..good() }, "old has no address that takes requests"),
            ("to", Facts { to_is_up: false, ..good() }, "new has no address that takes requests"),
            ("shares", Facts { others: vec![("b".into(), 20.0)], ..good() }, "b has 20.000%: give it to old first"),
            (
                "rollback",
                Facts { in_flight: 11, ..good() },
                "old is given 10 requests at a time; the service has 11 in flight: it cannot take all of them back",
            ),
            ("ledger", Facts { ledger: Some(Err("full".into())), ..good() }, "full"),
            (
                "evidence",
                Facts { traffic: Traffic { per_second: 0.001, ..Traffic::default() }, ..good() },
                "step 1 gives new 0.0000 of 0.0 requests a second: 100 of them take more than 30 days",
            ),
        ];
        for (name, facts, expected) in cases {
            assert_eq!(graded(&facts, name), (Grade::Refuse, expected.to_owned()));
        }
    }

    #[test]
    fn what_is_unknown_is_said_and_does_not_stop_it() {
        assert_eq!(graded(&Facts { limit_of_from: None, ..good() }, "rollback").0, Grade::Warn);
        assert_eq!(graded(&Facts { ledger: None, ..good() }, "ledger").0, Grade::Warn);
        assert_eq!(graded(&good(), "evidence").0, Grade::Warn);
    }
}
