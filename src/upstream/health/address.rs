//! One address as all workers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::roster::Evidence;
use super::version::VersionHealth;
use crate::telemetry::Failure;
use crate::upstream::address::Target;

/// What is known of one address.
#[derive(Debug)]
pub(super) struct AddressHealth {
    pub(super) target: Target,
    /// The address as configured, as `Host` names it.
    pub(super) host: Arc<str>,
    /// The address as people see it.
    pub(super) label: Arc<str>,
    /// Not in use. Written under the lock of its version only.
    pub(super) out: AtomicBool,
    /// Failures since the last success.
    pub(super) in_a_row: AtomicU32,
    /// By worker, each of which writes its own alone.
    tallies: Box<[Tally]>,
}

/// One worker's count, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Tally {
    requests: AtomicU64,
    failures: AtomicU64,
}

/// An address of a version, through which one worker reports on it.
#[derive(Debug)]
pub(in crate::upstream) struct Witness {
    version: Arc<VersionHealth>,
    address: Arc<AddressHealth>,
    worker: usize,
    /// It reports nothing.
    silent: bool,
}

impl AddressHealth {
    pub(super) fn new(target: Target, host: Arc<str>, workers: usize) -> Self {
        Self {
            label: target.to_string().into(),
            target,
            host,
            out: AtomicBool::new(false),
            in_a_row: AtomicU32::new(0),
            tallies: (0..workers).map(|_| Tally::default()).collect(),
        }
    }

    /// The counts of all workers.
    pub(super) fn evidence(&self) -> Evidence {
        self.tallies.iter().fold(Evidence::default(), |sum, tally| Evidence {
            requests: sum.requests + tally.requests.load(Relaxed),
            failures: sum.failures + tally.failures.load(Relaxed),
        })
    }

    fn count(&self, worker: usize, failed: bool) {
        let Some(tally) = self.tallies.get(worker) else { return };
        // Nobody else writes here. The failure first, so that no reader ever sees fewer requests than failures for long.
        tally.requests.store(tally.requests.load(Relaxed) + 1, Relaxed);
        tally.failures.store(tally.failures.load(Relaxed) + u64::from(failed), Relaxed);
    }
}

impl Witness {
    pub(super) fn new(version: Arc<VersionHealth>, address: Arc<AddressHealth>, worker: usize) -> Self {
        Self { version, address, worker, silent: false }
    }

    /// The same, which reports nothing from now on.
    pub(in crate::upstream) fn silenced(self) -> Self {
        Self { silent: true, ..self }
    }

    /// Where the address is.
    pub(in crate::upstream) fn target(&self) -> &Target {
        &self.address.target
    }

    /// Whether both report on the same address.
    pub(in crate::upstream) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.address, &other.address)
    }

    /// Whether requests may go there.
    pub(in crate::upstream) fn is_used(&self) -> bool {
        !self.address.out.load(Relaxed)
    }

    /// A request was answered. `well`: not with a 5xx.
    pub(in crate::upstream) fn answered(&self, well: bool) {
        if self.silent {
            return;
        }
        // Nearly always 0 already, so that nothing is written which others read.
        if self.address.in_a_row.load(Relaxed) != 0 {
            self.address.in_a_row.store(0, Relaxed);
        }
        if self.version.compares_rates() {
            self.address.count(self.worker, !well);
        }
    }

    /// A request ended in `failure`; some are not the address's doing.
    pub(in crate::upstream) fn failed(&self, failure: Failure) {
        match failure {
            Failure::Connect
            | Failure::ConnectTimeout
            | Failure::Timeout
            | Failure::Reset
            | Failure::Protocol
            | Failure::Truncated => self.let_down(),
            _ => {}
        }
    }

    /// A request was not answered, or with what says that the address cannot do its work.
    pub(in crate::upstream) fn let_down(&self) {
        if self.silent {
            return;
        }
        let in_a_row = self.address.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
        if self.version.compares_rates() {
            self.address.count(self.worker, true);
        }
        self.version.failed_in_a_row(&self.address, in_a_row);
    }
}
