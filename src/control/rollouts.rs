//! The rollouts of all services as the control plane keeps them: where each stands, what it is watched by, what people see.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::force::Refused;
use crate::diff::Evidence as Differences;
use crate::plan::{Plan, Service, VersionId, VersionSet};
use crate::rollout::{
    self, Evidence, Exposure, Facts, Figures, Input, Phase, Planned, Preflight, RolloutView, State, Stepped, Watch,
};
use crate::telemetry::{RegistrySnapshot, Rfc3339, RolloutFigure};

/// How far back the traffic of today is remembered, for preflights.
const TODAY: Duration = Duration::from_secs(10);

/// Why an order for a rollout is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RolloutRefused {
    /// There is no such service, the ledger cannot be written, or serin is shutting down.
    #[error("{0}")]
    Change(#[from] Refused),
    /// The service has no plan.
    #[error("service `{0}` has no `rollout` in serin.yaml")]
    NoPlan(String),
    /// It makes no sense now, or whoever asks may not.
    #[error("{0}")]
    Order(#[from] rollout::Refused),
    /// Something stands in the way of a start.
    #[error("not started: {0}")]
    Preflight(String),
}

/// The rollouts of all services, and where they stand.
#[derive(Debug)]
pub struct Rollouts {
    began: Instant,
    courses: BTreeMap<Arc<str>, Course>,
    /// Of services that have no plan any more: where they stood.
    pub(super) orphans: Vec<(String, State)>,
    /// The greatest number of a run so far.
    last_run: u64,
    views: watch::Sender<Arc<Views>>,
}

/// Where the rollouts stand, by service.
pub(super) type Views = BTreeMap<Arc<str>, RolloutView>;

/// One service's rollout.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) planned: Planned,
    pub(super) state: State,
    watch: Watch,
    /// The last figures, at most [`TODAY`] of them and one older.
    recent: VecDeque<(Duration, Figures)>,
    /// What was decided last, and when.
    said: Option<(String, SystemTime)>,
    /// Why what was decided is not carried out; said aloud once.
    pub(super) blocked: Option<String>,
}

impl Rollouts {
    /// Those of `plan`, taken up where the ledger says they stood; some of them by another plan than there is now.
    pub(super) fn resumed(plan: &Plan, kept: &BTreeMap<String, Value>, last_run: u64) -> Self {
        let mut known = BTreeMap::new();
        for (service, state) in kept {
            match serde_json::from_value::<State>(state.clone()) {
                Ok(state) => {
                    known.insert(&**service, state);
                }
                Err(error) => tracing::error!(%service, %error, "what the ledger says of the rollout cannot be read"),
            }
        }
        let mut courses = BTreeMap::new();
        for service in &plan.services {
            let Some(planned) = planned(service) else { continue };
            let state = known.remove(&*service.name).filter(|state| state.fits(&planned) || state.plan != planned.hash);
            let state = state.unwrap_or_else(|| State::pending(&planned));
            courses.insert(Arc::clone(&service.name), Course::new(planned, state));
        }
        let orphans = known.into_iter().map(|(service, state)| (service.to_owned(), state)).collect();
        Self { began: Instant::now(), courses, orphans, last_run, views: watch::Sender::default() }
    }

    /// Where people see how they stand.
    pub(super) fn views(&self) -> watch::Receiver<Arc<Views>> {
        self.views.subscribe()
    }

