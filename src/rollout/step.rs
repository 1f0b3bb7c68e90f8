//! The machine: from a state, a time and an input to the next state and what is to be done.
//!
//! Rules that hold in every state, whatever comes:
//! - The share of `to` grows by a start, a gate that holds after its bake time, an approval or a person, and by nothing else.
//! - It goes to 0 as soon as a gate fails (or all stops, by `onRegression: pause`), unless a person took the weights over.
//! - Bake time is monotonic time; wall clocks do not matter. Time between processes does not count.

use std::time::Duration;

use super::action::{Action, Decision, Publish};
use super::input::{Command, Evidence, Finding, Input, Order};
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
            let held = format!(
                "step {} of {} is over: baked for {}, {} requests to {}, {}",
                at.step + 1,
                self.planned.plan.steps.len(),
                spoken(at.baked_ms),
                evidence.requests,
                self.state.to,
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
        shown && evidence.burning.is_none() && evidence.requests >= u64::from(plan.min_requests)
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
        let sentence = format!("{why}; step {} of {steps}: {} gets {exposure}", step + 1, self.state.to);
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

    fn order(mut self, order: &Order) -> Result<Stepped, Refused> {
        let Order { command, actor, reason } = order;
        let because = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        match (command, self.state.phase.clone()) {
            (Command::Start { in_force, run }, phase) if !phase.is_watched() => {
                if in_force.is_none() {
                    return Err(refused(self.others_have_a_share()));
                }
                Ok(self.start(actor, &because, *in_force, *run))
            }
            (Command::Start { .. }, phase) => Err(refused(format!("the rollout is {} already", phase.word()))),
            (Command::Drill(asked), _) => self.begin_drill(asked, actor, reason),
            (Command::Approve { .. }, Phase::Drilling(_)) => Err(refused(
                "a drill is on, and what is approved now would be forgotten: approve it afterwards".to_owned(),
            )),
            (Command::Pause, Phase::Baking(_) | Phase::AwaitingApproval { .. }) => {
                self.pause(PauseCause::Asked);
                let sentence = format!("paused by {actor}{because}; gates still hold");
                Ok(self.says(Decision::Paused, actor, sentence))
            }
            (Command::Resume, Phase::Paused { at, awaiting, cause }) => {
                Ok(self.resume(at, awaiting, cause, actor, &because))
            }
            (Command::Promote, Phase::Baking(at) | Phase::Paused { at, awaiting: false, .. }) => {
                if self.state.exposure.is_none() {
                    return Err(refused(
                        "the weights were changed by hand: resume first, so that they are the plan's again".to_owned(),
                    ));
                }
                let why = format!("promoted by {actor}{because} without waiting for step {}", at.step + 1);
                Ok(self.advance(at.step, actor, &why, Decision::Advanced, None))
            }
            (Command::Promote, Phase::AwaitingApproval { .. } | Phase::Paused { awaiting: true, .. }) => {
                Err(refused("it waits for approval, which promoting does not replace".to_owned()))
            }
            (Command::Abort, Phase::Replacing { .. }) => {
                self.state.phase = Phase::Pending { obstacle: None };
                self.state.exposure = None;
                let sentence = format!("aborted by {actor}{because} before the new plan started");
                Ok(self.says(Decision::NotStarted, actor, sentence))
            }
            (Command::Abort, phase) if phase.is_active() => {
                Ok(self.withdraw(End::Aborted, Decision::Aborted, actor, &format!("aborted by {actor}{because}")))
            }
            (Command::Approve { .. }, Phase::Replacing { .. }) => {
                Err(refused("the new plan has not started yet: approve it then".to_owned()))
            }
            (Command::Approve { plan }, phase) if phase.is_active() => self.approve(plan, actor, &because),
            (Command::Pause, Phase::Paused { .. }) => Err(refused("it is paused already".to_owned())),
            (Command::Resume, phase) if phase.is_active() => Err(refused("it is not paused".to_owned())),
            (_, phase) => {
                Err(refused(format!("there is nothing to {}: the rollout is {}", word(command), phase.word())))
            }
        }
    }

    fn start(mut self, actor: &str, because: &str, in_force: Option<Exposure>, run: u64) -> Stepped {
        self.state.run = run;
        self.state.approvals.clear();
        self.state.exposure = in_force;
        let why = format!(
            "rollout {} from {} to {} started by {actor}{because}",
            self.state.run, self.state.from, self.state.to
        );
        self.state.started_by = Some(actor.to_owned());
        if self.lacks_approval(0) {
            self.gather_anew();
            return self.await_approval(0, actor, &why);
        }
        self.begin(0, actor, &why, Decision::Started)
    }

    fn resume(mut self, at: Progress, awaiting: bool, cause: PauseCause, actor: &str, because: &str) -> Stepped {
        let why = format!("resumed by {actor}{because}");
        if cause == PauseCause::Asked {
            self.state.phase = if awaiting { Phase::AwaitingApproval { step: at.step } } else { Phase::Baking(at) };
            return self.says(Decision::Resumed, actor, why);
        }
        if !awaiting {
            return self.begin(at.step, actor, &why, Decision::Resumed);
        }
        // What it had before the step that is waited for.
        let before = at.step.checked_sub(1).map(|before| self.planned.plan.steps[before].weight);
        let exposure = before.map_or(Exposure::NONE, Exposure::of_step);
        self.state.phase = Phase::AwaitingApproval { step: at.step };
        self.gather_anew();
        let sentence = format!("{why}; {} gets {exposure} and waits for approval", self.state.to);
        self.publishes(exposure, Decision::Resumed, actor, sentence)
    }

    fn approve(mut self, plan: &str, actor: &str, because: &str) -> Result<Stepped, Refused> {
        if self.planned.plan.approval.is_none() {
            return Err(refused("this plan needs nobody's approval".to_owned()));
        }
        if *plan != self.state.plan {
            return Err(refused(format!(
                "the approval is for plan {}, but the one that runs is {}: look at it again",
                short(plan),
                short(&self.state.plan)
            )));
        }
        if self.state.started_by.as_deref() == Some(actor) {
            return Err(Refused::Person(format!("{actor} started this rollout: somebody else must approve it")));
        }
        if self.state.approvals.iter().any(|known| known == actor) {
            return Err(Refused::Person(format!("{actor} has approved it already: somebody else must")));
        }
        self.state.approvals.push(actor.to_owned());
        let missing = self.state.approvals_missing(&self.planned.plan);
        let why = format!("approved by {actor}{because}");
        match self.state.phase {
            Phase::AwaitingApproval { step } if missing == 0 => Ok(self.begin(step, actor, &why, Decision::Approved)),
            _ if missing == 0 => Ok(self.says(Decision::Approved, actor, why)),
            _ => Ok(self.says(Decision::Approved, actor, format!("{why}; {missing} more are needed"))),
        }
    }

    /// The plan given to this step takes the place of the one before.
    fn replaced(mut self, actor: &str) -> Stepped {
        if let Phase::Drilling(drill) = &self.state.phase
            && !drill.before.phase.is_active()
        {
            let drill = drill.clone();
            return self.drill_replaced(&drill, actor);
        }
        let (from, to) = (self.state.from.clone(), self.state.to.clone());
        let (was, before) = (self.state.phase.clone(), self.state.plan.clone());
        let fresh = State::pending(self.planned);
        self.state = State { run: self.state.run, window: self.state.window, clock: self.state.clock, ..fresh };
        if !was.is_active() {
            if !was.is_watched() {
                return self.nothing();
            }
            let sentence = format!("{actor} gave another plan before all was seen to be as before");
            return self.says(Decision::NotValidated, actor, sentence);
        }
        self.state.phase = Phase::Replacing { by: actor.to_owned() };
        self.gather_anew();
        let sentence = format!(
            "{actor} replaced plan {} by plan {}: {to} gets nothing any more, then the new plan starts",
            short(&before),
            short(&self.planned.hash)
        );
        // The new plan's own share is known once the weights are in force: they may be of other versions.
        self.state.exposure = None;
        let mut stepped = self.says(Decision::Replaced, actor, sentence);
        if let Some(action) = &mut stepped.action {
            action.publish = Some(Publish { from, to, exposure: Exposure::NONE });
        }
        stepped
    }

    fn others_have_a_share(&self) -> String {
        let State { from, to, .. } = &self.state;
        format!("other versions than {from} and {to} have a share: give it to {from} first")
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

fn word(command: &Command) -> &'static str {
    match command {
        Command::Start { .. } => "start",
        Command::Pause => "pause",
        Command::Resume => "resume",
        Command::Promote => "promote",
        Command::Abort => "abort",
        Command::Approve { .. } => "approve",
        Command::Drill(_) => "drill",
    }
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

/// The first characters of a hash, for people.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}
