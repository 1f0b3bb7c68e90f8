//! Figures the control plane sets: the weights in force, the files behind them, how reloads went.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::CertificateInUse;
use super::labels::labelled;
use super::ledger::LedgerState;
use super::trace::SpanFigures;

labelled! {
    /// How the reload of a file ended.
    ReloadResult {
        /// What it says is in force.
        Applied => "applied",
        /// It says what was in force already.
        Unchanged => "unchanged",
        /// It has errors; what ran keeps running.
        Refused => "refused",
    }
}

/// The intended share of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightShare {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// Its share of the service's requests, 0 to 1.
    pub share: f64,
}

/// When a fault of a drill that is in force ends.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultEnd {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// The fault's name.
    pub fault: Arc<str>,
    /// When it stops by itself.
    pub until: SystemTime,
}

/// Where a service's rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutFigure {
    /// The service's name.
    pub service: Arc<str>,
    /// What is going on, in the word of the admin API.
    pub state: &'static str,
    /// Every word that may stand there.
    pub states: &'static [&'static str],
    /// The step it is at, from 1. `None`: at none.
    pub step: Option<usize>,
}

/// What is said of a version, or of a flag's variant, beside the one it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictFigure {
    /// The service's name.
    pub service: Arc<str>,
    /// The flag's key where it is of a variant. `None`: it is of a version.
    pub flag: Option<Arc<str>>,
    /// The version's or the variant's name.
    pub of: Arc<str>,
    /// What is said, in the word of the admin API.
    pub verdict: &'static str,
    /// Every word that may stand there.
    pub words: &'static [&'static str],
}

/// What was shown of the two sides of a service's migration.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsistencyFigure {
    /// The service's name.
    pub service: Arc<str>,
    /// The share of looks that agreed, 0 to 1; `None` before the first.
    pub estimate: Option<f64>,
    /// The share of keys that agree is at least this.
    pub low: f64,
    /// And at most this.
    pub high: f64,
    /// Different keys looked at.
    pub keys: u64,
    /// Looks of the verification since the start, by how they ended.
    pub looks: Vec<(&'static str, u64)>,
    /// Keys of reconciliations since the start, by what was found.
    pub counts: Vec<(&'static str, u64)>,
}

/// How far a service's migration is.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationFigure {
    /// The service's name.
    pub service: Arc<str>,
    /// Its stage, in the word of the configuration.
    pub stage: &'static str,
    /// Every word that may stand there.
    pub stages: &'static [&'static str],
    /// The share of keys that are in the stage, 0 to 1.
    pub share: f64,
}

/// Figures of the control plane. Behind a lock: they change with files, not with requests.
#[derive(Debug, Default)]
pub struct ControlFigures(Mutex<ControlState>);

/// What [`ControlFigures`] holds.
#[derive(Debug, Clone, Default)]
pub(super) struct ControlState {
    pub(super) weights: Vec<WeightShare>,
    pub(super) reloads: BTreeMap<String, [u64; ReloadResult::ALL.len()]>,
    pub(super) hashes: BTreeMap<String, String>,
    pub(super) effective: Option<SystemTime>,
    pub(super) certificates: Vec<CertificateInUse>,
    pub(super) fault_ends: Vec<FaultEnd>,
    pub(super) rollouts: Vec<RolloutFigure>,
    pub(super) consistency: Vec<ConsistencyFigure>,
    pub(super) migrations: Vec<MigrationFigure>,
    /// By service and decision.
    pub(super) rollout_decisions: BTreeMap<(String, &'static str), u64>,
    /// By service.
    pub(super) drill_seconds: BTreeMap<String, f64>,
    pub(super) verdicts: Vec<VerdictFigure>,
    spans: Option<Arc<SpanFigures>>,
    pub(super) connections_limit: Option<usize>,
    pub(super) ledger: LedgerState,
    access_log_lost: Option<Arc<AtomicU64>>,
}

impl ControlFigures {
    /// The weights now in force; versions not among them no longer have one.
    pub fn set_weights(&self, weights: impl IntoIterator<Item = WeightShare>) {
        let mut weights: Vec<_> = weights.into_iter().collect();
        weights.sort_by(|a, b| (&a.service, &a.version).cmp(&(&b.service, &b.version)));
        self.state().weights = weights;
    }

