//! Rollout plans: versions that exist and differ, gates that do not contradict each other.

use std::sync::Arc;
use std::time::Duration;

use super::services::all;
use super::weights::{version_id, version_names};
use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{self, Name, StepWeight};
use crate::config::written::{self, Rollout, Service};
use crate::plan::{
    ApprovalNeeded, ErrorBudget, EvidenceNeeded, LatencyGate, OnRegression, RolloutGates, RolloutPlan, RolloutStep,
    Share, Weight, fraction,
};

/// Requests in a step where nothing is said.
const MIN_REQUESTS: u32 = 500;
/// Probability of a false alarm where nothing is said.
const ALPHA: f64 = 0.05;
/// The window and the burn rate at which the SRE workbook has people woken, where nothing is said.
const WINDOW: Duration = Duration::from_hours(1);
const BURN_RATE: f64 = 14.4;
/// All requests, in thousandths of a percent.
const HUNDRED: u64 = 100_000;
/// Longest that a quantile may be longer by.
const LONGEST_SLACK: Duration = Duration::from_hours(1);

/// The plan of a service. `None` after noting why it is none.
pub(super) fn rollout(written: &Rollout, service: &Service, problems: &mut Problems<'_>) -> Option<RolloutPlan> {
    let names = version_names(service);
    let from = written.from.as_ref().and_then(|name| version(name, names.as_deref(), problems));
    let to = written.to.as_ref().and_then(|name| version(name, names.as_deref(), problems));
    let gates = written.gates.as_ref().map_or_else(|| Some(RolloutGates::default()), |gates| compile(gates, problems));
    let control = written.control.as_ref().map(|control| room_for(control, written, problems));
    if let Some(gate) = written.gates.as_ref().and_then(|gates| gates.diff.as_ref()) {
        is_compared(gate, written, service, problems)?;
    }
    let (from, to) = (from?, to?);
    if let (true, Some(name)) = (from == to, &written.to) {
        problems
            .error(&name.spot, "`from` and `to` are the same version")
            .found(quote(&to))
            .expected("another version than `from`");
        return None;
    }
    let steps = written
        .steps
        .as_ref()?
        .iter()
        .map(|step| Some(RolloutStep { weight: step.weight.as_ref()?.value.0, bake: step.bake.as_ref()?.value.0 }));
    let approval = match &written.approval {
        Some(approval) => Some(ApprovalNeeded {
            above: approval.above.as_ref()?.value.0,
            required: approval.required.as_ref().map_or(1, |count| count.0),
        }),
        None => None,
    };
    Some(RolloutPlan {
        from,
        to,
        steps: all(steps)?,
        gates: gates?,
        min_requests: written.min_requests.as_ref().map_or(MIN_REQUESTS, |count| count.0),
        evidence: match written.evidence.as_ref().map(|evidence| evidence.value) {
            None | Some(values::EvidenceNeeded::AbsenceOfHarm) => EvidenceNeeded::AbsenceOfHarm,
            Some(values::EvidenceNeeded::Required) => EvidenceNeeded::Required,
        },
        alpha: written.alpha.as_ref().map_or(ALPHA, |alpha| alpha.0),
        on_regression: match written.on_regression.as_ref().map(|on| on.value) {
            None | Some(values::OnRegression::Rollback) => OnRegression::Rollback,
            Some(values::OnRegression::Pause) => OnRegression::Pause,
        },
        approval,
        control: match control {
            Some(control) => Some(control?),
            None => None,
        },
    })
}

/// The share of the control arm. `None` after noting the steps that leave it no room, but for those that leave `from`
/// nothing at all: at these `to` is compared with what `from` did before.
fn room_for(control: &written::ControlArm, rollout: &Rollout, problems: &mut Problems<'_>) -> Option<Weight> {
    let share = control.weight.as_ref()?;
    let room = HUNDRED - share.value.0.thousandths();
    let steps = || rollout.steps.iter().flat_map(|steps| steps.iter()).filter_map(|step| step.weight.as_ref());
    let is_crowded = |weight: &&At<StepWeight>| (room + 1..HUNDRED).contains(&weight.value.0.thousandths());
    for step in steps().filter(is_crowded) {
        let (weight, most) = (share.value.0, room as f64 / 1000.0);
        problems
            .error(&step.spot, format!("this step leaves no room for the control arm, which has {weight}%"))
            .found(step.value.0.to_string())
            .expected(format!("at most {most}, or 100, where `to` is compared with what `from` did before"));
    }
    let has_room = |weight: &At<StepWeight>| (1..=room).contains(&weight.value.0.thousandths());
    if !steps().any(|step| is_crowded(&step) || has_room(step)) && steps().next().is_some() {
        problems
            .error(&share.spot, "no step leaves room for the control arm")
            .found(share.value.0.to_string())
            .expected("a step above 0 and below 100 that it goes beside, or no `control`");
        return None;
    }
    (!steps().any(|step| is_crowded(&step))).then_some(share.value.0)
}

