//! How a version's share is widened step by step.

use serde_json::{Value, json};

use crate::config::problem::Problems;
use crate::config::read::{At, Cursor, List, Read, written};
use crate::config::values::{
    Alpha, Count, EvidenceNeeded, Factor, Name, OnRegression, Order, Percent, Period, StepWeight, Tolerance,
};

written! {
    /// A plan to widen one version's share step by step. Nothing happens before it is started.
    Rollout {
        /// The version that everything goes back to; it has what `to` has not.
        required "from" from: At<Name>,
        /// The version whose share is widened; all versions but these two get nothing.
        required "to" to: At<Name>,
        /// The steps, one after the other; they may go up and down.
        required "steps" steps: List<Step, 1, 100>,
        /// What must not happen meanwhile. What is left out has its default.
        optional "gates" gates: Gates,
        /// Requests that `to` must have answered in a step before its share is widened. Default: 500.
        optional "minRequests" min_requests: At<Count<1, 10_000_000>>,
        /// absenceOfHarm: no gate has failed. required: every metric is shown to be within its gate. Default: absenceOfHarm.
        optional "evidence" evidence: At<EvidenceNeeded>,
        /// The probability that a version that is no worse is held to be, over all looks of a step. Default: 0.05.
        optional "alpha" alpha: At<Alpha>,
        /// Where a gate fails: rollback takes all from `to` at once, pause leaves everything as it is. Default: rollback.
        optional "onRegression" on_regression: At<OnRegression>,
        /// From where on people must agree. Default: nowhere.
        optional "approval" approval: Approval,
        /// A slice of the traffic of `from` as a baseline of the size of `to`. Not in this version.
        optional "control" control: Baseline,
    }

    /// One step.
    Step {
        /// The share of `to` in percent; `from` has the rest.
        required "weight" weight: At<StepWeight>,
        /// How long it lasts at least.
        required "bake" bake: At<Period>,
    }

    /// What must not happen while a plan runs.
    Gates {
        /// How many more of its requests `to` may fail than `from`.
        optional "failures" failures: FailureGate,
        /// Bounds on quantiles of latency; `[]` for none. Default: 0.5 by 1.1 and 2ms, 0.99 by 1.2 and 10ms.
        optional "latency" latency: List<LatencyGate, 0, 8>,
        /// How fast the whole service may use up its error budget. Default: not looked at.
        optional "errorBudget" error_budget: ErrorBudget,
        /// In how many requests the answers of both may differ; needs the service's `shadow` to the same version, and its `diff`. Default: not looked at.
        optional "diff" diff: DiffGate,
    }

    /// In how many requests the answers of `to` may differ from those of `from`.
    DiffGate {
        /// As a share of the requests compared, over and above noise, in any one place.
        required "maxRate" max_rate: At<Percent<0>>,
    }

    /// How many more of its requests `to` may fail than `from`.
    FailureGate {
        /// As a share of its requests: with 0.2%, 1.2% is not too many where `from` fails 1%. Default: 0.2%.
        required "maxIncrease" max_increase: At<Percent<0>>,
    }

    /// A bound on one quantile of `to`'s latency: that of `from` times `maxRatio`, and `slack`.
    LatencyGate {
        /// Which quantile, such as 0.99.
        required "quantile" quantile: At<Order>,
        /// How many times that of `from`.
        required "maxRatio" max_ratio: At<Tolerance>,
        /// And how much more. Default: nothing.
        optional "slack" slack: At<Period>,
    }

    /// How fast an error budget may be used up: over the window and over a twelfth of it.
    ErrorBudget {
        /// The share of requests that is to be answered well.
        required "objective" objective: At<Percent<5_000>>,
        /// The longer window. Default: 1h.
        optional "window" window: At<Period>,
        /// How many times as fast as would just use up the budget. Default: 14.4.
        optional "maxBurnRate" max_burn_rate: At<Factor>,
    }

    /// From where on people must agree.
    Approval {
        /// Steps whose weight is above this need it.
        required "above" above: At<StepWeight>,
        /// How many people, none of them the one who started the plan. Default: 1.
        optional "required" required: At<Count<1, 10>>,
    }
}

/// A baseline arm, which is not in this version: nothing can be written here.
#[derive(Debug)]
pub(in crate::config) enum Baseline {}

impl Read for Baseline {
    fn read(at: &Cursor<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        problems
            .error(&at.spot(), "a baseline arm of its own is not in this version yet")
            .found(at.node.describe())
            .expected("no `control`: `to` is compared with all of `from`");
        None
    }

    fn schema() -> Value {
        json!({ "not": {} })
    }
}
