//! The state of the services as JSON shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deprecation::DeprecationView;
use super::drills::{DrillView, drills};
use super::experiment::ExperimentView;
use super::observer::Recent;
use super::shadow::ShadowView;
use super::steering::SteeringView;
use super::verdict::{VerdictView, Verdicts};
use crate::plan::{Plan, Progress, Service, Standing, Version, VersionId};
use crate::rollout::RolloutView;
use crate::stats::Snapshot;
use crate::telemetry::{Registry, VersionSnapshot};
use crate::upstream::{AddressState, Health};

/// All services.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicesView {
    /// Number of the plan in force; it grows with every change.
    pub generation: u64,
    /// In the order of the configuration.
    pub services: Vec<ServiceView>,
}

/// One service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// Seconds that rates and recent latencies are taken over.
    pub window_seconds: f64,
    /// In order of age: the last is the newest.
    pub versions: Vec<VersionView>,
    /// The entry of the ledger that says so; only in the answer to a change that has been written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// Where its rollout stands, where it has a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutView>,
    /// How the newest version compares with the oldest one since the weights last changed; nothing where there is only
    /// one version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictView>,
    /// How the variants of the flag that it is measured by compare with one of them; nothing where it is measured by none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentView>,
    /// Copies of its requests for a version that answers nobody with them, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowView>,
    /// Drills in force: faults put into requests on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<DrillView>,
    /// How far its migration is, where it has one: then the stage alone says which version answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<ProgressView>,
    /// The announced end of one of its versions, and who still calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation: Option<DeprecationView>,
    /// What flags do to its split; nothing where they do nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering: Option<SteeringView>,
}

/// How far a migration is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProgressView {
    /// off, dualWrite, shadow, live, rampDown or complete.
    pub stage: String,
    /// The share of keys that are in the stage, such as `10%`; all others are in the one before.
    pub share: String,
}

impl From<Progress> for ProgressView {
    fn from(progress: Progress) -> Self {
        Self { stage: progress.stage.word().to_owned(), share: progress.share.to_string() }
    }
}

/// One version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    /// Its name.
    pub name: String,
    /// The weight in force.
    pub weight: f64,
    /// Its share of the requests by weight, 0 to 1.
    pub share: f64,
    /// Its share of the requests now, 0 to 1: the share of a version without a healthy address, or that a flag takes away
    /// from everybody, goes to the others.
    pub effective_share: f64,
    /// Where it answers, in the order of the configuration, names as what they stand for.
    pub addresses: Vec<AddressView>,
    /// Requests begun and not yet answered whole.
    pub in_flight: u64,
    /// What it is given at a time; nothing where its service has no `overload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overload: Option<OverloadView>,
    /// Requests answered since the start.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Requests answered per second of the window.
    pub requests_per_second: f64,
    /// Failures per second of the window.
    pub failures_per_second: f64,
    /// Of the requests answered in the window.
    pub latency: LatencyView,
    /// Of all requests since the start.
    pub latency_total: LatencyView,
}

/// One address of a version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressView {
    /// `address:port`, or `unix:/path`.
    pub address: String,
    /// Whether requests go there.
    pub state: AddressStateView,
    /// Why its checks fail, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds until its ejection is over, where it is ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected_seconds: Option<f64>,
}

/// Whether requests go to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AddressStateView {
    /// They do.
    Up,
    /// Not for a while, for how it treated them.
    Ejected,
    /// Not until its checks pass again.
    Unhealthy,
}

/// How a version is kept from being overloaded.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverloadView {
    /// Most requests it is given at a time now, over all workers.
    pub limit: u64,
    /// Requests that wait for room, among those in flight.
    pub queued: u64,
    /// Requests turned away since the start.
    pub shed: u64,
    /// Requests turned away per second of the window.
    pub shed_per_second: f64,
}

/// Latency quantiles in seconds, from the request's head to the response's last byte; nothing where no request was
/// answered.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct LatencyView {
    /// Median.
    pub p50: Option<f64>,
    /// 90 %.
    pub p90: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// 99.9 %.
    #[serde(rename = "p99.9")]
    pub p999: Option<f64>,
}

impl ServicesView {
    /// The state of all services of `plan`.
    #[must_use]
    pub fn new(plan: &Plan, recent: &Recent, health: &Health, verdicts: &Verdicts) -> Self {
        let view = |service| ServiceView::new(plan, service, recent, health, verdicts);
        let services = plan.services.iter().map(|service| view(service)).collect();
        Self { generation: plan.generation, services }
    }
}