/// Whether the answers of `to` are compared at all. `None` after noting why not.
fn is_compared(
    gate: &written::DiffGate,
    rollout: &Rollout,
    service: &Service,
    problems: &mut Problems<'_>,
) -> Option<()> {
    let shadowed = service.shadow.as_ref().and_then(|shadow| shadow.to.as_ref());
    let missing = match (shadowed, &service.diff, &rollout.to) {
        (Some(shadowed), Some(_), Some(to)) if shadowed.value != to.value => {
            format!("`shadow: {{ to: {} }}`, the version that the steps are for", &*to.0)
        }
        (Some(_), Some(_), _) => return Some(()),
        // One that is wrong is not missing.
        _ if problems.noted(&service.spot, &["shadow", "diff"]) => return None,
        _ => "`shadow` and `diff` in this service".to_owned(),
    };
    problems.error(&gate.spot, "the answers of `to` are not compared with any others").expected(missing);
    None
}

fn version(name: &At<Name>, names: Option<&[&str]>, problems: &mut Problems<'_>) -> Option<Arc<str>> {
    version_id(name, names?, problems).map(|_| Arc::clone(&name.0))
}

fn compile(written: &written::RolloutGates, problems: &mut Problems<'_>) -> Option<RolloutGates> {
    let default = RolloutGates::default();
    let failures = written.failures.as_ref().map(|gate| Some(fraction(gate.max_increase.as_ref()?.value.0)));
    let latency = match &written.latency {
        Some(gates) => all(gates.iter().enumerate().map(|(index, gate)| {
            let quantile = gate.quantile.as_ref()?;
            let mut before = gates[..index].iter().filter_map(|gate| gate.quantile.as_ref());
            if before.any(|other| other.0.to_bits() == quantile.0.to_bits()) {
                problems.error(&quantile.spot, "this quantile has a gate already").expected("each quantile once");
                return None;
            }
            let slack = gate.slack.as_ref();
            if let Some(slack) = slack.filter(|slack| slack.0 > LONGEST_SLACK) {
                problems.error(&slack.spot, "too long").expected("a slack of at most 1h");
                return None;
            }
            Some(LatencyGate {
                quantile: quantile.0,
                max_ratio: gate.max_ratio.as_ref()?.0,
                slack: slack.map_or(Duration::ZERO, |slack| slack.0),
            })
        })),
        None => Some(default.latency),
    };
    let error_budget = match &written.error_budget {
        Some(budget) => Some(error_budget(budget, problems)?),
        None => None,
    };
    let max_diff = match &written.diff {
        Some(gate) => Some(fraction(gate.max_rate.as_ref()?.value.0)),
        None => None,
    };
    Some(RolloutGates {
        max_failure_increase: match failures {
            Some(failures) => failures?,
            None => default.max_failure_increase,
        },
        latency: latency?,
        error_budget,
        max_diff,
    })
}

fn error_budget(written: &written::ErrorBudget, problems: &mut Problems<'_>) -> Option<ErrorBudget> {
    let objective = written.objective.as_ref()?;
    if objective.value.0 == Share::ALL {
        problems
            .error(&objective.spot, "an objective of 100% leaves no budget")
            .expected("a percentage below 100%, such as `99.9%`");
        return None;
    }
    Some(ErrorBudget {
        objective: fraction(objective.value.0),
        window: written.window.as_ref().map_or(WINDOW, |window| window.0),
        max_burn_rate: written.max_burn_rate.as_ref().map_or(BURN_RATE, |rate| rate.0),
    })
}
