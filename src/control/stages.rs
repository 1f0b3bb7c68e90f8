//! Migrations in what is in force: moved by a person or a program, by the files, and taken up again from the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::data_plane::DataPlane;
use super::force::{InForce, Refused};
use super::handle::Changed;
use super::record;
use super::run::Control;
use crate::ledger::{About, MAX_REASON, Point, Source, State, clip};
use crate::migration::gates::{self, Missing};
use crate::plan::{Migration, Plan, Progress, Service, Share, Stage};
use crate::telemetry::MigrationFigure;

/// How long it is waited for a moment without a write in the journal, and how often it is looked.
const EMPTIED: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// A move of a migration that a person or a program asks for.
#[derive(Debug, Clone)]
pub struct StageChange {
    /// Who asks.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Whose migration.
    pub service: String,
    /// The stage to go to.
    pub stage: Stage,
    /// The share of keys that go there. `None`: all of them.
    pub share: Option<Share>,
    /// Against what stands in the way.
    pub force: bool,
    /// Where the change comes from.
    pub source: Source,
    /// What else the ledger is to say of it.
    pub about: About,
}

impl<D: DataPlane> Control<D> {
    /// Moves a migration, or says why not.
    pub(super) async fn change_stage(&mut self, change: &StageChange) -> Result<Changed, Refused> {
        let done = self.try_stage(change).await;
        let StageChange { actor, reason, service, stage, .. } = change;
        match &done {
            Ok(Changed { entry, .. }) => {
                tracing::info!(%actor, %reason, %service, %stage, entry, "the migration moved");
            }
            Err(refused) => {
                tracing::warn!(%actor, %reason, %service, %stage, %refused, "a move of a migration was refused");
            }
        }
        done
    }

    /// Every move by a person or a program comes through here, and is written before it takes effect, whichever way it goes.
    pub(super) async fn try_stage(&mut self, change: &StageChange) -> Result<Changed, Refused> {
        let next = self.in_force.with_stage(change)?;
        let lacking = self.lacking(&next, &change.service).await;
        if !lacking.is_empty() && !change.force {
            return Err(Refused::Missing(sentence(&lacking)));
        }
        let against = if lacking.is_empty() { String::new() } else { format!("; although {}", sentence(&lacking)) };
        let reason = clip(&format!("{}{against}", change.reason), MAX_REASON);
        let change = &StageChange { force: !lacking.is_empty(), reason, ..change.clone() };
        let draft = record::stage(change, &self.in_force, &next, &self.files);
        let entry = self.recorder.append(vec![draft]).await?.end - 1;
        self.courses.moved(&change.service, change.source);
        self.publish(next);
        Ok(Changed { plan: Arc::clone(self.in_force.plan()), entry: Some(entry) })
    }
}

