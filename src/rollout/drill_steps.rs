//! What a drill makes of a rollout: begun, noticed, over, and the rollout where it was before.
//!
//! A drill never widens beyond what was so before it, or beyond the first step where no rollout was on. Its bake time, its
//! evidence and its approvals are nobody's: what it ends with is the state from before, gathering evidence anew.

use std::time::Duration;

use super::action::{Action, Decision, Publish};
use super::drill::{Drill, DrillOrder, DrillResult};
use super::input::Evidence;
use super::state::{End, Exposure, PauseCause, Phase, State};
use super::step::{Next, Refused, Stepped, harm, milliseconds, refused, spoken};
use crate::plan::OnRegression;

/// After the version was withdrawn: how long until nobody may meet it any more.
const DRAINED: Duration = Duration::from_secs(30);
/// And how long it is looked whether failures and latency are back, where too few requests come to say so.
const BACK: Duration = Duration::from_secs(10);
/// The greatest part of all requests of a service that a drill may hurt.
const MOST: f64 = 0.1;

impl Next<'_> {
    pub(super) fn begin_drill(mut self, asked: &DrillOrder, actor: &str, reason: &str) -> Result<Stepped, Refused> {
        let (step, exposure) = self.drill_ground(asked)?;
        let to = self.state.to.clone();
        let hurts = exposure.fraction() * f64::from(asked.share.hundredths()) / 10_000.0;
        if hurts > MOST + 1e-9 {
            let most = (MOST / exposure.fraction() * 100.0).floor();
            return Err(refused(format!(
                "{} of {to}'s {exposure} are {:.1}% of all requests, and a drill hurts 10% at most: ask for a share of {most}% \
                 or less",
                asked.share,
                hurts * 100.0
            )));
        }
        let before = self.state.clone();
        let starts = !before.phase.is_active();
        let drill = Drill {
            by: actor.to_owned(),
            fault: asked.fault,
            share_hundredths: asked.share.hundredths(),
            delay_ms: milliseconds(asked.delay),
            within_ms: milliseconds(asked.within),
            step,
            waited_ms: 0,
            rolled_back_ms: None,
            hurt: 0,
            before: Box::new(before),
        };
        let because = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let gets = if starts { format!("; {to} gets {exposure} for it") } else { String::new() };
        let sentence = format!(
            "drill by {actor}{because}: {} on purpose for {} at most, and {to} is to be withdrawn for it{gets}",
            drill.what(&to),
            spoken(drill.within_ms)
        );
        let view = drill.view(None, sentence.clone(), None);
        self.state.phase = Phase::Drilling(Box::new(drill));
        if !starts {
            return Ok(with_view(self.says(Decision::DrillStarted, actor, sentence), view));
        }
        self.state.run = asked.run;
        self.state.approvals.clear();
        self.state.started_by = Some(actor.to_owned());
        self.gather_anew();
        Ok(with_view(self.publishes(exposure, Decision::DrillStarted, actor, sentence), view))
    }

    /// The step and the share that a drill can be held at.
    fn drill_ground(&self, asked: &DrillOrder) -> Result<(usize, Exposure), Refused> {
        let State { from, to, phase, .. } = &self.state;
        let plan = &self.planned.plan;
        if plan.on_regression == OnRegression::Pause {
            let why = "the plan says `onRegression: pause`, so nothing would be rolled back";
            return Err(refused(why.to_owned()));
        }
        let ours = self.state.exposure.filter(|exposure| *exposure > Exposure::NONE);
        match phase {
            Phase::Baking(at) => ours.map(|exposure| (at.step, exposure)),
            Phase::AwaitingApproval { step } => ours.map(|exposure| (step.saturating_sub(1), exposure)),
            Phase::Drilling(_) => return Err(refused("a drill is on already".to_owned())),
            phase if phase.is_watched() => {
                return Err(refused(format!(
                    "the rollout is {}: a drill needs one that bakes or waits for approval, or none",
                    phase.word()
                )));
            }
            _ if asked.in_force != Some(Exposure::NONE) => {
                return Err(refused(format!(
                    "no rollout is on, and {from} has not all of the traffic: give it to {from}, or start the rollout"
                )));
            }
            _ if plan.needs_approval(0) => {
                return Err(refused(
                    "no rollout is on, and its first step needs approval: start it and have it approved".to_owned(),
                ));
            }
            _ => {
                let first = plan.steps.first().map_or(Exposure::NONE, |step| Exposure::of_step(step.weight));
                Some((0, first)).filter(|(_, first)| *first > Exposure::NONE)
            }
        }
        .ok_or_else(|| refused(format!("{to} gets nothing at this step, so nothing of it could be seen")))
    }

    /// Lets time pass in a drill. `gathered_here`: the evidence is of the present window.
    pub(super) fn drilled(mut self, mut drill: Box<Drill>, evidence: &Evidence, gathered_here: bool) -> Stepped {
        if self.is_first {
            let why = "serin ended meanwhile, and what was done to requests with it; all is as before the drill";
            return self.end_drill(*drill, DrillResult::Interrupted, why.to_owned(), None);
        }
        drill.waited_ms = drill.waited_ms.saturating_add(milliseconds(self.passed));
        drill.hurt = drill.hurt.max(evidence.hurt);
        if let Some(at_ms) = drill.rolled_back_ms {
            return self.drill_withdrawn(*drill, at_ms, evidence, gathered_here);
        }
        if gathered_here && let Some(harm) = &evidence.own_harm {
            let why = format!("rolled back in a drill, but not for it: {harm}");
            let mut stepped = self.withdraw(End::RolledBack, Decision::RolledBack, Action::MACHINE, &why);
            if let Some(action) = &mut stepped.action {
                action.drill = Some(Box::new(drill.view(Some(DrillResult::Interrupted), why, None)));
                action.verdict.clone_from(&evidence.verdict);
            }
            return stepped;
        }
        if gathered_here && let Some(harm) = harm(evidence) {
            return self.drill_noticed(drill, &harm, evidence);
        }
        if drill.waited_ms >= drill.within_ms {
            let to = &self.state.to;
            let sentence = format!(
                "{to} was not withdrawn within {} although {}, {} so far; the judge says: {}",
                spoken(drill.within_ms),
                drill.what(to),
                drill.hurt,
                evidence.reason
            );
            let look_at = not_noticed(&drill, to, evidence);
            return self.end_drill(*drill, DrillResult::Failed, sentence, Some(look_at));
        }
        self.state.phase = Phase::Drilling(drill);
        self.nothing()
    }

    fn drill_noticed(mut self, mut drill: Box<Drill>, harm: &str, evidence: &Evidence) -> Stepped {
        let State { from, to, .. } = &self.state;
        let after = spoken(drill.waited_ms);
        let sentence = format!("drill: rolled back after {after}: {harm}; {to} gets nothing any more, {from} gets all");
        drill.rolled_back_ms = Some(drill.waited_ms);
        let view = drill.view(None, sentence.clone(), None);
        self.state.phase = Phase::Drilling(drill);
        self.gather_anew();
        let stepped = self.publishes(Exposure::NONE, Decision::DrillRolledBack, Action::DRILL, sentence);
        let mut stepped = with_view(stepped, view);
        if let Some(action) = &mut stepped.action {
            action.verdict.clone_from(&evidence.verdict);
        }
        stepped
    }

    /// Whether withdrawing helped, and then back to where it was.
    fn drill_withdrawn(mut self, drill: Drill, at_ms: u64, evidence: &Evidence, gathered_here: bool) -> Stepped {
        let to = self.state.to.clone();
        let since = Duration::from_millis(drill.waited_ms.saturating_sub(at_ms));
        let seen = evidence.aftermath.as_ref().filter(|_| gathered_here);
        let drained = seen.is_some_and(|seen| seen.picks == 0 && seen.in_flight == 0 && seen.back != Some(false));
        if seen.is_some_and(super::Aftermath::is_well) || (drained && since >= BACK) {
            let what = seen.map_or("", |seen| &seen.sentence);
            let sentence = format!(
                "passed: {to} was withdrawn {} after {}, and {} requests were hurt; {what}",
                spoken(at_ms),
                drill.what(&to),
                drill.hurt
            );
            return self.end_drill(drill, DrillResult::Passed, sentence, None);
        }
        if since >= DRAINED {
            let what = seen.map_or("nothing is known of it", |seen| &seen.sentence);
            let sentence = format!(
                "{to} was withdrawn {} after {}, but {} later not all was as before: {what}",
                spoken(at_ms),
                drill.what(&to),
                spoken(milliseconds(since))
            );
            let look_at = format!(
                "who still brings requests to {to} (an `override`, a flag), requests in flight that do not end, and whether \
                 {} can take all",
                self.state.from
            );
            return self.end_drill(drill, DrillResult::Failed, sentence, Some(look_at));
        }
        self.state.phase = Phase::Drilling(Box::new(drill));
        self.nothing()
    }

    /// All as before the drill.
    fn end_drill(self, drill: Drill, result: DrillResult, why: String, look_at: Option<String>) -> Stepped {
        let decision = match result {
            DrillResult::Passed => Decision::DrillPassed,
            DrillResult::Failed => Decision::DrillFailed,
            DrillResult::Interrupted => Decision::DrillInterrupted,
        };
        let back = drill.before.exposure.unwrap_or(Exposure::NONE);
        let has = self.state.exposure;
        let gets = if has == Some(back) { String::new() } else { format!("; {} gets {back} again", self.state.to) };
        let sentence = format!(
            "drill {}{gets}",
            if result == DrillResult::Passed { why } else { format!("{}: {why}", result.word()) }
        );
        let view = drill.view(Some(result), sentence.clone(), look_at);
        let next = self.restored(*drill.before);
        let publish = (has != Some(back)).then(|| Publish {
            from: next.state.from.clone(),
            to: next.state.to.clone(),
            exposure: back,
        });
        let mut stepped = with_view(next.says(decision, Action::DRILL, sentence), view);
        if let Some(action) = &mut stepped.action {
            action.publish = publish;
        }
        stepped
    }

    /// Somebody took the weights over; `now` says what they are.
    pub(super) fn drill_edited(self, drill: &Drill, actor: &str, now: &str) -> Stepped {
        let to = self.state.to.clone();
        let mut next = self.restored((*drill.before).clone());
        let was_on = next.state.phase.is_active();
        next.pause(PauseCause::Edited);
        next.state.exposure = None;
        let resume = if was_on {
            format!("; the rollout is paused, and resume gives {to} its step's share again")
        } else {
            String::new()
        };
        let sentence = format!("drill interrupted: {actor} changed the weights by hand, now {now}{resume}");
        let view = drill.view(Some(DrillResult::Interrupted), sentence.clone(), None);
        with_view(next.says(Decision::DrillInterrupted, Action::DRILL, sentence), view)
    }

    /// Another plan came while a drill was on and no rollout: the version gets nothing any more, and nobody started the
    /// new plan.
    pub(super) fn drill_replaced(mut self, drill: &Drill, actor: &str) -> Stepped {
        let State { from, to, .. } = &self.state;
        let sentence =
            format!("drill interrupted: {actor} gave another plan; {to} gets nothing any more, {from} gets all");
        let publish = Publish { from: from.clone(), to: to.clone(), exposure: Exposure::NONE };
        let view = drill.view(Some(DrillResult::Interrupted), sentence.clone(), None);
        let fresh = State::pending(self.planned);
        self.state = State { run: self.state.run, window: self.state.window, clock: self.state.clock, ..fresh };
        self.gather_anew();
        let mut stepped = with_view(self.says(Decision::DrillInterrupted, actor, sentence), view);
        if let Some(action) = &mut stepped.action {
            action.publish = Some(publish);
        }
        stepped
    }

    /// The state from before, whose evidence is gathered anew: nothing of the drill is in it.
    fn restored(mut self, before: State) -> Self {
        let (window, clock, recorded_ms) = (self.state.window + 1, self.state.clock, before.recorded_ms);
        self.state = State { window, clock, recorded_ms, ..before };
        self
    }
}

fn with_view(mut stepped: Stepped, view: super::DrillView) -> Stepped {
    if let Some(action) = &mut stepped.action {
        action.drill = Some(Box::new(view));
    }
    stepped
}

/// Why a drill may not have been noticed.
fn not_noticed(drill: &Drill, to: &str, evidence: &Evidence) -> String {
    if drill.hurt == 0 {
        return format!("whether requests reach {to} at all: none was hurt");
    }
    format!(
        "the plan's gates and alpha, and how much evidence the step has: {} requests to {to} count since it began, of which \
         the drill hurt {}; `serin rollout preflight` says how long each step needs",
        evidence.requests, drill.hurt
    )
}
