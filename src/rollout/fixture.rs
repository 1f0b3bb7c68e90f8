//! Plans for tests.

use std::sync::Arc;
use std::time::Duration;

use super::state::Planned;
use crate::plan::{RolloutGates, RolloutPlan, RolloutStep, Weight};

/// A plan from `old` to `new` with steps of these weights, ten minutes each, that needs 100 requests.
pub(super) fn plan(steps: &str) -> RolloutPlan {
    let step = |weight: &str| RolloutStep {
        weight: Weight::from_f64(weight.trim().parse().unwrap()).unwrap(),
        bake: Duration::from_mins(10),
    };
    RolloutPlan {
        from: "old".into(),
        to: "new".into(),
        steps: steps.split(',').map(step).collect(),
        gates: RolloutGates::default(),
        min_requests: 100,
        evidence: crate::plan::EvidenceNeeded::AbsenceOfHarm,
        alpha: 0.05,
        on_regression: crate::plan::OnRegression::Rollback,
        approval: None,
        control: None,
    }
}

pub(super) fn planned(plan: RolloutPlan) -> Planned {
    Planned::new("shop", &Arc::new(plan))
}
