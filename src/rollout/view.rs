//! Where a rollout stands, as JSON shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drill::DrillView;
use super::state::{Exposure, Phase, Planned, State};
use crate::judge::Verdict;
use crate::plan::EvidenceNeeded;

/// Where a service's rollout stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    /// `pending`, `replacing`, `baking`, `awaitingApproval`, `paused`, `validating`, `rolledBack`, `aborted` or `completed`.
    pub state: String,
    /// The number of the run in the ledger; 0 before the first.
    pub run: u64,
    /// Hash of the plan: what approvals are given to.
    pub plan_hash: String,
    /// The version that everything goes back to.
    pub from: String,
    /// The version that is widened.
    pub to: String,
    /// The step it is at, from 1; for one that waits for approval the one that is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// All steps.
    pub steps: Vec<StepView>,
    /// Seconds for which the step has been baking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baked_seconds: Option<f64>,
    /// Requests that `from` and `to` have answered since the step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<[u64; 2]>,
    /// Seconds that those, and the verdict, are taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<f64>,
    /// What the step still needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// Who started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// Who agreed to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
    /// How many must agree before steps that need it.
    #[serde(default)]
    pub approvals_required: u32,
    /// Whether, after the version was withdrawn, the service was seen to be as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validated: Option<bool>,
    /// What was decided last and why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When: RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why what was decided is not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// What the judge says of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The rollback drill that is on, or the last one since the process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillView>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// The share of `to` in percent.
    pub weight: f64,
    /// How long it lasts at least, in seconds.
    pub bake_seconds: f64,
    /// Whether people must agree before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

impl RolloutView {
    /// Whether a run is on: begun and neither withdrawn nor done.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !["pending", "validating", "rolledBack", "aborted", "completed"].contains(&&*self.state)
    }

    /// What there is to show of a state; `verdict` and `requests` are those of its window.
    #[must_use]
    pub fn new(planned: &Planned, state: &State, verdict: Option<&Verdict>, requests: Option<[u64; 2]>) -> Self {
        let plan = &planned.plan;
        let steps = plan.steps.iter().enumerate().map(|(index, step)| StepView {
            weight: Exposure::of_step(step.weight).percent(),
            bake_seconds: step.bake.as_secs_f64(),
            approval: plan.needs_approval(index),
        });
        let at = match &state.phase {
            Phase::Baking(at) | Phase::Paused { at, awaiting: false, .. } => Some(*at),
            _ => None,
        };
        let validated = match &state.phase {
            Phase::RolledBack { valid } | Phase::Aborted { valid } => Some(*valid),
            _ => None,
        };
        let blocked = match &state.phase {
            Phase::Pending { obstacle } => obstacle.clone(),
            _ => None,
        };
        Self {
            state: state.phase.word().to_owned(),
            run: state.run,
            plan_hash: state.plan.clone(),
            from: state.from.clone(),
            to: state.to.clone(),
            step: state.phase.step().map(|step| step + 1),
            steps: steps.collect(),
            baked_seconds: at.map(|at| at.baked_ms as f64 / 1000.0),
            requests: requests.filter(|_| state.phase.is_watched()),
            window_seconds: None,
            waiting_for: waiting_for(planned, state, verdict, requests),
            started_by: state.started_by.clone(),
            approvals: state.approvals.clone(),
            approvals_required: plan.approval.map_or(0, |approval| approval.required),
            validated,
            reason: None,
            since: None,
            blocked,
            verdict: verdict.cloned().filter(|_| state.phase.is_watched()),
            drill: None,
        }
    }
}

/// What the step still needs.
fn waiting_for(planned: &Planned, state: &State, verdict: Option<&Verdict>, requests: Option<[u64; 2]>) -> Vec<String> {
    let plan = &planned.plan;
    match &state.phase {
        Phase::Baking(at) => {
            let Some(step) = plan.steps.get(at.step) else { return Vec::new() };
            let left = step.bake.as_secs_f64() - at.baked_ms as f64 / 1000.0;
            let answered = requests.map_or(0, |[_, to]| to);
            let missing = u64::from(plan.min_requests).saturating_sub(answered);
            let bake = (left > 0.0).then(|| format!("{} of its bake time", super::need::spoken(left)));
            let more = (missing > 0).then(|| format!("{missing} more requests to {}", state.to));
            let unshown = plan.evidence == EvidenceNeeded::Required
                && verdict.is_none_or(|verdict| verdict.verdict != crate::judge::Outcome::Healthy);
            let shown = unshown.then(|| "every metric shown to be healthy".to_owned());
            bake.into_iter().chain(more).chain(shown).collect()
        }
        Phase::AwaitingApproval { .. } => vec![format!("{} more approvals", state.approvals_missing(plan))],
        Phase::Paused { .. } => vec!["somebody to resume, promote or abort it".to_owned()],
        Phase::Drilling(drill) if drill.rolled_back_ms.is_none() => vec![format!("the judge to withdraw {}", state.to)],
        Phase::Drilling(_) | Phase::Validating { .. } => vec!["the service to be as before".to_owned()],
        _ => Vec::new(),
    }
}
