//! What is exported, under which names: the contract's "Metrics", as data.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::stats::Snapshot;
use crate::telemetry::control::ControlState;
use crate::telemetry::{
    Connections, Failure, FallbackResult, Handshake, Refusal, Registry, RegistrySnapshot, ReloadResult, RetryResult,
    Shed, VersionSnapshot, Why,
};

use super::{health, process};

/// A metric with all its series.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) series: Vec<Series>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One series of a metric.
pub(super) struct Series {
    pub(super) labels: Vec<(&'static str, Arc<str>)>,
    pub(super) value: Value,
}

pub(super) enum Value {
    Number(f64),
    /// Durations; exported in seconds.
    Histogram(Snapshot),
}

/// Reads everything. Metrics without series are left out.
pub(super) fn families(registry: &Registry) -> Vec<Family> {
    let control = registry.control().read();
    let snapshot = registry.snapshot();
    let mut families = Vec::from(of_versions(&snapshot.versions));
    families.extend(super::faults::families(&snapshot.faults, &control.fault_ends));
    families.extend(super::variants::families(&snapshot.variants, &snapshot.control_arms, &snapshot.workers));
    families.extend(super::shadow::families(&snapshot.shadows, registry.diffs()));
    families.extend(of_overload(&snapshot.versions));
    families.extend(of_workers(&snapshot, &control));
    families.extend(of_tls(registry, &control));
    families.extend(super::spans::families(&snapshot.workers, control.spans()));
    families.extend(super::ledger::families(&control.ledger));
    families.extend(super::journal::families(registry.journal().read()));
    families.extend(super::rollouts::families(&control.rollouts, &control.rollout_decisions, &control.drill_seconds));
    families.extend(super::verdicts::families(&control.verdicts));
    families.push(super::migration::callers(registry.caller_counts()));
    families.extend(super::consistency::families(&control.consistency));
    families.extend(super::migration::families(&snapshot.migrations, &control.migrations));
    families.extend(super::flags::families(registry.flag_counts(), registry.ofrep_cell()));
    families.extend(of_control(control));
    families.push(super::access::family(registry.admin()));
    families.extend(super::events::families(registry.events()));
    families.extend(health::families(registry.health().read()));
    families.extend(of_process(registry.started()));
    families.retain(|family| !family.series.is_empty());
    families
}

fn of_versions(versions: &[VersionSnapshot]) -> [Family; 10] {
    let outcomes =
        || versions.iter().flat_map(|v| v.outcomes.iter().map(move |(outcome, durations)| (v, outcome, durations)));
    [
        Family {
            name: "serin_request_duration_seconds",
            help: "From a request's head to the last byte of its response, as the client saw it; for each try after the \
                   first, from its own beginning.",
            kind: Kind::Histogram,
            series: outcomes()
                .map(|(v, outcome, durations)| labelled(v, "code", outcome.label()).durations(durations.clone()))
                .collect(),
        },
        Family {
            name: "serin_response_first_byte_seconds",
            help: "From a request's head to the head of its response.",
            kind: Kind::Histogram,
            series: versions.iter().map(|v| names(v).durations(v.first_byte.clone())).collect(),
        },
        Family {
            name: "serin_requests_total",
            help: "Tries that ended, by HTTP status class, gRPC status or failure. Each request is one, and one more for \
                   each time it was sent again.",
            kind: Kind::Counter,
            series: outcomes()
                .map(|(v, outcome, durations)| labelled(v, "code", outcome.label()).count(durations.count()))
                .collect(),
        },
        Family {
            name: "serin_requests_in_flight",
            help: "Requests begun and not ended.",
            kind: Kind::Gauge,
            series: versions.iter().map(|v| names(v).count(v.in_flight)).collect(),
        },
        Family {
            name: "serin_picks_total",
            help: "Requests sent to a version, by why: its sticky key, a draw, an override, a flag, baggage it follows, a \
                   migration's stage, or as fallback, which is a second pick unless another version's requests go there at once.",
            kind: Kind::Counter,
            series: versions
                .iter()
                .flat_map(|v| Why::ALL.map(|why| labelled(v, "why", why.label()).count(v.picks[why as usize])))
                .collect(),
        },
        Family {
            name: "serin_upstream_connections",
            help: "Open connections to upstreams.",
            kind: Kind::Gauge,
            series: versions
                .iter()
                .flat_map(|v| {
                    let Connections { active, idle } = v.connections;
                    [labelled(v, "state", "active").count(active), labelled(v, "state", "idle").count(idle)]
                })
                .collect(),
        },
        Family {
            name: "serin_upstream_failures_total",
            help: "Exchanges with upstreams that failed, also where a second try succeeded.",
            kind: Kind::Counter,
            series: versions
                .iter()
                .flat_map(|v| {
                    Failure::ALL.map(|kind| labelled(v, "kind", kind.label()).count(v.upstream_failures[kind as usize]))
                })
                .collect(),
        },
        Family {
            name: "serin_retries_total",
            help: "Requests sent to a version again, and those that would have been, by what came of it.",
            kind: Kind::Counter,
            series: versions
                .iter()
                .filter(|v| v.retries.iter().any(|count| *count > 0))
                .flat_map(|v| {
                    RetryResult::ALL.map(|what| labelled(v, "result", what.label()).count(v.retries[what as usize]))
                })
                .collect(),
        },
        Family {
            name: "serin_fallbacks_total",
            help: "Requests to a version that another one answered or was to answer, by what came of it.",
            kind: Kind::Counter,
            series: versions
                .iter()
                .filter(|v| falls_back(v))
                .flat_map(|v| {
                    FallbackResult::ALL
                        .map(|what| labelled(v, "result", what.label()).count(v.fallbacks[what as usize]))
                })
                .collect(),
        },
        Family {
            name: "serin_fallback_open",
            help: "Workers that send a version's requests to another one at once, but for a trickle.",
            kind: Kind::Gauge,
            series: versions.iter().filter(|v| falls_back(v)).map(|v| names(v).count(v.fallback_open)).collect(),
        },
    ]
}

/// Of versions whose service has, or had, bounds on what they are given at a time.
fn of_overload(versions: &[VersionSnapshot]) -> [Family; 3] {
    let bounded = || versions.iter().filter(|v| v.concurrency_limit > 0);
    let shedding = versions.iter().filter(|v| v.concurrency_limit > 0 || v.shed.iter().any(|count| *count > 0));
    [
        Family {
            name: "serin_overload_total",
            help: "Requests turned away before they reached the version, which had too much to do.",
            kind: Kind::Counter,
            series: shedding
                .flat_map(|v| Shed::ALL.map(|why| labelled(v, "reason", why.label()).count(v.shed[why as usize])))
                .collect(),
        },
        Family {
            name: "serin_concurrency_limit",
            help: "Most requests in flight that the version is given now, over all workers.",
            kind: Kind::Gauge,
            series: bounded().map(|v| names(v).count(v.concurrency_limit)).collect(),
        },
        Family {
            name: "serin_queue_depth",
            help: "Requests in flight that wait for the version to have room.",
            kind: Kind::Gauge,
            series: bounded().map(|v| names(v).count(v.queued)).collect(),
        },
    ]
}

/// Versions that never needed another one say nothing about it.
fn falls_back(v: &VersionSnapshot) -> bool {
    v.fallback_open > 0 || v.fallbacks.iter().any(|count| *count > 0)
}

fn of_workers(snapshot: &RegistrySnapshot, control: &ControlState) -> [Family; 5] {
    let workers =
        || snapshot.workers.iter().enumerate().map(|(i, w)| (Labels(Vec::new()).with("worker", i.to_string()), w));
    let dropped: u64 = snapshot.workers.iter().map(|worker| worker.access_log_dropped).sum();
    [
        Family {
            name: "serin_client_connections",
            help: "Open connections from clients, by worker.",
            kind: Kind::Gauge,
            series: workers().map(|(labels, worker)| labels.count(worker.connections)).collect(),
        },
        Family {
            name: "serin_client_connections_limit",
            help: "Most open connections from clients, over all workers: limits.connections.",
            kind: Kind::Gauge,
            series: control.connections_limit.map(|limit| Labels(Vec::new()).count(limit as u64)).into_iter().collect(),
        },
        Family {
            name: "serin_client_connections_accepted_total",
            help: "Connections accepted from clients, by worker.",
            kind: Kind::Counter,
            series: workers().map(|(labels, worker)| labels.count(worker.accepted)).collect(),
        },
        Family {
            name: "serin_refused_total",
            help: "Requests and connections that never reached a version.",
            kind: Kind::Counter,
            series: Refusal::ALL.map(|kind| Labels::one("kind", kind.label()).count(snapshot.refused(kind))).into(),
        },
        Family {
            name: "serin_access_log_dropped_total",
            help: "Access-log lines lost: the queue was full, or they could not be written.",
            kind: Kind::Counter,
            series: vec![Labels(Vec::new()).count(dropped + control.access_log_lost())],
        },
    ]
}

fn of_tls(registry: &Registry, control: &ControlState) -> [Family; 2] {
    let of_listener = |(listener, counts): (Arc<str>, [u64; Handshake::ALL.len()])| {
        let labels = Labels::one("listener", listener);
        Handshake::ALL.map(|result| labels.clone().with("result", result.label()).count(counts[result as usize]))
    };
    [
        Family {
            name: "serin_tls_handshakes_total",
            help: "TLS handshakes with clients, by how they ended.",
            kind: Kind::Counter,
            series: registry.handshake_counts().into_iter().flat_map(of_listener).collect(),
        },
        Family {
            name: "serin_tls_certificate_expiry_timestamp_seconds",
            help: "Until when a certificate in use is valid, with all that vouch for it in its file.",
            kind: Kind::Gauge,
            series: control
                .certificates
                .iter()
                .map(|certificate| {
                    Labels::one("file", certificate.file.as_str())
                        .with("shown_by", certificate.shown_by)
                        .with("subject", certificate.subject.as_str())
                        .number(unix_seconds(certificate.expires))
                })
                .collect(),
        },
    ]
}

fn of_control(control: ControlState) -> [Family; 4] {
    let of_results = |(file, results): (String, [u64; ReloadResult::ALL.len()])| {
        let labels = Labels::one("file", file);
        ReloadResult::ALL.map(|result| labels.clone().with("result", result.label()).count(results[result as usize]))
    };
    [
        Family {
            name: "serin_weight",
            help: "Intended share of a service's requests, 0 to 1.",
            kind: Kind::Gauge,
            series: control
                .weights
                .into_iter()
                .map(|w| Labels::one("service", w.service).with("version", w.version).number(w.share))
                .collect(),
        },
        Family {
            name: "serin_config_reload_total",
            help: "How reading a configuration file again ended.",
            kind: Kind::Counter,
            series: control.reloads.into_iter().flat_map(of_results).collect(),
        },
        Family {
            name: "serin_config_hash_info",
            help: "Content hash of the configuration file in force.",
            kind: Kind::Gauge,
            series: control
                .hashes
                .into_iter()
                .map(|(file, sha256)| Labels::one("file", file).with("sha256", sha256).count(1))
                .collect(),
        },
        Family {
            name: "serin_config_effective_timestamp_seconds",
            help: "When the configuration in force became so.",
            kind: Kind::Gauge,
            series: control.effective.map(|at| Labels(Vec::new()).number(unix_seconds(at))).into_iter().collect(),
        },
    ]
}

fn of_process(started: SystemTime) -> [Family; 3] {
    let resident = process::resident_bytes();
    [
        Family {
            name: "serin_build_info",
            help: "What is running.",
            kind: Kind::Gauge,
            series: vec![
                Labels::one("version", env!("CARGO_PKG_VERSION"))
                    .with("revision", option_env!("SERIN_REVISION").unwrap_or("unknown"))
                    .count(1),
            ],
        },
        Family {
            name: "process_start_time_seconds",
            help: "When the process started.",
            kind: Kind::Gauge,
            series: vec![Labels(Vec::new()).number(unix_seconds(started))],
        },
        Family {
            name: "process_resident_memory_bytes",
            help: "Memory the process holds.",
            kind: Kind::Gauge,
            series: resident.map(|bytes| Labels(Vec::new()).count(bytes)).into_iter().collect(),
        },
    ]
}

pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The labels of a series on its way to a value.
#[derive(Clone)]
pub(super) struct Labels(pub(super) Vec<(&'static str, Arc<str>)>);

/// The labels every figure of a version has.
fn names(v: &VersionSnapshot) -> Labels {
    Labels(vec![("service", Arc::clone(&v.service)), ("version", Arc::clone(&v.version))])
}

fn labelled(v: &VersionSnapshot, name: &'static str, value: &'static str) -> Labels {
    names(v).with(name, value)
}

impl Labels {
    pub(super) fn one(name: &'static str, value: impl Into<Arc<str>>) -> Self {
        Self(vec![(name, value.into())])
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Arc<str>>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    pub(super) fn number(self, value: f64) -> Series {
        Series { labels: self.0, value: Value::Number(value) }
    }

    pub(super) fn count(self, value: u64) -> Series {
        self.number(value as f64)
    }

    pub(super) fn durations(self, value: Snapshot) -> Series {
        Series { labels: self.0, value: Value::Histogram(value) }
    }
}
