//! Rollouts at work: what the machine says is written down and put in force like every other change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data_plane::DataPlane;
use super::force::{Change, Refused};
use super::rollouts::{Course, RolloutRefused, planned};
use super::run::Control;
use super::{places, record};
use crate::ledger::{self, About, Approval, Draft, Source, What};
use crate::plan::Service;
use crate::rollout::{
    self, Action, Command, Decision, Evidence, Exposure, Input, Order, Phase, Planned, Preflight, RolloutView, State,
    Stepped, removed,
};

impl<D: DataPlane> Control<D> {
    /// Lets time pass: looks at the figures, and does what they ask for. `all`: also what nothing is to become of now.
    pub(super) async fn tick_rollouts(&mut self, all: bool) {
        if self.rollouts.is_empty() || !(all || self.rollouts.is_any_watched()) {
            return;
        }
        self.rollouts.note(&self.registry.snapshot());
        for name in self.rollouts.names() {
            let Some((_, service)) = self.in_force.plan().service_named(&name) else { continue };
            let service = Arc::clone(service);
            let Some(phase) = self.rollouts.course(&name).map(|course| course.state.phase.clone()) else { continue };
            if !phase.is_watched() {
                continue;
            }
            let differences = self.differences(&service);
            let Some(evidence) = self.rollouts.evidence(&service, differences.as_ref()) else { continue };
            if let Some(verdict) = self.rollouts.new_verdict(&name) {
                self.feed.tell(verdict);
            }
            let obstacle = match phase {
                Phase::Replacing { .. } => self.preflight_of(&service).and_then(|preflight| preflight.obstacle()),
                _ => None,
            };
            // What cannot be carried out now is decided again at the next tick.
            let _ = self.put(&name, &Input::Tick(Evidence { obstacle, ..evidence })).await;
        }
        self.settle_rollouts();
    }

    /// Carries out an order, or says why not.
    pub(super) async fn order(&mut self, name: &str, order: Order) -> Result<RolloutView, RolloutRefused> {
        let service = self.planned_service(name)?;
        let mut order = order;
        // What is written down with a decision is what was counted until then.
        self.rollouts.note(&self.registry.snapshot());
        if let Command::Start { in_force, run } = &mut order.command {
            *run = self.rollouts.next_run();
            *in_force = self.rollouts.course(name).and_then(|course| course.in_force(&service));
            if let Some(obstacle) = self.preflight_of(&service).and_then(|preflight| preflight.obstacle()) {
                return Err(RolloutRefused::Preflight(obstacle));
            }
        }
        if let Command::Drill(asked) = &mut order.command {
            self.prepare_drill(&service, asked)?;
        }
        let done = self.put(name, &Input::Order(order)).await;
        self.settle_rollouts();
        done?;
        self.handle_views().get(name).cloned().ok_or_else(|| RolloutRefused::NoPlan(name.to_owned()))
    }

    /// What there is to know before a start.
    pub(super) fn preflight(&mut self, name: &str) -> Result<Preflight, RolloutRefused> {
        let service = self.planned_service(name)?;
        self.rollouts.note(&self.registry.snapshot());
        self.preflight_of(&service).ok_or_else(|| RolloutRefused::NoPlan(name.to_owned()))
    }

    /// The files are in force, and may say other weights, other plans and other places of versions than before.
    pub(super) async fn follow_rollouts(&mut self, actor: &str) {
        let plans: BTreeMap<Arc<str>, Planned> = self
            .in_force
            .plan()
            .services
            .iter()
            .filter_map(|service| Some((Arc::clone(&service.name), planned(service)?)))
            .collect();
        for name in self.rollouts.names() {
            let Some(course) = self.rollouts.course(&name) else { continue };
            match plans.get(&name) {
                Some(plan) if plan.hash == course.planned.hash => self.heed_moves(&name, actor).await,
                Some(plan) => {
                    course.planned = plan.clone();
                    self.replace(&name, actor).await;
                }
                None => {
                    let state = course.state.clone();
                    self.end(&name, &state, actor).await;
                }
            }
        }
        for (name, plan) in &plans {
            if self.rollouts.course(name).is_none() {
                self.rollouts.insert(name, Course::new(plan.clone(), State::pending(plan)));
            }
        }
        self.note_places();
        self.heed_edits(actor).await;
        self.settle_rollouts();
    }

    /// The first thing a process does: what the files say now, against what the ledger says of before.
    pub(super) async fn resume_rollouts(&mut self) {
        let actor = "serin.yaml, changed while serin was not running";
        for (name, state) in std::mem::take(&mut self.rollouts.orphans) {
            self.end(&name, &state, actor).await;
        }
        for name in self.rollouts.names() {
            let Some(course) = self.rollouts.course(&name) else { continue };
            if course.state.plan != course.planned.hash {
                self.replace(&name, actor).await;
            } else if course.state.phase.is_watched() {
                tracing::info!(service = %name, state = course.state.phase.word(), "the rollout goes on where the ledger says it stood");
                self.heed_moves(&name, actor).await;
            }
        }
        self.note_places();
        self.heed_edits("a change while serin was not running").await;
    }

