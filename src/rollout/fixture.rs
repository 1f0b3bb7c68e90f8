//! Plans for tests, and rollouts whose clock a test turns.

use std::sync::Arc;
use std::time::Duration;

use super::state::Planned;
use super::*;
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

/// A rollout and a clock that its test turns.
pub(super) struct Run {
    pub(super) planned: Planned,
    pub(super) state: State,
    pub(super) now: Duration,
    pub(super) in_force: Option<Exposure>,
    pub(super) last: Option<Action>,
}

impl Run {
    pub(super) fn new(plan: RolloutPlan) -> Self {
        let planned = planned(plan);
        let state = State::pending(&planned);
        Self { planned, state, now: Duration::ZERO, in_force: Some(Exposure::NONE), last: None }
    }

    pub(super) fn put(&mut self, input: &Input) -> Result<(), Refused> {
        let Stepped { state, action } = step(&self.planned, &self.state, self.now, input)?;
        // As the ledger has it: what is not written there is gone.
        let kept: State = serde_json::from_value(serde_json::to_value(&state).unwrap()).unwrap();
        assert_eq!((&kept.phase.word(), kept.exposure), (&state.phase.word(), state.exposure));
        self.state = state;
        if let Some(publish) = action.as_ref().and_then(|action| action.publish.as_ref()) {
            self.in_force = Some(publish.exposure);
        }
        self.last = action;
        Ok(())
    }

    pub(super) fn order(&mut self, command: Command, actor: &str) -> Result<(), Refused> {
        self.put(&Input::Order(Order { command, actor: actor.to_owned(), reason: String::new() }))
    }

    pub(super) fn seen(&self, finding: Finding, requests: u64) -> Evidence {
        Evidence {
            window: self.state.window,
            in_force: self.in_force,
            requests,
            control_requests: None,
            finding,
            reason: "so it looks".to_owned(),
            hiding: Some("p99 of new is between 0.94 and 1.17 of old's".to_owned()),
            verdict: Some(serde_json::json!({ "verdict": "inconclusive" })),
            burning: None,
            obstacle: None,
            next_run: self.state.run + 1,
            aftermath: None,
            hurt: 17,
            own_harm: None,
        }
    }

    pub(super) fn decision(&self) -> Option<Decision> {
        self.last.as_ref().map(|action| action.decision)
    }

    pub(super) fn percent(&self) -> f64 {
        self.in_force.map_or(-1.0, Exposure::percent)
    }
}