impl<D: DataPlane> Control<D> {
    /// What the migration of a service lacks to be where `next` has it. With steady writes something is in the journal at nearly any
    /// time: for a moment without anything it is waited a little.
    async fn lacking(&self, next: &InForce, service: &str) -> Vec<Missing> {
        let began = Instant::now();
        loop {
            let lacking = self.lacks(next, service);
            let is_idle = self.data_plane.facts(service).is_none_or(|facts| facts.journal.depth == 0);
            let may_pass = lacking.iter().all(|missing| missing.gate == "journal");
            if is_idle || !may_pass || began.elapsed() >= EMPTIED {
                return lacking;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The same at this moment. A migration that was not there before may begin anywhere.
    fn lacks(&self, next: &InForce, service: &str) -> Vec<Missing> {
        let wanted = next.plan().service_named(service).and_then(|(_, service)| service.migration.as_ref());
        let now = self.in_force.plan().service_named(service).and_then(|(_, service)| service.migration.as_ref());
        match (now, wanted, self.data_plane.facts(service)) {
            (Some(now), Some(wanted), Some(facts)) if now.progress != wanted.progress => {
                gates::missing(&wanted.rules.checks.gates, &facts, wanted.progress)
            }
            _ => Vec::new(),
        }
    }

    /// Whether every migration may go where the files have it.
    ///
    /// # Errors
    /// What is missing, in a line for each service.
    pub(super) fn may_move(&self, next: &InForce) -> Result<(), String> {
        let lines: Vec<String> = next
            .plan()
            .services
            .iter()
            .filter_map(|service| {
                let lacking = self.lacks(next, &service.name);
                let wanted = service.migration.as_ref()?.progress;
                let name = &service.name;
                let why = || format!("services.{name}.migration: it cannot go to {wanted} now: {}", sentence(&lacking));
                (!lacking.is_empty()).then(why)
            })
            .collect();
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }
}

fn sentence(lacking: &[Missing]) -> String {
    lacking.iter().map(|missing| missing.detail.as_str()).collect::<Vec<_>>().join("; ")
}

impl InForce {
    /// What becomes of this by `change`.
    ///
    /// # Errors
    /// [`Refused`] where there is no such migration, or no such point of it.
    pub fn with_stage(&self, change: &StageChange) -> Result<Self, Refused> {
        let (id, service) = self.service_named(&change.service)?;
        let no_migration = || Refused::NoMigration(change.service.clone());
        let migration = service.migration.as_ref().ok_or_else(no_migration)?;
        let share = change.share.unwrap_or(Share::ALL);
        if share == Share::NONE {
            let detail = format!("a stage of no keys is the one before: expected a share above 0%, not {share}");
            return Err(Refused::Stage(detail));
        }
        if change.stage == Stage::Off && share != Share::ALL {
            return Err(Refused::Stage(
                "there is no stage before `off` for all other keys: expected no share".to_owned(),
            ));
        }
        let mut services = self.plan.services.clone();
        services[id.index()] = Arc::new(moved(service, migration, Progress { stage: change.stage, share }));
        Ok(self.with_plan(Plan { services, ..Plan::clone(&self.plan) }))
    }
}

/// How far the migrations are, for the figures.
pub(super) fn figures(plan: &Plan) -> Vec<MigrationFigure> {
    let figure = |service: &Arc<Service>| {
        let Progress { stage, share } = service.migration.as_ref()?.progress;
        Some(MigrationFigure {
            service: Arc::clone(&service.name),
            stage: stage.word(),
            stages: &Stage::WORDS,
            share: f64::from(share.hundredths()) / f64::from(Share::ALL.hundredths()),
        })
    };
    plan.services.iter().filter_map(figure).collect()
}

impl InForce {
    /// The services of which the files say in `next` that their migration is elsewhere than they said so far.
    pub(super) fn moved_by_files(&self, next: &Self) -> Vec<Arc<str>> {
        let said = next.file_stages.iter();
        said.filter(|(name, said)| self.file_stages.get(*name) != Some(said))
            .map(|(name, _)| Arc::clone(name))
            .collect()
    }
}

/// Where the files say that migrations are.
pub(super) fn by_name(plan: &Plan) -> BTreeMap<Arc<str>, Point> {
    plan.services.iter().filter_map(|service| Some((Arc::clone(&service.name), Point::of(service)?))).collect()
}

/// What the ledger knows that the files said.
pub(super) fn said_in_ledger(plan: &Plan, state: &State) -> BTreeMap<Arc<str>, Point> {
    let said = |service: &Arc<Service>| {
        service.migration.as_ref()?;
        Some((Arc::clone(&service.name), state.migrations_said.get(&*service.name)?.clone()))
    };
    plan.services.iter().filter_map(said).collect()
}

/// Takes a migration up where the ledger left it, where the files say what they said then.
pub(super) fn resume(service: &mut Arc<Service>, state: &State, said: Option<&Point>) {
    if state.migrations_said.get(&*service.name) == said
        && let Some(progress) = state.migrations.get(&*service.name).and_then(|point| point.for_service(service))
    {
        put(service, progress);
    }
}

/// Takes a migration up where the ledger left it whatever the files say; one that it does not know has not begun.
pub(super) fn by_ledger_alone(service: &mut Arc<Service>, state: &State) {
    let known = state.migrations.get(&*service.name).and_then(|point| point.for_service(service));
    put(service, known.unwrap_or(Progress::OFF));
}

/// Leaves a migration where it was before.
pub(super) fn keep(service: &mut Arc<Service>, before: Option<&Service>) {
    if let Some(progress) = before.and_then(Point::of).and_then(|point| point.for_service(service)) {
        put(service, progress);
    }
}

fn put(service: &mut Arc<Service>, progress: Progress) {
    if let Some(migration) = &service.migration
        && migration.progress != progress
    {
        *service = Arc::new(moved(service, migration, progress));
    }
}

fn moved(service: &Service, migration: &Migration, progress: Progress) -> Service {
    Service { migration: Some(Arc::new(migration.with_progress(progress))), ..service.clone() }
}
