//! Figures of faults put in for drills.
//!
//! Unlike all other cells these are shared by the workers, because the bound on requests under a fault is one of the whole
//! process. Only requests that a fault strikes come here, so nobody else pays for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::labels::labelled;

labelled! {
    /// What a fault does to a request.
    FaultKind {
        /// It waits.
        Delay => "delay",
        /// It is answered with an error.
        Abort => "abort",
        /// Its connection or stream is reset.
        Reset => "reset",
        /// Its response's body comes slowly.
        SlowBody => "slowBody",
    }
}

/// The figures of one fault.
#[derive(Debug, Default)]
pub struct FaultCell {
    active: AtomicU32,
    injected: [AtomicU64; FaultKind::ALL.len()],
    capped: AtomicU64,
}

/// One request under a fault, counted for as long as this lives.
#[derive(Debug)]
pub struct ActiveFault(Arc<FaultCell>);

/// The figures of one fault as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultSnapshot {
    /// The service's name.
    pub service: Arc<str>,
    /// The version's name.
    pub version: Arc<str>,
    /// The fault's name.
    pub fault: Arc<str>,
    /// Requests under it now.
    pub active: u64,
    /// Effects that requests have met, by [`FaultKind::ALL`].
    pub injected: [u64; FaultKind::ALL.len()],
    /// Requests left alone because as many as allowed were under it.
    pub capped: u64,
}

impl FaultCell {
    /// A request comes under this fault, unless `most` are already: then that is counted, and it is left alone.
    #[must_use]
    pub fn begin(self: &Arc<Self>, most: u32) -> Option<ActiveFault> {
        let begun = self.active.fetch_update(Relaxed, Relaxed, |active| (active < most).then_some(active + 1));
        if begun.is_err() {
            self.capped.fetch_add(1, Relaxed);
            return None;
        }
        Some(ActiveFault(Arc::clone(self)))
    }

    pub(super) fn snapshot(&self, service: &Arc<str>, version: &Arc<str>, fault: &Arc<str>) -> FaultSnapshot {
        FaultSnapshot {
            service: Arc::clone(service),
            version: Arc::clone(version),
            fault: Arc::clone(fault),
            active: self.active.load(Relaxed).into(),
            injected: FaultKind::ALL.map(|kind| self.injected[kind as usize].load(Relaxed)),
            capped: self.capped.load(Relaxed),
        }
    }
}

impl ActiveFault {
    /// The request meets this effect.
    pub fn injected(&self, kind: FaultKind) {
        self.0.injected[kind as usize].fetch_add(1, Relaxed);
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_requests_than_allowed_are_under_a_fault_at_one_time() {
        let cell = Arc::<FaultCell>::default();
        let held: Vec<_> = (0..5).filter_map(|_| cell.begin(3)).collect();
        assert_eq!(held.len(), 3);
        held[0].injected(FaultKind::Delay);
        let name: Arc<str> = "x".into();
        let read = || cell.snapshot(&name, &name, &name);
        assert_eq!((read().active, read().capped, read().injected), (3, 2, [1, 0, 0, 0]));
        drop(held);
        assert_eq!(read().active, 0);
        assert!(cell.begin(3).is_some());
    }
}
