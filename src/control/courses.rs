//! Migrations that go on by themselves: what their plans say is done like every other change, and a person comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::data_plane::DataPlane;
use super::force::Refused;
use super::run::Control;
use super::stages::StageChange;
use crate::ledger::{About, Source};
use crate::migration::course::{Course, course};
use crate::plan::Progress;

/// The actor of moves that nobody asked for.
const ACTOR: &str = "migration plan";
/// How often plans are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What is known of the plans of migrations.
#[derive(Debug)]
pub(super) struct Courses {
    /// Services whose migration somebody moved by hand.
    by_hand: watch::Sender<BTreeSet<String>>,
    /// Why a move that was due did not happen; said once.
    refused: BTreeMap<Arc<str>, String>,
    looked: Option<Instant>,
}

impl Courses {
    pub(super) fn new(by_hand: BTreeSet<String>) -> Self {
        Self { by_hand: watch::Sender::new(by_hand), refused: BTreeMap::new(), looked: None }
    }

    /// Services whose migration somebody moved by hand.
    pub(super) fn by_hand(&self) -> watch::Receiver<BTreeSet<String>> {
        self.by_hand.subscribe()
    }

    /// The migration of a service was moved.
    pub(super) fn moved(&mut self, service: &str, source: Source) {
        self.refused.remove(service);
        self.by_hand.send_if_modified(|by_hand| {
            if source == Source::Admin { by_hand.insert(service.to_owned()) } else { by_hand.remove(service) }
        });
    }

    /// The files moved these: their plans go on from there.
    pub(super) fn leave_to_plans(&mut self, services: &[Arc<str>]) {
        for service in services {
            self.moved(service, Source::File);
        }
    }
}

impl<D: DataPlane> Control<D> {
    /// Moves every migration whose plan says so.
    pub(super) async fn follow_courses(&mut self) {
        if self.courses.looked.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.courses.looked = Some(Instant::now());
        for (service, to) in self.due() {
            let change = StageChange {
                actor: ACTOR.to_owned(),
                reason: "the step before has baked, and nothing is missing".to_owned(),
                service: service.to_string(),
                stage: to.stage,
                share: Some(to.share),
                force: false,
                source: Source::Plan,
                about: About::default(),
            };
            if let Err(refused) = self.try_stage(&change).await {
                self.say_once(&service, to, &refused);
            } else {
                tracing::info!(%service, %to, "the migration moved on by its plan");
            }
        }
    }

    /// Migrations that go on now, and where.
    fn due(&self) -> Vec<(Arc<str>, Progress)> {
        let by_hand = self.courses.by_hand.borrow();
        let services = self.in_force.plan().services.iter();
        let due = services.filter_map(|service| {
            let checks = &service.migration.as_ref()?.rules.checks;
            if checks.steps.is_empty() || by_hand.contains(&*service.name) {
                return None;
            }
            match course(checks, &self.data_plane.facts(&service.name)?) {
                Course::Goes(to) => Some((Arc::clone(&service.name), to)),
                Course::Nothing | Course::Waits { .. } => None,
            }
        });
        due.collect()
    }

    fn say_once(&mut self, service: &Arc<str>, to: Progress, refused: &Refused) {
        let said = refused.to_string();
        if self.courses.refused.get(service) != Some(&said) {
            tracing::warn!(%service, %to, %refused, "the plan of a migration cannot go on");
            self.courses.refused.insert(Arc::clone(service), said);
        }
    }
}
