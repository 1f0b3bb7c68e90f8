//! Where changes are handed in to the one writer, and where it is asked.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::force::{Change, Refused};
use super::rollouts::{RolloutRefused, Views};
use super::stages::StageChange;
use crate::ledger::Draft;
use crate::plan::Plan;
use crate::rollout::{Order, Preflight, RolloutView};

/// Where changes are handed in.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) drain_timeout: watch::Receiver<Duration>,
    pub(super) rollouts: watch::Receiver<Arc<Views>>,
    pub(super) by_hand: watch::Receiver<BTreeSet<String>>,
}

/// What the one writer is asked for.
#[derive(Debug)]
pub(super) enum Request {
    Change(Change, oneshot::Sender<Result<Changed, Refused>>),
    Stage(StageChange, oneshot::Sender<Result<Changed, Refused>>),
    Record { draft: Draft, keep: bool, answer: oneshot::Sender<Result<Option<u64>, Refused>> },
    Order { service: String, order: Order, answer: oneshot::Sender<Result<RolloutView, RolloutRefused>> },
    Preflight { service: String, answer: oneshot::Sender<Result<Preflight, RolloutRefused>> },
    Reload,
}

/// What a change made.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The plan in force since.
    pub plan: Arc<Plan>,
    /// The entry of the ledger that says so. `None`: it is yet to be written.
    pub entry: Option<u64>,
}

impl Handle {
    /// Hands in a change and waits until it is recorded and in force.
    ///
    /// # Errors
    /// [`Refused`]: nothing has changed.
    pub async fn change(&self, change: Change) -> Result<Changed, Refused> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Change(change, answer)).await.map_err(|_| Refused::ShuttingDown)?;
        answered.await.map_err(|_| Refused::ShuttingDown)?
    }

    /// Has a migration moved to another stage and waits until that is recorded and in force.
    ///
    /// # Errors
    /// [`Refused`]: nothing has changed.
    pub async fn change_stage(&self, change: StageChange) -> Result<Changed, Refused> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Stage(change, answer)).await.map_err(|_| Refused::ShuttingDown)?;
        answered.await.map_err(|_| Refused::ShuttingDown)?
    }

    /// Has something recorded that is no change of what is in force; gives its entry's number once it is on the disk.
    ///
    /// # Errors
    /// [`Refused`]: it is not recorded.
    pub async fn record(&self, draft: Draft) -> Result<u64, Refused> {
        self.hand_in(draft, false).await?.ok_or_else(|| Refused::Ledger("it waits to be written".to_owned()))
    }

    /// The same for what is so in any case: where it cannot be written now (`None`), it is later.
    ///
    /// # Errors
    /// [`Refused`] where it cannot be recorded at any time.
    pub async fn record_or_keep(&self, draft: Draft) -> Result<Option<u64>, Refused> {
        self.hand_in(draft, true).await
    }

    async fn hand_in(&self, draft: Draft, keep: bool) -> Result<Option<u64>, Refused> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Record { draft, keep, answer };
        self.requests.send(request).await.map_err(|_| Refused::ShuttingDown)?;
        answered.await.map_err(|_| Refused::ShuttingDown)?
    }

    /// Gives an order to a service's rollout and waits until it is recorded and carried out.
    ///
    /// # Errors
    /// [`RolloutRefused`]: nothing has changed.
    pub async fn order(&self, service: &str, order: Order) -> Result<RolloutView, RolloutRefused> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Order { service: service.to_owned(), order, answer };
        self.requests.send(request).await.map_err(|_| Refused::ShuttingDown)?;
        answered.await.map_err(|_| Refused::ShuttingDown)?
    }

    /// Looks at everything that matters before a service's rollout starts.
    ///
    /// # Errors
    /// [`RolloutRefused`]: there is nothing to look at.
    pub async fn preflight(&self, service: &str) -> Result<Preflight, RolloutRefused> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Preflight { service: service.to_owned(), answer };
        self.requests.send(request).await.map_err(|_| Refused::ShuttingDown)?;
        answered.await.map_err(|_| Refused::ShuttingDown)?
    }

    /// Where a service's rollout stands; `None` where it has no plan.
    #[must_use]
    pub fn rollout(&self, service: &str) -> Option<RolloutView> {
        self.rollouts.borrow().get(service).cloned()
    }

    /// Is another number once a rollout is in another state or step, or has another reason or approval.
    #[must_use]
    pub fn rollouts_mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (name, view) in self.rollouts.borrow().iter() {
            let drill = view.drill.as_ref().map(|drill| (drill.running, &drill.sentence));
            (name, &view.state, view.step, &view.reason, view.approvals.len(), drill).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Whether somebody moved the migration of a service by hand, so that its plan waits until it is let go on.
    #[must_use]
    pub fn is_by_hand(&self, service: &str) -> bool {
        self.by_hand.borrow().contains(service)
    }

    /// Has the files read again, as SIGHUP asks for.
    pub async fn reload(&self) {
        // Where nobody listens any more, there is nothing to reload.
        let _ = self.requests.send(Request::Reload).await;
    }

    /// How long requests in flight may take to finish at the end, by the files in force.
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        *self.drain_timeout.borrow()
    }
}
