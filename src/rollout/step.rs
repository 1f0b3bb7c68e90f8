//! The machine: from a state, a time and an input to the next state and what is to be done.
//!
//! Rules that hold in every state, whatever comes:
//! - The share of `to` grows by a start, a gate that holds after its bake time, an approval or a person, and by nothing else.
//! - It goes to 0 as soon as a gate fails (or all stops, by `onRegression: pause`), unless a person took the weights over.
//! - Bake time is monotonic time; wall clocks do not matter. Time between processes does not count.

mod moved;
mod orders;

use std::time::Duration;

use super::action::{Action, Decision, Publish};
use super::control::Control;
use super::input::{Evidence, Finding, Input};
use super::state::{End, Exposure, PauseCause, Phase, Planned, Progress, State};
use crate::plan::{EvidenceNeeded, OnRegression};

/// How long the service may take to be as before, once a version was withdrawn.
const VALIDATION: Duration = Duration::from_mins(2);
/// How much bake time a restart may cost at most; or a tenth of the step, whatever is more.
const RECORD_EVERY: Duration = Duration::from_mins(1);

/// What a step makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    /// The state, once the action is carried out.
    pub state: State,
    /// What is to be done. `None`: nothing.
    pub action: Option<Action>,
}

/// Why an order is not carried out; a sentence for who gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It makes no sense in this state.
    #[error("{0}")]
    State(String),
    /// Whoever asks may not.
    #[error("{0}")]
    Person(String),
}

/// Takes one step. `now` is monotonic time since any fixed moment of the process.
///
/// # Errors
/// Orders that make no sense in this state. Nothing has changed then.
pub fn step(planned: &Planned, state: &State, now: Duration, input: &Input) -> Result<Stepped, Refused> {
    let passed = now.saturating_sub(state.clock.unwrap_or(now));
    let mut next = Next { planned, passed, is_first: state.clock.is_none(), state: state.clone() };
    next.state.clock = Some(now.max(state.clock.unwrap_or(now)));
    match input {
        Input::Tick(evidence) => Ok(next.tick(evidence)),
        Input::Order(order) => next.order(order),
        Input::Edited { actor, in_force } => Ok(next.edited(actor, *in_force)),
        Input::Moved { actor, version } => Ok(next.moved(actor, version)),
        Input::NewPlan { actor } => Ok(next.replaced(actor)),
    }
}

/// What becomes of a rollout whose plan was taken away by `actor`. `None`: none was on.
#[must_use]
pub fn removed(state: &State, actor: &str) -> Option<Stepped> {
    let State { from, to, .. } = state;
    let action = Action {
        decision: Decision::Aborted,
        actor: actor.to_owned(),
        sentence: format!("{actor} took the plan away; {to} gets nothing any more, {from} gets all"),
        publish: Some(Publish { from: from.clone(), to: to.clone(), exposure: Exposure::NONE }),
        verdict: None,
        hiding: None,
        drill: None,
    };
    let ended = State { phase: Phase::Aborted { valid: false }, exposure: None, ..state.clone() };
    state.phase.is_active().then_some(Stepped { state: ended, action: Some(action) })
}

/// The next state while it is being made.
pub(super) struct Next<'a> {
    pub(super) planned: &'a Planned,
    /// Since the last step.
    pub(super) passed: Duration,
    /// The process that made the state is gone, or nothing has happened yet.
    pub(super) is_first: bool,
    pub(super) state: State,
}