    /// Monotonic time since the process began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.courses.is_empty()
    }

    /// Whether time or evidence may change anything.
    pub(super) fn is_any_watched(&self) -> bool {
        self.courses.values().any(|course| course.state.phase.is_watched())
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.courses.keys().cloned().collect()
    }

    pub(super) fn course(&mut self, service: &str) -> Option<&mut Course> {
        self.courses.get_mut(service)
    }

    pub(super) fn insert(&mut self, service: &Arc<str>, course: Course) {
        self.courses.insert(Arc::clone(service), course);
    }

    pub(super) fn remove(&mut self, service: &str) {
        self.courses.remove(service);
    }

    /// The number of the next run.
    pub(super) fn next_run(&self) -> u64 {
        self.last_run + 1
    }

    /// What `input` makes of a service's rollout.
    pub(super) fn step(&self, service: &str, input: &Input) -> Option<Result<Stepped, rollout::Refused>> {
        let course = self.courses.get(service)?;
        Some(rollout::step(&course.planned, &course.state, self.now(), input))
    }

    /// Puts a state in place once what it asks for is done.
    pub(super) fn keep(&mut self, service: &str, state: State, said: Option<String>) {
        self.last_run = self.last_run.max(state.run);
        let Some(course) = self.courses.get_mut(service) else { return };
        course.state = state;
        course.blocked = None;
        if let Some(said) = said {
            course.said = Some((said, SystemTime::now()));
        }
    }

    /// Takes note of the figures at this moment.
    pub(super) fn note(&mut self, all: &RegistrySnapshot) {
        let now = self.now();
        for (service, course) in &mut self.courses {
            course.note(now, Figures::of(service, all));
        }
    }

    /// What the machine is to be told of a service.
    pub(super) fn evidence(&mut self, service: &Service, differences: Option<&Differences>) -> Option<Evidence> {
        let next_run = self.next_run();
        let course = self.courses.get_mut(&service.name)?;
        let (_, figures) = course.recent.back()?;
        let evidence = course.watch.evidence(&course.planned, &course.state, service, figures, differences);
        Some(Evidence { next_run, ..evidence })
    }

    /// Looks at everything before a start.
    pub(super) fn preflight(
        &self,
        service: &Service,
        up: VersionSet,
        ledger: Option<Result<(), String>>,
        differences: Option<Differences>,
    ) -> Option<Preflight> {
        let course = self.courses.get(&service.name)?;
        let plan = &course.planned.plan;
        let is_up = |name: &str| service.version_named(name).is_some_and(|id| up.contains(id));
        let shares = service.versions.iter().enumerate().map(|(index, version)| {
            (version.name.to_string(), service.split.share(VersionId::from_index(index)) * 100.0)
        });
        let others = shares.filter(|(name, share)| *share > 0.0 && **name != *plan.from && **name != *plan.to);
        let mut facts = Facts {
            from_is_up: is_up(&plan.from),
            to_is_up: is_up(&plan.to),
            others: others.collect(),
            ledger,
            differences,
            ..Facts::default()
        };
        if let (Some((before, earlier)), Some((now, figures))) = (course.recent.front(), course.recent.back()) {
            facts.in_flight = figures.in_flight();
            facts.limit_of_from = figures.limit(&plan.from);
            facts.traffic = figures.traffic(earlier, now.saturating_sub(*before).as_secs_f64(), &plan.from);
        }
        Some(rollout::preflight(plan, &facts))
    }

    /// Shows people how everything stands; gives the figures of it.
    pub(super) fn show(&self) -> Vec<RolloutFigure> {
        let views = self.courses.iter().map(|(service, course)| (Arc::clone(service), course.view()));
        self.views.send_replace(Arc::new(views.collect()));
        let figure = |(service, course): (&Arc<str>, &Course)| RolloutFigure {
            service: Arc::clone(service),
            state: course.state.phase.word(),
            states: &Phase::WORDS,
            step: course.state.phase.step().map(|step| step + 1),
        };
        self.courses.iter().map(figure).collect()
    }
}

impl Course {
    pub(super) fn new(planned: Planned, state: State) -> Self {
        Self { planned, state, watch: Watch::default(), recent: VecDeque::new(), said: None, blocked: None }
    }

    fn note(&mut self, now: Duration, figures: Figures) {
        self.watch.note(&self.planned.plan, now, &figures);
        self.recent.push_back((now, figures));
        while self.recent.get(1).is_some_and(|(second, _)| now.saturating_sub(*second) >= TODAY) {
            self.recent.pop_front();
        }
    }

    fn view(&self) -> RolloutView {
        let requests = self.recent.back().map(|(_, figures)| self.watch.requests(&self.state, figures));
        let view = RolloutView::new(&self.planned, &self.state, self.watch.verdict(), requests);
        RolloutView {
            window_seconds: view.requests.and(self.recent.back()).map(|(_, figures)| self.watch.seconds(figures)),
            reason: self.said.as_ref().map(|(said, _)| said.clone()),
            since: self.said.as_ref().map(|(_, at)| Rfc3339(*at).to_string()),
            blocked: self.blocked.clone().or(view.blocked),
            ..view
        }
    }

    /// The share of `to` in `service`, as the machine sees it.
    pub(super) fn in_force(&self, service: &Service) -> Option<Exposure> {
        let (from, to) = (service.version_named(&self.state.from)?, service.version_named(&self.state.to)?);
        Exposure::in_force(&service.split, from, to)
    }
}

/// The plan of a service, where it has one.
pub(super) fn planned(service: &Service) -> Option<Planned> {
    service.rollout.as_ref().map(|plan| Planned::new(&service.name, plan))
}
