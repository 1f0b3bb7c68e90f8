//! How the newest version of a service compares with the oldest one, since its weights last changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::experiment::{ExperimentView, Experiments};
use super::observer::Recent;
use super::shadow::{ShadowView, ShadowWindows};
use crate::events::{Event, Feed};
use crate::judge::{Arm, Gates, Outcome, Verdict, judge_named};
use crate::plan::{Address, Plan, Service, Weight};
use crate::rollout::RolloutView;
use crate::telemetry::{Registry, RegistrySnapshot, VerdictFigure, Window};

/// How often it is looked whether weights have changed, where nobody asks.
const EVERY: Duration = Duration::from_secs(1);

/// A verdict and what it is about.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictView {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The version that the other one is compared with.
    pub from: String,
    /// The version that is compared.
    pub to: String,
    /// Seconds since the weights, or where the versions answer, last changed: what both did since then is compared.
    pub window_seconds: f64,
}

/// Remembers the figures as they were when each service's weights last changed, and when its flag did.
#[derive(Debug)]
pub struct Verdicts {
    registry: Arc<Registry>,
    windows: Mutex<Windows>,
    shadows: ShadowWindows,
}

#[derive(Debug, Default)]
struct Windows {
    /// By service.
    versions: BTreeMap<Arc<str>, Since>,
    variants: Experiments,
}

/// A version as it was when a window began: its name, its weight, and where it answers.
type Known = (Arc<str>, Weight, Vec<Address>);

/// A window's beginning, and what has held since.
#[derive(Debug)]
struct Since {
    versions: Vec<Known>,
    figures: Arc<RegistrySnapshot>,
    /// The verdict that was told last.
    told: Outcome,
}

impl Verdicts {
    /// Windows over the figures of `registry`, none begun.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, windows: Mutex::default(), shadows: ShadowWindows::default() }
    }

    /// Looks for changed weights and flags once a second, for as long as it is polled, and tells who follows `feed` of verdicts that are
    /// other than before; not of services that are `judged` elsewhere.
    pub async fn run(&self, plan: impl Fn() -> Arc<Plan>, feed: &Feed, judged: impl Fn(&str) -> bool) {
        let mut generation = None;
        loop {
            let plan = plan();
            if generation != Some(plan.generation) {
                self.look(&plan);
                generation = Some(plan.generation);
            }
            if feed.is_followed() {
                self.news(&plan, &judged).into_iter().for_each(|event| feed.tell(event));
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Begins a new window for each service whose weights, or the places where its versions answer, or whose flag are not
    /// those of its last one.
    pub(super) fn look(&self, plan: &Plan) {
        let mut windows = self.windows();
        let Windows { versions: known, variants } = &mut *windows;
        known.retain(|name, _| plan.service_named(name).is_some());
        let mut now = None;
        let mut now = || Arc::clone(now.get_or_insert_with(|| Arc::new(self.registry.snapshot())));
        self.shadows.look(plan, &mut now);
        for service in &plan.services {
            let versions = versions(service);
            if known.get(&service.name).is_none_or(|since| since.versions != versions) {
                let since = Since { versions, figures: now(), told: Outcome::Inconclusive };
                let _ = known.insert(Arc::clone(&service.name), since);
            }
        }
        variants.look(plan, now);
    }

    /// The figures as they were when the weights of a service last changed.
    pub(super) fn since(&self, service: &str) -> Option<Arc<RegistrySnapshot>> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.versions.get(service).map(|since| Arc::clone(&since.figures))
    }

    /// The verdicts that are other than before.
    fn news(&self, plan: &Plan, judged: &impl Fn(&str) -> bool) -> Vec<Event> {
        let several = |service: &&Arc<Service>| service.versions.len() > 1 && !judged(&service.name);
        let services: Vec<_> = plan.services.iter().filter(several).collect();
        if services.is_empty() {
            return Vec::new();
        }
        let now = self.registry.snapshot();
        services.into_iter().filter_map(|service| self.news_of(service, &now)).collect()
    }

    fn news_of(&self, service: &Service, now: &RegistrySnapshot) -> Option<Event> {
        let VerdictView { verdict, from, to, .. } = self.of(service, now)?;
        let mut windows = self.windows();
        let before = std::mem::replace(&mut windows.versions.get_mut(&service.name)?.told, verdict.verdict);
        let event = || Event::verdict(&service.name, [&from, &to], None, before, &verdict, SystemTime::now());
        (before != verdict.verdict).then(event)
    }

    /// The copies of a service's requests; `None` where there are none.
    pub(super) fn shadow(&self, service: &Service, recent: &Recent) -> Option<ShadowView> {
        self.shadows.view(service, recent)
    }

    /// The verdict on a service by the figures `now`; `None` where it has one version only, or no window has begun.
    pub(super) fn of(&self, service: &Service, now: &RegistrySnapshot) -> Option<VerdictView> {
        let (old, new) = (service.versions.first()?, service.versions.last()?);
        let windows = self.windows();
        let since = &windows.versions.get(&service.name)?.figures;
        if old.name == new.name || now.at < since.at {
            return None;
        }
        let [before, after] = [old, new].map(|version| arm(now.window(since, &service.name, &version.name)));
        Some(VerdictView {
            verdict: judge_named([&old.name, &new.name], [&before, &after], &Gates::default()),
            from: old.name.to_string(),
            to: new.name.to_string(),
            window_seconds: now.at.saturating_sub(since.at).as_secs_f64(),
        })
    }

    /// What is said of the variants of the flag that a service is measured by; `None` where there is none.
    pub(super) fn of_variants(&self, plan: &Plan, service: &Service, now: &RegistrySnapshot) -> Option<ExperimentView> {
        self.windows().variants.of(plan, service, now)
    }

    /// All verdicts now, as metrics tell of them. `rollout`: where a service's rollout stands, whose verdict goes before.
    pub(super) fn figures(&self, plan: &Plan, rollout: impl Fn(&str) -> Option<RolloutView>) -> Vec<VerdictFigure> {
        let now = self.registry.snapshot();
        let mut figures = Vec::new();
        for service in &plan.services {
            let mut put = |flag: Option<&str>, of: &str, outcome: Outcome| {
                figures.push(VerdictFigure {
                    service: Arc::clone(&service.name),
                    flag: flag.map(Arc::from),
                    of: of.into(),
                    verdict: outcome.label(),
                    words: &Outcome::WORDS,
                });
            };
            let judged = rollout(&service.name).and_then(|view| Some((view.verdict?.verdict, view.to)));
            if let Some((outcome, to)) = judged.or_else(|| self.of(service, &now).map(|v| (v.verdict.verdict, v.to))) {
                put(None, &to, outcome);
            }
            let experiment = self.of_variants(plan, service, &now);
            for (flag, variant) in experiment.iter().flat_map(|e| e.variants.iter().map(move |v| (&e.flag, v))) {
                put(Some(flag), &variant.to, variant.verdict.verdict);
            }
        }
        figures
    }

    /// The maps are whole between any two of their operations, so a panic elsewhere leaves nothing half done.
    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn versions(service: &Service) -> Vec<Known> {
    let versions = service.versions.iter().zip(service.split.weights());
    versions.map(|(version, weight)| (Arc::clone(&version.name), *weight, version.upstream.addresses.clone())).collect()
}

pub(super) fn arm(Window { requests, failures, durations }: Window) -> Arm {
    Arm { requests, failures, durations }
}
