//! What holds of a rollout whatever happens to it: what a change needs, a way out of every state, an end to every rollout.

use super::*;

impl World {
    pub(super) fn is_widened_by(&self, publish: &Publish) -> bool {
        // What others have is not known here: nothing of it is `to`'s.
        publish.exposure > self.in_force.unwrap_or(Exposure::NONE)
    }

    /// That a change has what it needs.
    pub(super) fn hold(&self, action: &Action, next: &State, cause: Cause, evidence: Option<&Evidence>) {
        let Some(publish) = &action.publish else { return };
        let plan = &self.planned.plan;
        assert!(publish.exposure <= Exposure::ALL, "{self}");
        if !self.is_widened_by(publish) {
            return;
        }
        if let Phase::Drilling(drill) = &self.state.phase {
            // The end of a drill gives what there was before it, and no more.
            assert_eq!(Some(publish.exposure), drill.before.exposure, "{:?} {self}", action.decision);
            assert_eq!((&next.phase, &next.approvals), (&drill.before.phase, &drill.before.approvals), "{self}");
            return;
        }
        if action.decision == Decision::DrillStarted {
            assert!(cause == Cause::Person && self.in_force == Some(Exposure::NONE), "{self}");
            let first = Exposure::of_step(plan.steps[0].weight);
            assert!(publish.exposure == first && !plan.needs_approval(0), "{self}");
            return;
        }
        if cause == Cause::Machine && action.decision != Decision::Started {
            let Phase::Baking(at) = &self.state.phase else { panic!("{:?} widens {self}", self.state.phase) };
            let evidence = evidence.expect("the machine goes by evidence");
            let this = &plan.steps[at.step];
            assert!(self.step_age >= this.bake, "{:?} of {:?} {self}", self.step_age, this.bake);
            if Exposure::of_step(this.weight) > Exposure::NONE {
                assert!(evidence.requests >= u64::from(plan.min_requests), "{self}");
                assert!(evidence.control_requests.is_none_or(|n| n >= u64::from(plan.min_requests)), "{self}");
                assert_eq!(evidence.window, self.state.window, "{self}");
                assert!(evidence.burning.is_none() && evidence.finding != Finding::Regressed, "{self}");
                let healthy = evidence.finding == Finding::Healthy;
                assert!(healthy || plan.evidence == EvidenceNeeded::AbsenceOfHarm, "{self}");
            }
        }
        if cause == Cause::Machine && action.decision == Decision::Started {
            assert!(matches!(self.state.phase, Phase::Replacing { .. }), "started by nobody {self}");
        }
        let step = next.phase.step().expect("whoever widens is at a step");
        if plan.needs_approval(step) && action.decision != Decision::Resumed {
            let required = plan.approval.as_ref().map_or(0, |approval| approval.required);
            assert!(next.approvals.len() >= required as usize, "{self}");
            assert_eq!(next.approvals.iter().collect::<BTreeSet<_>>().len(), next.approvals.len(), "{self}");
            assert!(next.approvals.iter().all(|who| Some(who) != next.started_by.as_ref()), "{self}");
        }
    }

    /// What holds in every state.
    pub(super) fn check(&self) {
        let last = self.ledger.iter().rev().find_map(|entry| entry.weights).unwrap();
        assert_eq!(last, self.in_force, "weights without an entry {self}");
        if let Some(step) = self.state.phase.step() {
            assert!(step < self.planned.plan.steps.len(), "{self}");
        }
        // A way out: abort, and time.
        let order = |command| Input::Order(Order { command, actor: "ada".into(), reason: String::new() });
        let out = |state: &State, input: &Input, later: u64| {
            step(&self.planned, state, self.now + Duration::from_secs(later), input)
        };
        let mut state = self.state.clone();
        if state.phase.is_active() {
            state = out(&state, &order(Command::Abort), 0).unwrap_or_else(|error| panic!("{error} {self}")).state;
        }
        let nothing = |state: &State| {
            Input::Tick(Evidence {
                window: state.window,
                in_force: state.exposure,
                requests: 0,
                control_requests: None,
                finding: Finding::Inconclusive,
                reason: String::new(),
                hiding: None,
                verdict: None,
                burning: None,
                obstacle: None,
                next_run: self.state.run + 1,
                aftermath: None,
                hurt: 0,
                own_harm: None,
            })
        };
        // The first look after a restart only sets the clock.
        state = out(&state, &nothing(&state), 0).unwrap().state;
        state = out(&state, &nothing(&state), 1_000).unwrap().state;
        assert!(!state.phase.is_watched(), "no way out of {:?} {self}", self.state.phase);
        let start = Command::Start { in_force: Some(Exposure::NONE), run: self.state.run + 1 };
        assert!(out(&state, &order(start), 1_001).is_ok(), "no way back from {:?} {self}", state.phase);
    }

    /// With good evidence and people who agree it comes to its end.
    pub(super) fn sees_through(&mut self) -> bool {
        self.writable = true;
        for _ in 0..200 {
            if self.state.phase == Phase::Completed {
                return true;
            }
            if matches!(self.state.phase, Phase::RolledBack { .. } | Phase::Aborted { .. } | Phase::Pending { .. })
                && self.in_force.is_none()
            {
                // Whoever gave other versions a share takes it back.
                self.ledger.push(Entry { state: None, weights: Some(Some(Exposure::NONE)) });
                self.in_force = Some(Exposure::NONE);
            }
            self.start_or_go_on();
            self.pass(Duration::from_secs(1_000));
            let evidence = Evidence {
                window: self.state.window,
                in_force: self.in_force,
                requests: 1_000,
                control_requests: self.has_control().then_some(1_000),
                finding: Finding::Healthy,
                burning: None,
                obstacle: None,
                ..self.evidence()
            };
            self.apply(&Input::Tick(evidence.clone()), Cause::Machine, Some(&evidence));
            self.check();
        }
        false
    }
}
