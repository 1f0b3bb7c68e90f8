//! The state of the copies of a service's requests, and how the dark version compares with the one that answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observer::Recent;
use super::verdict::{VerdictView, arm};
use super::view::LatencyView;
use crate::judge::{Gates, judge};
use crate::plan::{Plan, Service, Shadow, UpstreamSpec, Version, fraction};
use crate::telemetry::{RegistrySnapshot, ShadowResult};

/// The copies of a service's requests.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowView {
    /// The version that gets them.
    pub to: String,
    /// The part of the requests that is copied, 0 to 1.
    pub share: f64,
    /// Copies in flight, or waiting for the request's body.
    pub in_flight: u64,
    /// What became of copies since the start; what never happened is left out.
    pub results: BTreeMap<String, u64>,
    /// Copies that ended per second of the window.
    pub copies_per_second: f64,
    /// How long those of the window took.
    pub latency: LatencyView,
    /// How long all took since the start.
    pub latency_total: LatencyView,
    /// How the copies' version compares by its copies with the versions that answered the very same requests, since the copies
    /// began or went elsewhere. Nobody is answered by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictView>,
}

/// Remembers the figures as they were when the copies of each service began.
#[derive(Debug, Default)]
pub(super) struct ShadowWindows(Mutex<BTreeMap<Arc<str>, Since>>);

/// A window's beginning, and what has held since.
#[derive(Debug)]
struct Since {
    versions: Vec<(Arc<str>, Arc<UpstreamSpec>)>,
    shadow: Arc<Shadow>,
    figures: Arc<RegistrySnapshot>,
}

impl ShadowWindows {
    /// Begins a new window for each service whose copies are not those of its last one; `figures` are those of now.
    pub(super) fn look(&self, plan: &Plan, mut figures: impl FnMut() -> Arc<RegistrySnapshot>) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|name, _| plan.service_named(name).is_some_and(|(_, service)| service.shadow.is_some()));
        for service in &plan.services {
            let Some((shadow, _)) = copied(service) else { continue };
            let each = service.versions.iter();
            let versions: Vec<_> = each.map(|one| (Arc::clone(&one.name), Arc::clone(&one.upstream))).collect();
            let same = |since: &Since| since.versions == versions && since.shadow == *shadow;
            if !windows.get(&service.name).is_some_and(same) {
                let since = Since { versions, shadow: Arc::clone(shadow), figures: figures() };
                let _ = windows.insert(Arc::clone(&service.name), since);
            }
        }
    }

    fn verdict(&self, service: &Service, now: &RegistrySnapshot) -> Option<VerdictView> {
        let (_, new) = copied(service)?;
        let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = &windows.get(&service.name)?.figures;
        if now.at < since.at {
            return None;
        }
        let before = arm(now.paired_window(since, &service.name, &new.name));
        let after = arm(now.shadow_window(since, &service.name, &new.name));
        Some(VerdictView {
            verdict: judge(&before, &after, &Gates::default()),
            from: others(service, new),
            to: new.name.to_string(),
            window_seconds: now.at.saturating_sub(since.at).as_secs_f64(),
        })
    }

    /// The state of a service's copies; `None` where it has none.
    pub(super) fn view(&self, service: &Service, recent: &Recent) -> Option<ShadowView> {
        let (shadow, to) = copied(service)?;
        let [now, then] = [&recent.now, &recent.then].map(|figures| figures.shadow(&service.name, &to.name));
        let total = now.map(|shadow| shadow.arm.durations()).unwrap_or_default();
        let window = total.since(&then.map(|shadow| shadow.arm.durations()).unwrap_or_default());
        let results = ShadowResult::ALL.map(|result| (result, now.map_or(0, |now| now.results[result as usize])));
        Some(ShadowView {
            to: to.name.to_string(),
            share: fraction(shadow.sample.share()),
            in_flight: now.map_or(0, |now| now.in_flight),
            results: results
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(result, count)| (result.label().to_owned(), count))
                .collect(),
            copies_per_second: window.count() as f64 / recent.seconds,
            latency: LatencyView::of(&window),
            latency_total: LatencyView::of(&total),
            verdict: self.verdict(service, &recent.now),
        })
    }
}

/// The copies of a service's requests, and the version that gets them.
fn copied(service: &Service) -> Option<(&Arc<Shadow>, &Version)> {
    let shadow = service.shadow.as_ref()?;
    Some((shadow, service.version(shadow.to)))
}

/// The versions whose requests are copied, by name.
fn others(service: &Service, to: &Version) -> String {
    let names: Vec<&str> = service.versions.iter().map(|one| &*one.name).filter(|name| *name != &*to.name).collect();
    names.join(", ")
}
