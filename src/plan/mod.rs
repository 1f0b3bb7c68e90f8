//! Floor 1. What to do with a request, as data: routes, services, versions, the split.
//!
//! A [`Plan`] is immutable and complete: `config` builds one from the files, `control` publishes it, workers read it.
//! Everything here is pure. Nothing reads a clock, a socket or a file; randomness and time are arguments.

mod attached;
mod baggage;
mod deprecation;
mod fault;
mod filter;
mod health;
mod journal;
mod migration;
mod moves;
mod overload;
mod query;
mod reconcile;
mod retry;
mod rollout;
mod route;
mod rpc;
mod service;
mod shadow;
mod share;
mod split;
mod standing;
mod steering;
mod sticky;
mod widen;

pub use attached::{
    AttributeSource, FLAG_HEADER_PREFIX, FlagAttribute, FlagContext, MEASURED_VARIANTS, OWN_ATTRIBUTES, RouteFlag,
    ServiceFlags, Token, flag_header_value,
};
pub use baggage::{Follow, announce, followed};
pub use deprecation::{Announcement, Deprecation};
pub use fault::{Abort, Delay, Fault, Strike};
pub use filter::{Filter, HeaderEdit, PathEdit, Redirect};
pub use health::{HealthCheck, Outliers, Probe, SuccessRate};
pub use journal::{Backoff, Durability, JournalRules, OnFull};
pub use migration::{
    EntityKey, EntityKeySource, MAX_ENTITY_KEY, Migration, MigrationRules, Progress, Reads, Side, Stage, WithoutKey,
};
pub use moves::moves;
pub use overload::{Overload, Priority, PriorityHeader};
pub use reconcile::{
    KeyCall, KeyList, MigrationChecks, MigrationGates, MigrationStep, PathTemplate, Reconcile, Repair,
};
pub use retry::{DEFAULT_BODY_BYTES, Fallback, FallbackOn, Retry, RetryBudget};
pub use rollout::{
    ApprovalNeeded, ErrorBudget, EvidenceNeeded, LatencyGate, OnRegression, RolloutGates, RolloutPlan, RolloutStep,
    fraction,
};
pub use route::{
    CallMatch, HeaderMatch, Host, HostPattern, Matched, PathMatch, QueryMatch, Route, RouteMatch, RouteTable, Timeouts,
    ValueMatch, normalize_host,
};
pub use rpc::Rpc;
pub use service::{
    Address, Protocol, Service, ServiceId, UpstreamSpec, UpstreamTls, Version, VersionId, VersionOverride, VersionSet,
};
pub use shadow::{DiffPlan, SHADOW_HEADER, Sample, Shadow};
pub use share::Share;
pub use split::{ControlArm, Split, Weight, WeightError};
pub use standing::{Effect, Standing};
pub use steering::{Answers, Attached, Evaluated, Lot, MeasuredBy, Steering, version_of, weigh};
pub use sticky::{KeySource, StickyKey};
pub use widen::{migrated, widened, widened_version};

use std::sync::Arc;

use ipnet::IpNet;

use crate::flags::FlagSet;

/// Everything a worker needs to answer requests, immutable once published.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Grows by one with every published plan, so that a worker can tell an old one from a new one.
    pub generation: u64,
    /// Which service a request is for.
    pub routes: Arc<RouteTable>,
    /// All services; a [`ServiceId`] is an index into this.
    pub services: Vec<Arc<Service>>,
    /// How much is accepted from clients and how long they may take.
    pub limits: Limits,
    /// Peers whose `X-Forwarded-*` headers are believed; from all others these are replaced.
    pub trusted: Vec<IpNet>,
    /// How upstream connections are opened and kept.
    pub upstream: UpstreamSettings,
    /// How many tries may be added to those that clients ask for.
    pub retry_budget: RetryBudget,
    /// The flags in force; empty where there is no flag file.
    pub flags: Arc<FlagSet>,
    /// What the rules of flags may ask about requests.
    pub flag_context: Arc<FlagContext>,
}

impl Plan {
    /// The service with this id. Ids come from this plan's own routes, so they are always in range.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Arc<Service> {
        &self.services[id.index()]
    }

    /// Whether flags are attached to routes and services as in `other`, and the flags are the same.
    #[must_use]
    pub fn has_same_flags(&self, other: &Self) -> bool {
        let same = |(one, two): (&Arc<Service>, &Arc<Service>)| {
            Arc::ptr_eq(one, two)
                || one.flags == two.flags
                    && one.versions.iter().map(|version| &version.name).eq(two.versions.iter().map(|v| &v.name))
        };
        Arc::ptr_eq(&self.flags, &other.flags)
            && Arc::ptr_eq(&self.routes, &other.routes)
            && self.services.len() == other.services.len()
            && self.services.iter().zip(&other.services).all(same)
    }

    /// Finds a service by its configured name.
    #[must_use]
    pub fn service_named(&self, name: &str) -> Option<(ServiceId, &Arc<Service>)> {
        self.services.iter().enumerate().find(|(_, s)| &*s.name == name).map(|(i, s)| (ServiceId::from_index(i), s))
    }
}

/// Bounds on what a client may send, and how slowly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a request head, start line included; more is answered 431.
    pub header_bytes: usize,
    /// Most header lines of a request; more is answered 431.
    pub header_count: usize,
    /// Most bytes of a request body; more is answered 413. `None`: no bound.
    pub body_bytes: Option<u64>,
    /// From the first byte of a request head to its last; longer is answered 408.
    pub header_timeout: std::time::Duration,
    /// How long a client connection may be silent: between requests, or within a request body.
    pub idle_timeout: std::time::Duration,
    /// Most client connections of the whole process; one more is answered 503 and closed.
    pub connections: usize,
    /// Most concurrent streams of one HTTP/2 connection.
    pub h2_streams: u32,
    /// Most streams of one HTTP/2 connection that the client reset before the worker has seen them, or in a second before they
    /// were answered, a burst of eight times as many allowed; more closes it.
    pub h2_pending_resets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        use std::time::Duration;
        Self {
            header_bytes: 32 * 1024,
            header_count: 100,
            body_bytes: None,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            connections: 10_000,
            h2_streams: 128,
            h2_pending_resets: 32,
        }
    }
}

/// How upstream connections are opened and kept; the same for every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Longest time to open a connection.
    pub connect_timeout: std::time::Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: std::time::Duration,
    /// Longest silence of an upstream while a request waits for it: before the response, or within its body.
    pub response_idle_timeout: std::time::Duration,
    /// Most unused connections kept per address and worker.
    pub idle_connections: usize,
    /// Most connections per address and worker, used or not. `None`: no bound.
    pub connections: Option<u32>,
    /// How often a DNS name is resolved again.
    pub resolve_interval: std::time::Duration,
    /// Silence after which an HTTP/2 connection is asked for a sign of life. `None`: never.
    pub ping_interval: Option<std::time::Duration>,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        use std::time::Duration;
        Self {
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(30),
            response_idle_timeout: Duration::from_mins(1),
            idle_connections: 256,
            connections: None,
            resolve_interval: Duration::from_secs(5),
            ping_interval: Some(Duration::from_secs(10)),
        }
    }
}