    /// The faults now in force; those not among them no longer are.
    pub fn set_fault_ends(&self, ends: Vec<FaultEnd>) {
        self.state().fault_ends = ends;
    }

    /// Where the rollouts stand; services not among them have none.
    pub fn set_rollouts(&self, rollouts: Vec<RolloutFigure>) {
        self.state().rollouts = rollouts;
    }

    /// What is said of versions and variants; of those not among them nothing is.
    pub fn set_verdicts(&self, verdicts: Vec<VerdictFigure>) {
        self.state().verdicts = verdicts;
    }

    /// What was shown of migrations; services not among them have none that is looked at.
    pub fn set_consistency(&self, figures: Vec<ConsistencyFigure>) {
        self.state().consistency = figures;
    }

    /// How far the migrations are; services not among them have none.
    pub fn set_migrations(&self, migrations: Vec<MigrationFigure>) {
        self.state().migrations = migrations;
    }

    /// A rollout made a decision.
    pub fn rollout_decided(&self, service: &str, decision: &'static str) {
        *self.state().rollout_decisions.entry((service.to_owned(), decision)).or_default() += 1;
    }

    /// A drill was noticed after so many seconds.
    pub fn drill_rolled_back(&self, service: &str, seconds: f64) {
        self.state().drill_seconds.insert(service.to_owned(), seconds);
    }

    /// A file (by its role or path, as operators know it) was read again.
    pub fn reloaded(&self, file: &str, result: ReloadResult) {
        self.state().reloads.entry(file.to_owned()).or_default()[result as usize] += 1;
    }

    /// The files now in force with their content's hash in hexadecimal; files not among them are no longer in use.
    pub fn set_config_hashes(&self, hashes: impl IntoIterator<Item = (String, String)>) {
        self.state().hashes = hashes.into_iter().collect();
    }

    /// When the configuration now in force became so.
    pub fn set_config_effective(&self, at: SystemTime) {
        self.state().effective = Some(at);
    }

    /// The certificates now in use; what was in use before and is not among them is forgotten.
    pub fn set_certificates(&self, certificates: impl IntoIterator<Item = CertificateInUse>) {
        let mut certificates: Vec<_> = certificates.into_iter().collect();
        certificates.sort();
        certificates.dedup_by(|a, b| (&a.file, a.shown_by, &a.subject) == (&b.file, b.shown_by, &b.subject));
        self.state().certificates = certificates;
    }

    /// Most client connections of the whole process, by the configuration now in force.
    pub fn set_connections_limit(&self, limit: usize) {
        self.state().connections_limit = Some(limit);
    }

    /// Counts what the access log could not write ([`AccessLog::lost`](super::access_log::AccessLog::lost)) among the
    /// dropped lines.
    pub fn watch_access_log(&self, lost: Arc<AtomicU64>) {
        self.state().access_log_lost = Some(lost);
    }

    /// Exports what becomes of spans.
    pub fn watch_spans(&self, spans: Arc<SpanFigures>) {
        self.state().spans = Some(spans);
    }

    pub(super) fn read(&self) -> ControlState {
        self.state().clone()
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    pub(super) fn state(&self) -> MutexGuard<'_, ControlState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ControlState {
    /// Spans the collector has, and those lost on their way to it; `None` where there is no tracing.
    pub(super) fn spans(&self) -> Option<(u64, u64)> {
        self.spans.as_ref().map(|spans| (spans.exported.load(Relaxed), spans.lost.load(Relaxed)))
    }

    /// Access-log lines lost on their way to the file.
    pub(super) fn access_log_lost(&self) -> u64 {
        self.access_log_lost.as_ref().map_or(0, |lost| lost.load(Relaxed))
    }
}
