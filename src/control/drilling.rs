//! Rollback drills at work: what stands in the way of one, and the fault that is in force while one is on.
//!
//! The fault is nowhere but in the plan in force, with an end of its own: whatever becomes of the client, the control plane
//! or the process, it ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};

use super::data_plane::DataPlane;
use super::force::InForce;
use super::rollouts::RolloutRefused;
use super::run::Control;
use crate::plan::{Abort, Delay, Fault, Service, Strike, VersionId};
use crate::rollout::{Action, Decision, Drill, DrillFault, DrillOrder, Exposure, Phase, State};

/// How long a fault may outlast its drill where nobody takes it out.
const GRACE: Duration = Duration::from_secs(2);
/// Most requests that wait at one time.
const MAX_CONCURRENT: u32 = 1_000;

impl<D: DataPlane> Control<D> {
    /// Looks at everything before a drill, and completes what is asked for.
    pub(super) fn prepare_drill(
        &mut self,
        service: &Arc<Service>,
        asked: &mut DrillOrder,
    ) -> Result<(), RolloutRefused> {
        let refused = |why: String| Err(RolloutRefused::Preflight(why));
        let name = &service.name;
        if let Some(other) = self.rollouts.drilling().filter(|other| **other != **name) {
            return refused(format!("a drill of `{other}` is on: one at a time"));
        }
        let now = SystemTime::now();
        if let Some(fault) = service.faults.iter().find(|fault| fault.until > now && &*fault.name != Drill::NAME) {
            return refused(format!(
                "the fault `{}` of serin.yaml is in force: what is seen would be its doing, too",
                fault.name
            ));
        }
        self.rollouts.note(&self.registry.snapshot());
        if let Some(obstacle) = self.preflight_of(service).and_then(|preflight| preflight.obstacle()) {
            return refused(obstacle);
        }
        asked.run = self.rollouts.next_run();
        let Some(course) = self.rollouts.course(name) else { return Err(RolloutRefused::NoPlan(name.to_string())) };
        asked.in_force = course.in_force(service);
        let first = course.planned.plan.steps.first().map(|step| Exposure::of_step(step.weight));
        let is_on = course.state.phase.is_active();
        let exposure = if is_on { course.state.exposure } else { first }.filter(|exposure| *exposure > Exposure::NONE);
        // Where it has none, the machine says what is wrong.
        let Some(exposure) = exposure else { return Ok(()) };
        match self.rollouts.drill_need(service, asked, exposure) {
            Some(Ok(need)) => asked.delay = need.delay,
            Some(Err(why)) => return refused(why),
            None => return refused("nothing is known of today's traffic yet: ask again in a few seconds".to_owned()),
        }
        Ok(())
    }

    /// Puts in force what the state says of a drill, where that is not so already.
    pub(super) fn follow_drill(&mut self, name: &str, state: &State) {
        let has = |in_force: &InForce| {
            in_force.plan().service_named(name).is_some_and(|(_, service)| fault(service).is_some())
        };
        if has(&self.in_force) != is_hurting(state) {
            let next = self.in_force.again();
            let next = self.with_drill_of(next, name, state);
            self.publish(next);
        }
    }

    /// `next` with the fault of the drill that is on by `state`, or without one.
    pub(super) fn with_drill_of(&self, next: InForce, name: &str, state: &State) -> InForce {
        let known = self.in_force.plan().service_named(name).and_then(|(_, service)| fault(service));
        let Phase::Drilling(drill) = &state.phase else { return next.with_fault(name, Drill::NAME, None) };
        if !is_hurting(state) {
            return next.with_fault(name, Drill::NAME, None);
        }
        let service = next.plan().service_named(name).map(|(_, service)| Arc::clone(service));
        let made =
            service.and_then(|service| {
                // One that is in force keeps its end.
                let version = service.version_named(&state.to)?;
                Some(known.map_or_else(
                    || made(drill, version, SystemTime::now()),
                    |known| Fault { version, ..known.clone() },
                ))
            });
        next.with_fault(name, Drill::NAME, made)
    }

    /// What files make of what is in force, with the drill that is on.
    pub(super) fn with_drills(&mut self, next: InForce) -> InForce {
        let Some(name) = self.rollouts.drilling().map(str::to_owned) else { return next };
        let Some(state) = self.rollouts.course(&name).map(|course| course.state.clone()) else { return next };
        self.with_drill_of(next, &name, &state)
    }

    /// How long it took until a drill was noticed.
    pub(super) fn count_drill(&self, name: &str, action: &Action) {
        if let (Decision::DrillRolledBack, Some(drill)) = (action.decision, &action.drill) {
            self.registry.control().drill_rolled_back(name, drill.rollback_seconds.unwrap_or_default());
        }
    }
}

/// The fault of a drill that is in force.
fn fault(service: &Service) -> Option<&Fault> {
    service.faults.iter().find(|fault| &*fault.name == Drill::NAME)
}

/// Whether requests are to be hurt.
fn is_hurting(state: &State) -> bool {
    matches!(&state.phase, Phase::Drilling(drill) if drill.rolled_back_ms.is_none())
}

/// The fault of a drill that begins at `now`.
fn made(drill: &Drill, version: VersionId, now: SystemTime) -> Fault {
    let left = Duration::from_millis(drill.within_ms.saturating_sub(drill.waited_ms));
    Fault {
        name: Drill::NAME.into(),
        header: HeaderValue::from_static(Drill::NAME),
        version,
        share: drill.share(),
        only: None,
        delay: (drill.fault == DrillFault::Delay).then(|| Delay::Fixed(Duration::from_millis(drill.delay_ms))),
        strike: (drill.fault == DrillFault::Errors)
            .then_some(Strike::Abort(Abort::Http(StatusCode::SERVICE_UNAVAILABLE))),
        max_concurrent: MAX_CONCURRENT,
        until: now + left + GRACE,
    }
}