    /// Somebody else than a rollout may have changed weights.
    pub(super) async fn heed_edits(&mut self, actor: &str) {
        for name in self.rollouts.names() {
            let Some((_, service)) = self.in_force.plan().service_named(&name) else { continue };
            let Some(course) = self.rollouts.course(&name) else { continue };
            let in_force = course.in_force(service);
            if course.state.exposure.is_some() && course.state.exposure != in_force {
                // Where even that cannot be written, the next tick says it again.
                let _ = self.put(&name, &Input::Edited { actor: actor.to_owned(), in_force }).await;
            }
        }
        self.settle_rollouts();
    }

    /// A service has another plan than its rollout goes by.
    async fn replace(&mut self, name: &str, actor: &str) {
        if let Err(error) = self.put(name, &Input::NewPlan { actor: actor.to_owned() }).await {
            tracing::error!(service = %name, %error, "a new plan could not take the place of the one before");
        }
    }

    /// A service has no plan any more: what is on ends, and is forgotten.
    async fn end(&mut self, name: &str, state: &State, actor: &str) {
        if let Some(Stepped { state, action: Some(action) }) = removed(state, actor) {
            tracing::warn!(service = %name, "{}", action.sentence);
            if let Err(error) = self.carry_out(name, &state, &action).await {
                tracing::error!(service = %name, %error, "a rollout that is no longer planned could not be ended");
            }
        }
        self.rollouts.remove(name);
        let what = What::Event { event: "removed".to_owned(), fields: serde_json::Map::new() };
        let about = About { state: Some(serde_json::Value::Null), ..About::default() };
        let draft = Draft { about, ..Draft::new(actor, "the plan was taken away", what).of_service(name) };
        if let Err(error) = self.record(draft, true).await {
            tracing::error!(service = %name, %error, "that a rollout is no more could not be recorded");
        }
    }

    /// One step of the machine, and what it asks for: written, in force, and then kept; or nothing of it.
    pub(super) async fn put(&mut self, name: &str, input: &Input) -> Result<(), RolloutRefused> {
        let no_plan = || RolloutRefused::NoPlan(name.to_owned());
        let Stepped { state, action } = self.rollouts.step(name, input).ok_or_else(no_plan)??;
        let Some(action) = action else {
            self.rollouts.keep(name, state, None, None);
            return Ok(());
        };
        if let Err(refused) = self.carry_out(name, &state, &action).await {
            let why = refused.to_string();
            if let Some(course) = self.rollouts.course(name)
                && course.blocked.as_ref() != Some(&why)
            {
                tracing::error!(service = %name, decision = action.decision.word(), "{}; not carried out: {why}", action.sentence);
                course.blocked = Some(why);
            }
            return Err(refused.into());
        }
        let Action { decision, actor, sentence, .. } = &action;
        let decision = decision.word();
        match action.decision {
            Decision::RolledBack | Decision::NotValidated | Decision::NotStarted | Decision::DrillFailed => {
                tracing::warn!(service = %name, decision, %actor, "{sentence}");
            }
            Decision::Progress => {}
            _ => tracing::info!(service = %name, decision, %actor, "{sentence}"),
        }
        let said = (action.decision != Decision::Progress).then(|| action.sentence.clone());
        if said.is_some() {
            self.registry.control().rollout_decided(name, decision);
        }
        self.count_drill(name, &action);
        self.rollouts.keep(name, state, said, action.drill.map(|drill| *drill));
        Ok(())
    }

    async fn carry_out(&mut self, name: &str, state: &State, action: &Action) -> Result<(), Refused> {
        let hiding = action.hiding.as_ref().map(|hiding| format!("; could still hide: {hiding}")).unwrap_or_default();
        let reason = ledger::clip(&format!("{}{hiding}", action.sentence), ledger::MAX_REASON);
        let mut about = About {
            figures: self.rollouts.tally(name, state),
            rollout: Some(state.run).filter(|run| *run > 0),
            verdict: action.verdict.clone(),
            state: Some(places::written(
                state,
                self.in_force.plan().service_named(name).map(|(_, service)| &**service),
            )),
            ..About::default()
        };
        if matches!(action.decision, Decision::Started | Decision::AwaitingApproval | Decision::DrillStarted) {
            self.record_plan(name, state, action).await?;
        }
        if action.decision == Decision::Approved {
            let draft = Draft::new(&action.actor, &reason, What::Approval { of: state.plan.clone() });
            let about = About { rollout: about.rollout, ..About::default() };
            let entry = self.record(Draft { about, ..draft.of_service(name) }, false).await?;
            if let Some(entry) = entry {
                self.rollouts.agreed(name, state.run, Approval { actor: action.actor.clone(), entry });
            }
        }
        let publish = action.publish.as_ref().filter(|publish| {
            // A version that is no longer there needs nothing taken from it.
            let service = self.in_force.plan().service_named(name).map(|(_, service)| service);
            let there = |version: &str| service.is_some_and(|service| service.version_named(version).is_some());
            there(&publish.from) && there(&publish.to)
        });
        let Some(publish) = publish else {
            let draft = Draft { about, ..Draft::new(&action.actor, reason, event(action)).of_service(name) };
            // Nobody is hurt on purpose where nobody can read of it.
            self.record(draft, action.decision != Decision::DrillStarted).await?;
            self.follow_drill(name, state);
            return Ok(());
        };
        about.decision = Some(action.decision.word().to_owned());
        about.approvals = self.rollouts.approvals_of(name, state);
        let exposure = publish.exposure;
        let shares = [(&publish.from, exposure.rest()), (&publish.to, exposure)];
        let change = Change {
            actor: action.actor.clone(),
            reason,
            service: name.to_owned(),
            weights: shares.into_iter().map(|(version, share)| (version.clone(), share.percent())).collect(),
            source: Source::Rollout,
            about,
        };
        self.change_by_rollout(&change, action, state).await
    }

