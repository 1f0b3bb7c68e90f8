//! How the newest version of a service compares with the oldest one, since its weights last changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observer::Recent;
use super::shadow::{ShadowView, ShadowWindows};
use crate::judge::{Arm, Gates, Verdict, judge};
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
    shadows: ShadowWindows,
}

/// A window's beginning, and what has held since.
#[derive(Debug)]
struct Since {
    versions: Vec<(Arc<str>, Weight)>,
    figures: Arc<RegistrySnapshot>,
}

impl Verdicts {
    /// Windows over the figures of `registry`, none begun.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, windows: Mutex::default(), shadows: ShadowWindows::default() }
    }

    /// Looks for changed weights once a second, for as long as it is polled.
    pub async fn run(&self, plan: impl Fn() -> Arc<Plan>) {
        let mut generation = None;
        loop {
            let plan = plan();
            if generation != Some(plan.generation) {
                self.look(&plan);
                generation = Some(plan.generation);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Begins a new window for each service whose weights are not those of its last one.
    pub(super) fn look(&self, plan: &Plan) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|name, _| plan.service_named(name).is_some());
        let mut now = None;
        let mut figures = || Arc::clone(now.get_or_insert_with(|| Arc::new(self.registry.snapshot())));
        self.shadows.look(plan, &mut figures);
        for service in &plan.services {
            let versions = versions(service);
            if windows.get(&service.name).is_none_or(|since| since.versions != versions) {
                let _ = windows.insert(Arc::clone(&service.name), Since { versions, figures: figures() });
            }
        }
    }

    /// The copies of a service's requests; `None` where there are none.
    pub(super) fn shadow(&self, service: &Service, recent: &Recent) -> Option<ShadowView> {
        self.shadows.view(service, recent)
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

pub(super) fn arm(Window { requests, failures, durations }: Window) -> Arm {
    Arm { requests, failures, durations }
}
