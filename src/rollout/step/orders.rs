//! What people order, and what a new plan means for a rollout that is on.

use super::super::action::{Decision, Publish};
use super::super::input::{Command, Order};
use super::super::state::{End, Exposure, PauseCause, Phase, Progress, State};
use super::{Next, Refused, Stepped, refused};

impl Next<'_> {
    pub(super) fn order(mut self, order: &Order) -> Result<Stepped, Refused> {
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

    pub(super) fn start(mut self, actor: &str, because: &str, in_force: Option<Exposure>, run: u64) -> Stepped {
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
    pub(super) fn replaced(mut self, actor: &str) -> Stepped {
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

    pub(super) fn others_have_a_share(&self) -> String {
        let State { from, to, .. } = &self.state;
        format!("other versions than {from} and {to} have a share: give it to {from} first")
    }
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

/// The first characters of a hash, for people.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}