    /// What takes everything from a version, nothing may stand in the way of, whichever of the two is older.
    async fn change_by_rollout(&mut self, change: &Change, action: &Action, state: &State) -> Result<(), Refused> {
        let next = self.with_drill_of(self.in_force.with_change(change)?, &change.service, state);
        let mut drafts = vec![record::weights(change, &self.in_force, &next, &self.files)];
        if action.drill.is_some() {
            let draft = Draft::new(&action.actor, &change.reason, event(action)).of_service(&change.service);
            let about = About { rollout: change.about.rollout, ..About::default() };
            drafts.insert(0, Draft { about, ..draft });
        }
        if action.publish.as_ref().is_some_and(|publish| publish.exposure == Exposure::NONE) {
            self.record_in_any_case(drafts).await?;
        } else {
            self.record_before(&next, drafts).await?;
        }
        self.publish(next);
        Ok(())
    }

    /// Writes down what a run goes by, once, before it begins.
    async fn record_plan(&mut self, name: &str, state: &State, action: &Action) -> Result<(), Refused> {
        let Some(course) = self.rollouts.course(name) else { return Ok(()) };
        if course.state.run == state.run {
            return Ok(());
        }
        // Invariant: a plan is names, numbers and words.
        let plan = serde_json::to_value(&*course.planned.plan).unwrap_or_default();
        let fields =
            serde_json::Map::from_iter([("hash".to_owned(), state.plan.clone().into()), ("plan".to_owned(), plan)]);
        let draft = Draft::new(&action.actor, "", What::Event { event: "plan".to_owned(), fields }).of_service(name);
        let about = About { rollout: Some(state.run), ..About::default() };
        self.record(Draft { about, ..draft }, false).await.map(|_| ())
    }

    fn planned_service(&self, name: &str) -> Result<Arc<Service>, RolloutRefused> {
        let plan = self.in_force.plan();
        let known = || plan.services.iter().map(|service| &*service.name).collect::<Vec<_>>().join(", ");
        let unknown = || Refused::UnknownService { name: name.to_owned(), known: known() };
        let (_, service) = plan.service_named(name).ok_or_else(unknown)?;
        if service.migration.is_some() {
            return Err(Refused::UnderMigration(name.to_owned()).into());
        }
        if service.rollout.is_none() {
            return Err(RolloutRefused::NoPlan(name.to_owned()));
        }
        Ok(Arc::clone(service))
    }

    pub(super) fn preflight_of(&self, service: &Service) -> Option<Preflight> {
        let ledger = match &self.in_force.settings().state_dir {
            None => None,
            Some(_) if self.recorder.is_unwell() => Some(Err("the ledger cannot be written".to_owned())),
            Some(_) => Some(Ok(())),
        };
        let differences = self.differences(service);
        self.rollouts.preflight(service, self.data_plane.up(service), ledger, differences)
    }

    /// What comparing answers says, where a gate of the service's plan goes by it.
    fn differences(&self, service: &Service) -> Option<crate::diff::Evidence> {
        let plan = service.rollout.as_ref()?;
        let (_, alpha) = rollout::alphas(plan);
        self.data_plane.differences(&service.name, &plan.to, plan.gates.max_diff?, alpha)
    }

    pub(super) fn show_rollouts(&self) {
        let figures = self.rollouts.show();
        self.registry.control().set_rollouts(figures);
    }

    fn handle_views(&self) -> Arc<super::rollouts::Views> {
        self.rollouts.views().borrow().clone()
    }
}

/// A decision as an entry that is no change of weights.
fn event(action: &Action) -> What {
    let fields = action.drill.as_ref().map(|drill| drill.fields()).unwrap_or_default();
    What::Event { event: action.decision.word().to_owned(), fields }
}
