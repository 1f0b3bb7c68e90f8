//! How a version's share is to be widened, as the configuration says it. What is done with it is for the room `rollout`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{Share, Weight};

/// A plan of steps from one version of a service to another, and what holds it up. Serialised it is what approvals are
/// given to, so every word of it counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlan {
    /// The version that everything goes back to; it has what `to` has not.
    #[serde(serialize_with = "as_text")]
    pub from: Arc<str>,
    /// The version whose share the steps are.
    #[serde(serialize_with = "as_text")]
    pub to: Arc<str>,
    /// At least one; they may go up and down.
    pub steps: Vec<RolloutStep>,
    /// What must not happen meanwhile.
    pub gates: RolloutGates,
    /// Requests that `to` must have answered in a step before its exposure is widened.
    pub min_requests: u32,
    /// What is needed of the evidence before exposure is widened.
    pub evidence: EvidenceNeeded,
    /// Probability that a version that is no worse is ever held to be: over all looks of one step, 0 to 1.
    pub alpha: f64,
    /// What happens where a gate fails.
    pub on_regression: OnRegression,
    /// From where on people must agree. `None`: nowhere.
    pub approval: Option<ApprovalNeeded>,
}

/// One step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStep {
    /// The share of `to` in percent, 0 to 100; `from` has the rest.
    #[serde(serialize_with = "as_number")]
    pub weight: Weight,
    /// How long it lasts at least.
    #[serde(serialize_with = "as_milliseconds", rename = "bakeMs")]
    pub bake: Duration,
}

/// What must not happen while a plan runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutGates {
    /// How many more of its requests `to` may fail than `from`, as a share of all, 0 to 1.
    pub max_failure_increase: f64,
    /// Bounds on quantiles of latency, each quantile at most once.
    pub latency: Vec<LatencyGate>,
    /// How fast the service as a whole may use up its error budget. `None`: not looked at.
    pub error_budget: Option<ErrorBudget>,
    /// In how many requests the answers of both may differ over and above noise, 0 to 1. `None`: not looked at. Left out
    /// of what is serialised, so that plans without it are what they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_diff: Option<f64>,
}

/// A bound on one quantile of `to`'s latency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencyGate {
    /// The order of the quantile, above 0 and below 1.
    pub quantile: f64,
    /// How many times that of `from` it may be, from 1.
    pub max_ratio: f64,
    /// And how much more than that.
    #[serde(serialize_with = "as_milliseconds", rename = "slackMs")]
    pub slack: Duration,
}

/// How fast an error budget may be used up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBudget {
    /// The share of requests that is to be answered well, 0 to 1, below 1.
    pub objective: f64,
    /// The longer of the two windows that are looked at; the shorter is a twelfth of it.
    #[serde(serialize_with = "as_milliseconds", rename = "windowMs")]
    pub window: Duration,
    /// How many times as fast as would just use up the budget, above 0.
    pub max_burn_rate: f64,
}

/// What is needed of the evidence before exposure is widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EvidenceNeeded {
    /// No gate has failed.
    #[default]
    AbsenceOfHarm,
    /// Every metric is shown to be within its gate.
    Required,
}

/// What happens where a gate fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OnRegression {
    /// The share of `to` goes to 0 at once.
    #[default]
    Rollback,
    /// Shares stay, and people decide.
    Pause,
}

/// From where on people must agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalNeeded {
    /// Steps whose weight is above this need it.
    #[serde(serialize_with = "as_number")]
    pub above: Weight,
    /// How many people, none of them the one who started the plan; at least 1.
    pub required: u32,
}

impl RolloutPlan {
    /// Whether the step at `index` needs people to agree.
    #[must_use]
    pub fn needs_approval(&self, index: usize) -> bool {
        let above = self.approval.as_ref().map(|approval| approval.above);
        above.zip(self.steps.get(index)).is_some_and(|(above, step)| step.weight > above)
    }
}

impl Default for RolloutGates {
    fn default() -> Self {
        let gate =
            |quantile, max_ratio, slack| LatencyGate { quantile, max_ratio, slack: Duration::from_millis(slack) };
        Self {
            max_failure_increase: fraction(Share::from_hundredths(20)),
            latency: vec![gate(0.5, 1.1, 2), gate(0.99, 1.2, 10)],
            error_budget: None,
            max_diff: None,
        }
    }
}

/// A share as a number from 0 to 1.
#[must_use]
pub fn fraction(share: Share) -> f64 {
    f64::from(share.hundredths()) / f64::from(Share::ALL.hundredths())
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_number<S: serde::Serializer>(weight: &Weight, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(weight.as_f64())
}

fn as_milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Configured durations are at most 30 days.
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
