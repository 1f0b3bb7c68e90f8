//! Figures as they were read: plain data, added up over the workers.

use std::sync::Arc;
use std::time::Duration;

use crate::stats::Snapshot;

use super::{
    BeganTogether, ControlArmSnapshot, Failure, FallbackResult, FaultSnapshot, MigrationSnapshot, Outcomes, Refusal,
    RetryResult, ShadowSnapshot, Shed, TokenResult, VariantSnapshot, Why,
};

/// All figures of the data plane at one time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegistrySnapshot {
    /// When it was taken, since the registry was made.
    pub at: Duration,
    /// By service, then version, in the order of their names.
    pub versions: Vec<VersionSnapshot>,
    /// Faults put in for drills, by service, version and name.
    pub faults: Vec<FaultSnapshot>,
    /// Migrations, by service.
    pub migrations: Vec<MigrationSnapshot>,
    /// Requests by the variant of a flag, by service, version, flag and variant.
    pub variants: Vec<VariantSnapshot>,
    /// Control arms, by service and version.
    pub control_arms: Vec<ControlArmSnapshot>,
    /// Copies of requests, by service and version.
    pub shadows: Vec<ShadowSnapshot>,
    /// By worker.
    pub workers: Vec<WorkerSnapshot>,
}

/// What happened to one version of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionSnapshot {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// How long finished requests took, from their head to the response's last byte, by how they ended.
    pub outcomes: Outcomes,
    /// How long clients waited for the head of the response.
    pub first_byte: Snapshot,
    /// Requests begun and not ended.
    pub in_flight: u64,
    /// When those began, as far as it is known.
    pub in_flight_since: Vec<BeganTogether>,
    /// Requests begun, by [`Why::ALL`].
    pub picks: [u64; Why::ALL.len()],
    /// Exchanges with upstreams that failed, by [`Failure::ALL`].
    pub upstream_failures: [u64; Failure::ALL.len()],
    /// What became of requests sent to this version again, by [`RetryResult::ALL`].
    pub retries: [u64; RetryResult::ALL.len()],
    /// What became of requests that another version was to answer, by [`FallbackResult::ALL`].
    pub fallbacks: [u64; FallbackResult::ALL.len()],
    /// Workers that send this version's requests to another one at once.
    pub fallback_open: u64,
    /// Connections to upstreams.
    pub connections: Connections,
    /// Requests turned away before they reached the version, by [`Shed::ALL`].
    pub shed: [u64; Shed::ALL.len()],
    /// Most requests in flight that the version is given now; 0 where there is no limit.
    pub concurrency_limit: u64,
    /// Of those in flight, requests that wait for room.
    pub queued: u64,
}

/// Connections to upstreams that are open, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// Carrying requests.
    pub active: u64,
    /// Kept for the next request.
    pub idle: u64,
}

/// One worker's figures that belong to no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSnapshot {
    /// Client connections open.
    pub connections: u64,
    /// Client connections accepted since the start.
    pub accepted: u64,
    /// Requests and connections that never reached a version, by [`Refusal::ALL`].
    pub refusals: [u64; Refusal::ALL.len()],
    /// Access-log lines that found the queue full.
    pub access_log_dropped: u64,
    /// Spans that found the queue full.
    pub spans_dropped: u64,
    /// Tokens that were looked at, by [`TokenResult::ALL`].
    pub tokens: [u64; TokenResult::ALL.len()],
}

impl RegistrySnapshot {
    /// The figures of one version; `None` before its first cell was asked for.
    #[must_use]
    pub fn version(&self, service: &str, version: &str) -> Option<&VersionSnapshot> {
        self.versions.iter().find(|v| &*v.service == service && &*v.version == version)
    }

    /// The figures of one fault; `None` before its first cell was asked for.
    #[must_use]
    pub fn fault(&self, service: &str, version: &str, fault: &str) -> Option<&FaultSnapshot> {
        self.faults.iter().find(|f| &*f.service == service && &*f.version == version && &*f.fault == fault)
    }

    /// Requests and connections of this kind refused by all workers.
    #[must_use]
    pub fn refused(&self, kind: Refusal) -> u64 {
        self.workers.iter().map(|worker| worker.refusals[kind as usize]).sum()
    }
}

impl VersionSnapshot {
    pub(super) fn empty(service: Arc<str>, version: Arc<str>) -> Self {
        Self {
            service,
            version,
            outcomes: Outcomes::default(),
            first_byte: Snapshot::default(),
            in_flight: 0,
            in_flight_since: Vec::new(),
            picks: [0; _],
            upstream_failures: [0; _],
            retries: [0; _],
            fallbacks: [0; _],
            fallback_open: 0,
            connections: Connections::default(),
            shed: [0; _],
            concurrency_limit: 0,
            queued: 0,
        }
    }

    /// Requests that ended, in whatever way.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.outcomes.requests()
    }

    /// Requests that ended in an outcome which [is a failure](super::Outcome::is_failure).
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.outcomes.failures()
    }

    /// How long requests took, however they ended.
    #[must_use]
    pub fn durations(&self) -> Snapshot {
        self.outcomes.durations()
    }

    /// The window between `earlier`, a previous snapshot of the same version, and this one: differences of what only
    /// grows, and what is in flight and connected now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut window = self.clone();
        window.outcomes = self.outcomes.since(&earlier.outcomes);
        window.first_byte = self.first_byte.since(&earlier.first_byte);
        subtract(&mut window.picks, &earlier.picks);
        subtract(&mut window.upstream_failures, &earlier.upstream_failures);
        subtract(&mut window.shed, &earlier.shed);
        subtract(&mut window.retries, &earlier.retries);
        subtract(&mut window.fallbacks, &earlier.fallbacks);
        window
    }
}

fn subtract(counts: &mut [u64], earlier: &[u64]) {
    for (count, before) in counts.iter_mut().zip(earlier) {
        *count = count.saturating_sub(*before);
    }
}