impl ServiceView {
    /// The state of one service.
    #[must_use]
    pub fn new(plan: &Plan, service: &Service, recent: &Recent, health: &Health, verdicts: &Verdicts) -> Self {
        let up = health.up(service);
        let standing = Standing::of(service, &plan.flags);
        let versions = service.versions.iter().enumerate();
        let versions = versions
            .map(|(index, version)| {
                let now = recent.now.version(&service.name, &version.name);
                let then = recent.then.version(&service.name, &version.name);
                let id = VersionId::from_index(index);
                VersionView {
                    name: version.name.to_string(),
                    weight: service.split.weights()[index].as_f64(),
                    share: service.intended_share(id),
                    effective_share: match &standing {
                        _ if service.migration.is_some() => service.intended_share(id),
                        Some(standing) => standing.share(&service.split, id, up),
                        None => service.split.share_among(id, up),
                    },
                    addresses: addresses(health, service, version),
                    ..figures(now, then, recent.seconds)
                }
            })
            .collect();
        Self {
            name: service.name.to_string(),
            window_seconds: recent.seconds,
            versions,
            entry: None,
            rollout: None,
            verdict: verdicts.of(service, &recent.now),
            experiment: verdicts.of_variants(plan, service, &recent.now),
            shadow: verdicts.shadow(service, recent),
            drills: drills(service, recent),
            deprecation: None,
            migration: service.migration.as_ref().map(|migration| ProgressView::from(migration.progress)),
            steering: standing.map(|standing| SteeringView::new(&standing, service)),
        }
    }

    /// The same with the announced end of one of its versions, where there is one.
    pub(super) fn with_deprecation(self, plan: &Plan, registry: &Registry) -> Self {
        let service = plan.service_named(&self.name).map(|(_, service)| service);
        let deprecation = service.and_then(|service| DeprecationView::new(service, registry));
        Self { deprecation, ..self }
    }

    /// The same with where its rollout stands; while that is watched, its verdict is the service's.
    pub(super) fn with_rollout(self, of: impl Fn(&str) -> Option<RolloutView>) -> Self {
        let Some(rollout) = of(&self.name) else { return self };
        let judged = rollout.verdict.clone().map(|verdict| VerdictView {
            verdict,
            from: rollout.from.clone(),
            to: rollout.to.clone(),
            window_seconds: rollout.window_seconds.unwrap_or_default(),
        });
        Self { verdict: judged.or(self.verdict), rollout: Some(rollout), ..self }
    }
}

fn addresses(health: &Health, service: &Service, version: &Version) -> Vec<AddressView> {
    let known = health.known(&service.name, &version.name);
    let addresses = known.iter().flat_map(|version| version.addresses());
    addresses.map(AddressView::from).collect()
}

impl From<AddressState> for AddressView {
    fn from(address: AddressState) -> Self {
        let state = match &address {
            AddressState { unhealthy: Some(_), .. } => AddressStateView::Unhealthy,
            AddressState { ejected_for: Some(_), .. } => AddressStateView::Ejected,
            _ => AddressStateView::Up,
        };
        Self {
            address: address.address.to_string(),
            state,
            reason: address.unhealthy.map(|reason| reason.to_string()),
            ejected_seconds: address.ejected_for.map(|left| left.as_secs_f64()),
        }
    }
}

fn figures(now: Option<&VersionSnapshot>, then: Option<&VersionSnapshot>, seconds: f64) -> VersionView {
    let total = now.map(VersionSnapshot::durations).unwrap_or_default();
    let before = then.map(VersionSnapshot::durations).unwrap_or_default();
    let requests = now.map_or(0, VersionSnapshot::requests);
    let failures = now.map_or(0, VersionSnapshot::failures);
    let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
    let shed = |snapshot: Option<&VersionSnapshot>| snapshot.map_or(0, |snapshot| snapshot.shed.iter().sum());
    let overload = now.filter(|now| now.concurrency_limit > 0).map(|snapshot| OverloadView {
        limit: snapshot.concurrency_limit,
        queued: snapshot.queued,
        shed: shed(now),
        shed_per_second: rate(shed(now), shed(then)),
    });
    VersionView {
        name: String::new(),
        weight: 0.0,
        share: 0.0,
        effective_share: 0.0,
        addresses: Vec::new(),
        in_flight: now.map_or(0, |now| now.in_flight),
        overload,
        requests,
        failures,
        requests_per_second: rate(requests, then.map_or(0, VersionSnapshot::requests)),
        failures_per_second: rate(failures, then.map_or(0, VersionSnapshot::failures)),
        latency: LatencyView::of(&total.since(&before)),
        latency_total: LatencyView::of(&total),
    }
}

impl LatencyView {
    /// The quantiles of a histogram.
    #[must_use]
    pub fn of(histogram: &Snapshot) -> Self {
        let quantile = |order| histogram.quantile(order).map(|quantile| quantile.value);
        Self { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), p999: quantile(0.999) }
    }
}
