//! Evaluations of flags, counted.
//!
//! Each worker, and the thread of the flag API, has counters of its own. They are resolved once for a set of flags
//! ([`Registry::flag_cells`](super::Registry::flag_cells)); to count is then one load and one store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::labels::labelled;
use crate::flags::{Evaluation, EvaluationError, Flag, FlagId, FlagSet, Reason};

/// Most flags that have series of their own, over the life of the process; all others are counted as [`OTHER`].
const MAX_FLAGS: usize = 2_000;
/// Most variants of one flag that have series of their own, over the life of the process.
const MAX_VARIANTS: usize = 32;
/// What is counted together because there is too much of it.
const OTHER: &str = "_other";

labelled! {
    /// Why an evaluation came out as it did.
    Because {
        /// The flag has no rule.
        Static => "STATIC",
        /// The rule named the variant.
        TargetingMatch => "TARGETING_MATCH",
        /// The rule named none, or the flag has no default.
        Default => "DEFAULT",
        /// The flag is disabled.
        Disabled => "DISABLED",
        /// The flag could not be evaluated.
        Error => "ERROR",
    }
}

impl From<Reason> for Because {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Static => Self::Static,
            Reason::TargetingMatch => Self::TargetingMatch,
            Reason::Default => Self::Default,
            Reason::Disabled => Self::Disabled,
        }
    }
}

/// One thread's counters of all flags of one set. **Written by that thread only.**
#[derive(Debug, Default)]
pub struct FlagCells(Vec<FlagCell>);

/// One thread's counters of one flag: by variant in the flag's order, then that of no variant.
type FlagCell = Box<[Arc<VariantCounts>]>;

/// The counters of one variant of one flag, by thread.
type ByThread = Box<[Arc<VariantCounts>]>;

/// One thread's counters of one variant of one flag, by [`Because::ALL`].
#[derive(Debug, Default)]
#[repr(align(64))] // no cache line is shared with another thread's
struct VariantCounts([AtomicU64; Because::ALL.len()]);

impl FlagCells {
    /// The flag `id`, of the set that these are for, was evaluated.
    #[inline]
    pub fn evaluated(&self, id: FlagId, result: &Result<Evaluation<'_>, EvaluationError>) {
        let Some([variants @ .., none]) = self.0.get(id.index()).map(|cell| &**cell) else { return };
        let (index, because) = match result {
            Ok(evaluation) => (evaluation.index, evaluation.reason.into()),
            Err(_) => (None, Because::Error),
        };
        index.and_then(|index| variants.get(index)).unwrap_or(none).increase(because);
    }
}

impl VariantCounts {
    #[inline]
    fn increase(&self, because: Because) {
        let count = &self.0[because as usize];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }
}

/// How often a flag came out as one variant, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagCount {
    /// The flag's key.
    pub flag: Arc<str>,
    /// The variant's name; empty where it had none.
    pub variant: Arc<str>,
    /// Why.
    pub because: Because,
    /// How often, over all threads; never 0.
    pub count: u64,
}

/// All counters of all threads. Those of flags and variants that are no more stay, so that none ever goes backwards.
#[derive(Debug)]
pub(super) struct FlagFigures {
    threads: usize,
    state: Mutex<FlagState>,
}

#[derive(Debug, Default)]
struct FlagState {
    /// Flag, then variant (empty: none), then thread.
    counts: BTreeMap<Arc<str>, BTreeMap<Arc<str>, ByThread>>,
    /// What was resolved last, by thread.
    resolved: Option<(Arc<FlagSet>, Vec<Arc<FlagCells>>)>,
}

impl FlagFigures {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, state: Mutex::default() }
    }

    /// The counters of one thread for a set of flags. Work only for the first who asks.
    pub(super) fn cells(&self, thread: usize, set: &Arc<FlagSet>) -> Arc<FlagCells> {
        let mut state = self.state();
        if let Some((known, cells)) = &state.resolved
            && Arc::ptr_eq(known, set)
        {
            return Arc::clone(&cells[thread]);
        }
        let mut cells: Vec<_> = (0..self.threads).map(|_| FlagCells(Vec::with_capacity(set.len()))).collect();
        for (_, flag) in set.iter() {
            for (cells, of_flag) in cells.iter_mut().zip(state.resolve(flag, self.threads)) {
                cells.0.push(of_flag);
            }
        }
        let cells: Vec<_> = cells.into_iter().map(Arc::new).collect();
        let own = Arc::clone(&cells[thread]);
        state.resolved = Some((Arc::clone(set), cells));
        own
    }

    /// What was counted so far, by flag, then variant.
    pub(super) fn counts(&self) -> Vec<FlagCount> {
        let state = self.state();
        let mut counts = Vec::new();
        for (flag, variants) in &state.counts {
            for (variant, threads) in variants {
                for because in Because::ALL {
                    let count = threads.iter().map(|cell| cell.0[because as usize].load(Relaxed)).sum();
                    if count > 0 {
                        counts.push(FlagCount { flag: Arc::clone(flag), variant: Arc::clone(variant), because, count });
                    }
                }
            }
        }
        counts
    }

    /// The maps are whole between any two of their operations, so a panic elsewhere leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, FlagState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FlagState {
    /// The counters of a flag, by thread.
    fn resolve(&mut self, flag: &Flag, threads: usize) -> Vec<FlagCell> {
        let other: Arc<str> = OTHER.into();
        let is_known = self.counts.contains_key(flag.key()) || self.counts.len() < MAX_FLAGS;
        let key = if is_known { flag.key() } else { &other };
        let counts = self.counts.entry(Arc::clone(key)).or_default();
        let none: Arc<str> = "".into();
        let names = flag.variants().iter().map(|variant| &variant.name).chain([&none]);
        let by_variant: Vec<_> = names
            .map(|name| {
                // Of all others together there are no variants.
                let known = is_known && (name.is_empty() || counts.contains_key(name) || counts.len() < MAX_VARIANTS);
                let name = if known { name } else { &other };
                let new = || (0..threads).map(|_| Arc::default()).collect();
                counts.entry(Arc::clone(name)).or_insert_with(new).clone()
            })
            .collect();
        (0..threads)
            .map(|thread| by_variant.iter().map(|of_threads| Arc::clone(&of_threads[thread])).collect())
            .collect()
    }
}

#[cfg(test)]
#[path = "flags_tests.rs"]
mod tests;
