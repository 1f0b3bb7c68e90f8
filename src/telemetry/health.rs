//! Figures of health: which addresses are in use, what share each version really has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::WeightShare;
use super::labels::labelled;

labelled! {
    /// Why an address is taken out of use.
    Ejection {
        /// Its checks fail.
        HealthCheck => "healthCheck",
        /// Too many requests to it failed, one after the other.
        ConsecutiveFailures => "consecutiveFailures",
        /// It fails clearly more often than the others.
        SuccessRate => "successRate",
    }
}

labelled! {
    /// How a check was answered.
    CheckResult {
        /// As it should be.
        Passed => "passed",
        /// Otherwise, too late, or not at all.
        Failed => "failed",
    }
}

/// Whether one address of one version is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressUp {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// `address:port`, or `unix:/path`.
    pub address: Arc<str>,
    /// Whether requests may go there.
    pub up: bool,
}

/// Figures the control plane keeps of health. Behind a lock: they change with the state of addresses, not with requests.
#[derive(Debug, Default)]
pub struct HealthFigures(Mutex<HealthState>);

/// Service and version.
type VersionName = (Arc<str>, Arc<str>);

/// What [`HealthFigures`] holds.
#[derive(Debug, Clone, Default)]
pub(super) struct HealthState {
    pub(super) effective: Vec<WeightShare>,
    pub(super) addresses: Vec<AddressUp>,
    pub(super) ejections: BTreeMap<VersionName, [u64; Ejection::ALL.len()]>,
    pub(super) checks: BTreeMap<VersionName, [u64; CheckResult::ALL.len()]>,
}

impl HealthFigures {
    /// The shares that versions really have, and all addresses; what is not among them is no more.
    pub fn set(&self, effective: Vec<WeightShare>, addresses: Vec<AddressUp>) {
        let mut state = self.state();
        (state.effective, state.addresses) = (effective, addresses);
    }

    /// An address was taken out of use.
    pub fn ejected(&self, service: &Arc<str>, version: &Arc<str>, why: Ejection) {
        let key = (Arc::clone(service), Arc::clone(version));
        self.state().ejections.entry(key).or_default()[why as usize] += 1;
    }

    /// An address was asked whether it is well.
    pub fn checked(&self, service: &Arc<str>, version: &Arc<str>, result: CheckResult) {
        let key = (Arc::clone(service), Arc::clone(version));
        self.state().checks.entry(key).or_default()[result as usize] += 1;
    }

    pub(super) fn read(&self) -> HealthState {
        self.state().clone()
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, HealthState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