impl Next<'_> {
    fn tick(mut self, evidence: &Evidence) -> Stepped {
        let gathered_here = evidence.window == self.state.window;
        let theirs = self.state.exposure.is_some_and(|ours| evidence.in_force != Some(ours));
        if theirs && self.state.phase.is_watched() {
            return self.edited("somebody", evidence.in_force);
        }
        if gathered_here
            && self.is_guarded()
            && let Some(harm) = harm(evidence)
        {
            return self.harmed(&harm, evidence);
        }
        match self.state.phase.clone() {
            Phase::Baking(at) => self.bake(at, evidence, gathered_here),
            Phase::Replacing { by } => match &evidence.obstacle {
                None if evidence.in_force.is_some() => self.start(&by, "", evidence.in_force, evidence.next_run),
                obstacle => {
                    let obstacle = obstacle.clone().unwrap_or_else(|| self.others_have_a_share());
                    self.state.phase = Phase::Pending { obstacle: Some(obstacle.clone()) };
                    self.because(Decision::NotStarted, format!("the new plan does not start: {obstacle}"))
                }
            },
            Phase::Validating { end, waited_ms } => self.validate(end, waited_ms, evidence),
            Phase::Drilling(drill) => self.drilled(drill, evidence, gathered_here),
            _ => self.nothing(),
        }
    }

    fn bake(mut self, at: Progress, evidence: &Evidence, gathered_here: bool) -> Stepped {
        let at = Progress { baked_ms: at.baked_ms.saturating_add(milliseconds(self.passed)), ..at };
        self.state.phase = Phase::Baking(at);
        let Some(this) = self.planned.plan.steps.get(at.step) else { return self.withdraw_lost() };
        let is_over = at.baked_ms >= milliseconds(this.bake);
        if is_over && (self.needs_no_gate(at.step) || (gathered_here && self.gate_holds(evidence))) {
            let arm = evidence.control_requests;
            let held = format!(
                "step {} of {} is over: baked for {}, {} requests to {}{}, {}",
                at.step + 1,
                self.planned.plan.steps.len(),
                spoken(at.baked_ms),
                evidence.requests,
                self.state.to,
                arm.map_or_else(String::new, |requests| format!(" and {requests} to the control arm")),
                evidence.reason
            );
            return self.advance(at.step, Action::MACHINE, &held, Decision::Advanced, Some(evidence));
        }
        let every = RECORD_EVERY.max(this.bake / 10);
        if !is_over && at.baked_ms.saturating_sub(self.state.recorded_ms) >= milliseconds(every) {
            self.state.recorded_ms = at.baked_ms;
            let sentence = format!("step {} has been baking for {}", at.step + 1, spoken(at.baked_ms));
            return self.because(Decision::Progress, sentence);
        }
        self.nothing()
    }

    /// Whether what comes after the step is no more than what is, or nobody meets the version who could tell.
    fn needs_no_gate(&self, step: usize) -> bool {
        let steps = &self.planned.plan.steps;
        let this = Exposure::of_step(steps[step].weight);
        let narrows = steps.get(step + 1).is_some_and(|next| Exposure::of_step(next.weight) <= this);
        narrows || this == Exposure::NONE
    }

    fn gate_holds(&self, evidence: &Evidence) -> bool {
        let plan = &self.planned.plan;
        let shown = match plan.evidence {
            EvidenceNeeded::AbsenceOfHarm => evidence.finding != Finding::Regressed,
            EvidenceNeeded::Required => evidence.finding == Finding::Healthy,
        };
        let least = evidence.control_requests.map_or(evidence.requests, |control| control.min(evidence.requests));
        shown && evidence.burning.is_none() && least >= u64::from(plan.min_requests)
    }

    /// On from `step`, or to the end.
    fn advance(
        mut self,
        step: usize,
        actor: &str,
        why: &str,
        decision: Decision,
        evidence: Option<&Evidence>,
    ) -> Stepped {
        let coming = step + 1;
        let mut stepped = if coming >= self.planned.plan.steps.len() {
            self.state.phase = Phase::Completed;
            self.state.exposure = None;
            let sentence = format!("{why}; the rollout of {} is complete", self.state.to);
            self.says(Decision::Completed, actor, sentence)
        } else if self.lacks_approval(coming) {
            self.await_approval(coming, actor, why)
        } else {
            self.begin(coming, actor, why, decision)
        };
        if let (Some(action), Some(evidence)) = (&mut stepped.action, evidence) {
            action.verdict.clone_from(&evidence.verdict);
            action.hiding.clone_from(&evidence.hiding);
        }
        stepped
    }

    fn await_approval(mut self, coming: usize, actor: &str, why: &str) -> Stepped {
        self.state.phase = Phase::AwaitingApproval { step: coming };
        let missing = self.state.approvals_missing(&self.planned.plan);
        let weight = Exposure::of_step(self.planned.plan.steps[coming].weight);
        let sentence = format!(
            "{why}; step {} gives {} {weight} and needs {missing} more approval{}",
            coming + 1,
            self.state.to,
            if missing == 1 { "" } else { "s" }
        );
        self.says(Decision::AwaitingApproval, actor, sentence)
    }

    /// Whether people must agree before `step`: it is above the threshold, widens, and too few have.
    fn lacks_approval(&self, step: usize) -> bool {
        let plan = &self.planned.plan;
        let widens = self.state.exposure.is_none_or(|now| Exposure::of_step(plan.steps[step].weight) > now);
        plan.needs_approval(step) && widens && self.state.approvals_missing(plan) > 0
    }

    /// Begins `step`.
    fn begin(mut self, step: usize, actor: &str, why: &str, decision: Decision) -> Stepped {
        let exposure = Exposure::of_step(self.planned.plan.steps[step].weight);
        self.state.phase = Phase::Baking(Progress { step, baked_ms: 0 });
        let steps = self.planned.plan.steps.len();
        let State { from, to, .. } = &self.state;
        let beside = match Control::beside(&self.planned.plan, exposure) {
            Control::All => String::new(),
            Control::Arm(share) => format!(", and {share} of all are the control arm of {from}"),
            Control::NoRoom => format!(", which leaves no room for a control arm: compared with all of {from}"),
        };
        let sentence = format!("{why}; step {} of {steps}: {to} gets {exposure}{beside}", step + 1);
        self.gather_anew();
        self.publishes(exposure, decision, actor, sentence)
    }

    /// Whether a gate that fails withdraws the version: the weights are the plan's, and somebody meets it.
    fn is_guarded(&self) -> bool {
        let ours = match &self.state.phase {
            Phase::Baking(_) | Phase::AwaitingApproval { .. } => true,
            Phase::Paused { cause, .. } => *cause == PauseCause::Asked,
            _ => false,
        };
        ours && self.state.exposure.is_some_and(|exposure| exposure > Exposure::NONE)
    }

    fn harmed(mut self, harm: &str, evidence: &Evidence) -> Stepped {
        let mut stepped = match self.planned.plan.on_regression {
            OnRegression::Rollback => {
                self.withdraw(End::RolledBack, Decision::RolledBack, Action::MACHINE, &format!("rolled back: {harm}"))
            }
            OnRegression::Pause => {
                self.pause(PauseCause::Regressed);
                self.because(Decision::Paused, format!("paused, and people must decide: {harm}"))
            }
        };
        if let Some(action) = &mut stepped.action {
            action.verdict.clone_from(&evidence.verdict);
        }
        stepped
    }

    /// Everything back to `from`, at once.
    pub(super) fn withdraw(mut self, end: End, decision: Decision, actor: &str, why: &str) -> Stepped {
        self.state.phase = Phase::Validating { end, waited_ms: 0 };
        self.gather_anew();
        let sentence = format!("{why}; {} gets nothing any more, {} gets all", self.state.to, self.state.from);
        self.publishes(Exposure::NONE, decision, actor, sentence)
    }

    /// A step that the plan does not have: what was read from the ledger was none of ours.
    fn withdraw_lost(self) -> Stepped {
        self.withdraw(End::RolledBack, Decision::RolledBack, Action::MACHINE, "the plan has no such step")
    }

    fn validate(mut self, end: End, waited_ms: u64, evidence: &Evidence) -> Stepped {
        let waited_ms = waited_ms.saturating_add(milliseconds(self.passed));
        let seen = evidence.aftermath.as_ref().filter(|_| evidence.window == self.state.window);
        if let Some(aftermath) = seen.filter(|aftermath| aftermath.is_well()) {
            let sentence = format!("back as before within {}: {}", spoken(waited_ms), aftermath.sentence);
            return self.ended(end, true, Decision::Validated, sentence);
        }
        if waited_ms >= milliseconds(VALIDATION) {
            let what = match seen {
                None => "nothing is known of it".to_owned(),
                Some(aftermath) if aftermath.back.is_none() => {
                    format!("too few requests to say: {}", aftermath.sentence)
                }
                Some(aftermath) => aftermath.sentence.clone(),
            };
            let sentence = format!("not seen to be back as before within {}: {what}", spoken(waited_ms));
            return self.ended(end, false, Decision::NotValidated, sentence);
        }
        self.state.phase = Phase::Validating { end, waited_ms };
        self.nothing()
    }

    fn ended(mut self, end: End, valid: bool, decision: Decision, sentence: String) -> Stepped {
        self.state.phase = match end {
            End::RolledBack => Phase::RolledBack { valid },
            End::Aborted => Phase::Aborted { valid },
        };
        self.state.exposure = None;
        self.because(decision, sentence)
    }

    fn edited(mut self, actor: &str, in_force: Option<Exposure>) -> Stepped {
        let ours = self.state.exposure.is_some() && self.state.exposure == in_force;
        if ours {
            return self.nothing();
        }
        let now = in_force.map_or("other shares".to_owned(), |share| format!("{share} to {}", self.state.to));
        match &self.state.phase {
            Phase::Drilling(drill) => {
                let drill = drill.clone();
                self.drill_edited(&drill, actor, &now)
            }
            Phase::Validating { end, .. } => {
                let end = *end;
                let sentence = format!("{actor} changed the weights before all was seen to be as before: now {now}");
                self.ended(end, false, Decision::NotValidated, sentence)
            }
            Phase::Baking(_) | Phase::AwaitingApproval { .. } | Phase::Paused { cause: PauseCause::Asked, .. } => {
                self.pause(PauseCause::Edited);
                self.state.exposure = None;
                let sentence = format!(
                    "paused: {actor} changed the weights by hand, now {now}; resume gives {} its step's share again",
                    self.state.to
                );
                self.because(Decision::Paused, sentence)
            }
            // One that is paused for harm may be resumed as before; the weights are no longer its own.
            Phase::Paused { .. } => {
                self.state.exposure = None;
                self.nothing()
            }
            Phase::Replacing { .. } => {
                self.state.phase = Phase::Pending { obstacle: Some(format!("{actor} changed the weights by hand")) };
                self.state.exposure = None;
                let sentence = format!("the new plan does not start: {actor} changed the weights by hand, now {now}");
                self.because(Decision::NotStarted, sentence)
            }
            Phase::Pending { .. } | Phase::RolledBack { .. } | Phase::Aborted { .. } | Phase::Completed => {
                self.nothing()
            }
        }
    }

    pub(super) fn pause(&mut self, cause: PauseCause) {
        let (at, awaiting) = match &self.state.phase {
            Phase::Baking(at) => (*at, false),
            Phase::AwaitingApproval { step } => (Progress { step: *step, baked_ms: 0 }, true),
            Phase::Paused { at, awaiting, .. } => (*at, *awaiting),
            _ => return,
        };
        self.state.phase = Phase::Paused { at, awaiting, cause };
    }

    pub(super) fn gather_anew(&mut self) {
        self.state.window += 1;
        self.state.recorded_ms = 0;
    }

    pub(super) fn publishes(
        mut self,
        exposure: Exposure,
        decision: Decision,
        actor: &str,
        sentence: String,
    ) -> Stepped {
        self.state.exposure = Some(exposure);
        let publish = Publish { from: self.state.from.clone(), to: self.state.to.clone(), exposure };
        let mut stepped = self.says(decision, actor, sentence);
        if let Some(action) = &mut stepped.action {
            action.publish = Some(publish);
        }
        stepped
    }

    fn because(self, decision: Decision, sentence: String) -> Stepped {
        self.says(decision, Action::MACHINE, sentence)
    }

    pub(super) fn says(self, decision: Decision, actor: &str, sentence: String) -> Stepped {
        let actor = actor.to_owned();
        let action = Action { decision, actor, sentence, publish: None, verdict: None, hiding: None, drill: None };
        Stepped { state: self.state, action: Some(action) }
    }

    pub(super) fn nothing(self) -> Stepped {
        Stepped { state: self.state, action: None }
    }
}

/// What the evidence says against going on.
pub(super) fn harm(evidence: &Evidence) -> Option<String> {
    match (evidence.finding, &evidence.burning) {
        (Finding::Regressed, _) => Some(evidence.reason.clone()),
        (_, Some(burning)) => Some(burning.clone()),
        _ => None,
    }
}

pub(super) fn refused(sentence: String) -> Refused {
    Refused::State(sentence)
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds for people.
pub(super) fn spoken(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0..10) => format!("{:.1}s", milliseconds as f64 / 1000.0),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}
