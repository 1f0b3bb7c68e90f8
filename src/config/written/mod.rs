//! `serin.yaml` and the weight file as they are written. The doc comments are the descriptions in `serin schema`.

mod admin;
mod deprecation;
mod fault;
mod filter;
mod flags;
mod journal;
mod ledger;
mod listener;
mod migration;
mod observe;
mod ofrep;
mod reconcile;
mod rollout;
mod route;
mod service;
mod shadow;
mod upstream;
mod webhook;

pub(in crate::config) use self::admin::{Admin, AdminClient, TokensFile};
pub(in crate::config) use self::deprecation::Deprecation;
pub(in crate::config) use self::fault::{Fault, FaultAbort, FaultDelay};
pub(in crate::config) use self::filter::{Filter, Header, HeaderModifier, PathModifier, Redirect, UrlRewrite};
pub(in crate::config) use self::flags::{ByFlag, FlagAttribute, FlagContext, Jwt};
pub(in crate::config) use self::journal::Backoff;
pub(in crate::config) use self::ledger::Ledger;
pub(in crate::config) use self::listener::{Forwarded, Limits, Listener, ListenerTls};
pub(in crate::config) use self::migration::{Migration, MigrationKey};
pub(in crate::config) use self::observe::{AccessLog, Tracing};
pub(in crate::config) use self::ofrep::{Cors, Ofrep};
pub(in crate::config) use self::reconcile::{KeyCall, KeyList, MigrationGates, MigrationSteps, Reconcile};
pub(in crate::config) use self::rollout::{ControlArm, DiffGate, ErrorBudget, Gates as RolloutGates, Rollout};
pub(in crate::config) use self::route::{GrpcMethod, Match, PathMatch, Retry, Route, Timeouts};
pub(in crate::config) use self::service::{Fallback, Overload, Override, PriorityHeader, Service, Sticky};
pub(in crate::config) use self::shadow::{Diff, Shadow};
pub(in crate::config) use self::upstream::{
    Health, Outliers, RetryBudget, SuccessRate, UpstreamTls, Upstreams, Version,
};
pub(in crate::config) use self::webhook::Webhook;

use super::read::{At, List, Named, written};
use super::values::{Count, FilePath, Period, Share};

/// Most services of one file, which also bounds `plan::ServiceId`.
pub(in crate::config) const MAX_SERVICES: usize = 1_000;
/// Most versions of one service, which also bounds `plan::VersionId`.
pub(in crate::config) const MAX_VERSIONS: usize = 64;
/// Most requests of one version at a time.
pub(in crate::config) const MAX_CONCURRENCY: u32 = 100_000;
/// Most routes of one file.
const MAX_ROUTES: usize = 2_000;

/// Weights of one service by version.
pub(in crate::config) type Weights = Named<At<Share>, 1, MAX_VERSIONS>;
/// The weight file: weights by service. `{}` names none.
pub(in crate::config) type WeightFile = Named<Weights, 0, MAX_SERVICES>;

/// Headers of a filter.
pub(in crate::config) type Headers = List<Header, 1, 64>;

written! {
    /// Configuration of serin, a feature-flag and traffic-split sidecar proxy.
    Serin {
        /// Where clients connect.
        required "listeners" listeners: List<Listener, 1, 64>,
        /// The admin API: health, metrics, weights. Without it there is none.
        optional "admin" admin: Admin,
        /// The flag evaluation API (OFREP). Without it there is none.
        optional "ofrep" ofrep: Ofrep,
        /// Number of workers, each on its own thread. Default: the cores that the cgroup grants.
        optional "workers" workers: At<Count<1, 1024>>,
        /// Folder of the ledger, relative to the folder of this file and made where it is missing; one serin has it at a time. Without it the ledger is kept in memory.
        optional "stateDir" state_dir: At<FilePath>,
        /// How large the ledger grows. What is left out has its default.
        optional "ledger" ledger: Ledger,
        /// How long requests in flight may take to finish once serin is told to stop. Default: 30s.
        optional "drainTimeout" drain_timeout: At<Period>,
        /// Other files in use; all of them are watched.
        optional "files" files: Files,
        /// Bounds on what clients may send, and how slowly.
        optional "limits" limits: Limits,
        /// How connections to upstreams are opened and kept.
        optional "upstreams" upstreams: Upstreams,
        /// How many tries may be added to those that clients ask for, for each service and worker.
        optional "retryBudget" retry_budget: RetryBudget,
        /// What is believed of `X-Forwarded-*` headers that come in.
        optional "forwarded" forwarded: Forwarded,
        /// One line for every request. Without it there is none.
        optional "accessLog" access_log: AccessLog,
        /// Spans of requests, exported by OTLP. Without it there are none, and `traceparent` passes as it came.
        optional "tracing" tracing: Tracing,
        /// Who is told of what happens.
        optional "webhooks" webhooks: List<Webhook, 0, 16>,
        /// What the rules of flags may ask about requests, beside what they always may.
        optional "flagContext" flag_context: FlagContext,
        /// Services by name, each with its versions.
        required "services" services: Named<Service, 1, MAX_SERVICES>,
        /// Which requests go to which service; the most specific match wins, as in Gateway API's `HTTPRoute`.
        required "routes" routes: List<Route, 1, MAX_ROUTES>,
    }

    /// Other files in use; paths are relative to the folder of this file.
    Files {
        /// The weight file, the one that operators edit.
        optional "weights" weights: At<FilePath>,
        /// The flag definitions, in flagd's format: YAML or JSON.
        optional "flags" flags: At<FilePath>,
    }
}
