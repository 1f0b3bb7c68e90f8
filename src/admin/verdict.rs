//! How the newest version of a service compares with the oldest one, since its weights last changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::{Event, Feed};
use crate::judge::{Arm, Gates, Outcome, Verdict, judge};
use crate::plan::{Plan, Service, Weight};
use crate::telemetry::{Registry, RegistrySnapshot, Window};

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
    /// Seconds since the weights last changed: what both versions did since then is compared.
    pub window_seconds: f64,
}

/// Remembers the figures as they were when each service's weights last changed.
#[derive(Debug)]
pub struct Verdicts {
    registry: Arc<Registry>,
    windows: Mutex<BTreeMap<Arc<str>, Since>>,
}

/// A window's beginning, and what has held since.
#[derive(Debug)]
struct Since {
    versions: Vec<(Arc<str>, Weight)>,
    figures: Arc<RegistrySnapshot>,
    /// The verdict that was told last.
    told: Outcome,
}

impl Verdicts {
    /// Windows over the figures of `registry`, none begun.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, windows: Mutex::default() }
    }

    /// Looks for changed weights once a second, for as long as it is polled, and tells who follows `feed` of verdicts that are
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

    /// Begins a new window for each service whose weights are not those of its last one.
    pub(super) fn look(&self, plan: &Plan) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|name, _| plan.service_named(name).is_some());
        let mut now = None;
        for service in &plan.services {
            let versions = versions(service);
            if windows.get(&service.name).is_none_or(|since| since.versions != versions) {
                let now = now.get_or_insert_with(|| Arc::new(self.registry.snapshot()));
                let _ = windows.insert(
                    Arc::clone(&service.name),
                    Since { versions, figures: Arc::clone(now), told: Outcome::Inconclusive },
                );
            }
        }
    }

    /// The figures as they were when the weights of a service last changed.
    pub(super) fn since(&self, service: &str) -> Option<Arc<RegistrySnapshot>> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.get(service).map(|since| Arc::clone(&since.figures))
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
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut windows.get_mut(&service.name)?.told, verdict.verdict);
        let event = || Event::verdict(&service.name, [&from, &to], None, before, &verdict, SystemTime::now());
        (before != verdict.verdict).then(event)
    }

    /// The verdict on a service by the figures `now`; `None` where it has one version only, or no window has begun.
    pub(super) fn of(&self, service: &Service, now: &RegistrySnapshot) -> Option<VerdictView> {
        let (old, new) = (service.versions.first()?, service.versions.last()?);
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let since = &windows.get(&service.name)?.figures;
        if old.name == new.name || now.at < since.at {
            return None;
        }
        let [before, after] = [old, new].map(|version| arm(now.window(since, &service.name, &version.name)));
        Some(VerdictView {
            verdict: judge(&before, &after, &Gates::default()),
            from: old.name.to_string(),
            to: new.name.to_string(),
            window_seconds: now.at.saturating_sub(since.at).as_secs_f64(),
        })
    }
}

fn versions(service: &Service) -> Vec<(Arc<str>, Weight)> {
    let names = service.versions.iter().map(|version| Arc::clone(&version.name));
    names.zip(service.split.weights().iter().copied()).collect()
}

fn arm(Window { requests, failures, durations }: Window) -> Arm {
    Arm { requests, failures, durations }
}
