//! Where answers are handed in and what came of them is asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use super::state::DiffState;
use super::thread;
use crate::diff::{Answer, Evidence};
use crate::plan::{DiffPlan, UpstreamSpec};
use crate::stats::Alpha;
use crate::telemetry::Registry;

/// Most pairings that wait to be compared.
const MAX_WAITING: usize = 1_024;
/// Most bytes of answers that wait to be compared.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What is compared: the answers of a service's other versions with those of one, by certain rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The service.
    pub service: Arc<str>,
    /// The version whose answers are compared with the others'.
    pub to: Arc<str>,
    /// The versions of the service, and where each answers.
    pub versions: Vec<(Arc<str>, Arc<UpstreamSpec>)>,
    /// By what rules.
    pub plan: Arc<DiffPlan>,
    /// The number of the plan that says so: a later one counts from where it begins.
    pub generation: u64,
}

impl Subject {
    /// Whether what is known of the one is true of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.generation == other.generation || *self == Self { generation: self.generation, ..other.clone() }
    }
}

/// Answers to the same request.
#[derive(Debug)]
pub struct Pairing {
    /// What it is about.
    pub subject: Arc<Subject>,
    /// The name of the request's route.
    pub route: Arc<str>,
    /// What the client was answered.
    pub old: Answer,
    /// What the other version answered to the copy, where it did.
    pub new: Option<Answer>,
    /// What the client's version answered when it was asked a second time, where it was.
    pub again: Option<Answer>,
}

impl Pairing {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        [Some(&self.old), self.new.as_ref(), self.again.as_ref()].into_iter().flatten().map(Answer::bytes).sum()
    }
}

/// The thread that compares, seen from everybody else. It is started by the first pairing handed in.
#[derive(Debug, Clone)]
pub struct Comparing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    queue: OnceLock<Option<SyncSender<(Pairing, usize)>>>,
    shared: Arc<Shared>,
}

/// What the thread and everybody else have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Bytes of answers that wait.
    pub(super) waiting: AtomicUsize,
    states: Mutex<BTreeMap<Arc<str>, DiffState>>,
}

/// As much waits to be compared as may: this is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many answers wait to be compared")]
pub struct Full;

impl Comparing {
    /// Nothing compared; figures go to `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self(Arc::new(Inner { registry, queue: OnceLock::new(), shared: Arc::default() }))
    }

    /// Has answers compared. Never waits.
    ///
    /// # Errors
    /// [`Full`]: they are not.
    pub fn hand_in(&self, pairing: Pairing) -> Result<(), Full> {
        let bytes = pairing.bytes();
        let before = self.0.shared.waiting.fetch_add(bytes, Relaxed);
        let sent = if before + bytes <= MAX_BYTES || before == 0 {
            self.queue().ok_or(Full).and_then(|queue| queue.try_send((pairing, bytes)).map_err(|_| Full))
        } else {
            Err(Full)
        };
        if sent.is_err() {
            self.0.shared.waiting.fetch_sub(bytes, Relaxed);
        }
        sent
    }

    /// Starts the thread where it does not run yet. `None`: the system gives none, which is said aloud once.
    fn queue(&self) -> Option<&SyncSender<(Pairing, usize)>> {
        let start = || {
            let (sender, receiver) = sync_channel(MAX_WAITING);
            let (shared, registry) = (Arc::clone(&self.0.shared), Arc::clone(&self.0.registry));
            let started = std::thread::Builder::new()
                .name("serin-diff".to_owned())
                .spawn(move || thread::run(&receiver, &shared, &registry));
            if let Err(error) = &started {
                tracing::error!(%error, "no thread to compare answers: none are compared");
            }
            started.is_ok().then_some(sender)
        };
        self.0.queue.get_or_init(start).as_ref()
    }

    /// What is known of a service; `None` before anything was compared.
    #[must_use]
    pub fn state(&self, service: &str) -> Option<DiffState> {
        self.0.shared.states().get(service).cloned()
    }

    /// Whether the answers of `to` differ from those of the others in more than `most` of the requests, as
    /// [`crate::diff::Tally::evidence`] says it. `None`: nothing was compared with that version.
    #[must_use]
    pub fn evidence(&self, service: &str, to: &str, most: f64, alpha: Alpha) -> Option<Evidence> {
        let states = self.0.shared.states();
        let state = states.get(service).filter(|state| *state.subject.to == *to)?;
        Some(state.tally.evidence(most, alpha))
    }

    /// Forgets what is known of a service, so that comparing begins anew; whether there was anything.
    #[must_use]
    pub fn reset(&self, service: &str) -> bool {
        let mut states = self.0.shared.states();
        let Some(state) = states.get_mut(service) else { return false };
        *state = DiffState::new(Arc::clone(&state.subject), SystemTime::now());
        self.0.registry.diffs().forget_places(service);
        true
    }
}

impl Shared {
    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    pub(super) fn states(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, DiffState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
