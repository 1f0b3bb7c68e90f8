//! Runs at work, on a thread of their own.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep_until;

use super::consistency::Consistency;
use super::examine::{Outcome, Wanted};
use super::http::Found;
use super::list::{Sample, list};
use super::pace::Pace;
use super::reconciler::Inner;
use super::run::{End, Keys, Next, Run};
use super::verify;
use super::view::ReconcileView;
use crate::migration::Client;
use crate::plan::Share;

/// Most keys of one run that are looked at together.
const AT_ONCE: usize = 16;
/// How often a run is written down: what a crash has looked at anew.
const KEEP: Duration = Duration::from_secs(1);
/// How often people see how far it is.
const SHOW: Duration = Duration::from_millis(100);

/// A run to be done.
pub(super) struct Order {
    pub(super) service: Arc<str>,
    pub(super) run: Run,
    /// `None`: they are yet to be listed.
    pub(super) keys: Option<Vec<Arc<str>>>,
    /// By whom, once somebody cancels it.
    pub(super) cancelled: watch::Receiver<Option<String>>,
    pub(super) done: oneshot::Sender<ReconcileView>,
}

/// Starts the thread: runs as they are ordered, and verification.
pub(super) fn start(inner: Arc<Inner>, mut orders: mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        let tasks = LocalSet::new();
        let client = Client::default();
        tasks.spawn_local(verify::run(Arc::clone(&inner), client.clone()));
        tasks.block_on(&runtime, async move {
            while let Some(order) = orders.recv().await {
                tokio::task::spawn_local(At::work(Arc::clone(&inner), client.clone(), order));
            }
        });
    };
    std::thread::Builder::new().name("reconcile".to_owned()).spawn(work).map(drop)
}

/// A run at work.
struct At {
    inner: Arc<Inner>,
    client: Client,
    service: Arc<str>,
    run: Run,
    keys: Arc<[Arc<str>]>,
    began: Instant,
    /// What is so after its repairs, where it makes any.
    after: Option<Consistency>,
    kept: Instant,
    shown: Instant,
}

impl At {
    async fn work(inner: Arc<Inner>, client: Client, order: Order) {
        let Order { service, run, keys, mut cancelled, done } = order;
        let (began, progress) = (Instant::now(), inner.desks().get(&service).map(|desk| desk.progress));
        let after = run.asked.repair.then(Consistency::default);
        let (repair, keys_of) = (run.asked.repair, run.asked.keys);
        let counted = run.counts;
        let mut at =
            Self { inner, client, service, run, keys: Arc::default(), began, after, kept: began, shown: began };
        at.keys = match keys {
            Some(keys) => keys.into(),
            None => at.list(&mut cancelled).await,
        };
        let wanted = Wanted { repair, in_turn: keys_of == Keys::Journal };
        at.look(wanted, &mut cancelled).await;
        let Self { inner, service, run, after, .. } = at;
        if let Err(error) = inner.store.put_run(&service, &run) {
            tracing::error!(%service, %error, "how a reconciliation ended cannot be written down");
        }
        if run.shows_all_the_same()
            && let Some(journal) = (inner.outside.journal)()
        {
            journal.all_reconciled(&service);
        }
        if let (Some(desk), Some(progress)) = (inner.desks().get_mut(&service), progress) {
            desk.counts.add(&run.counts.since(&counted));
            desk.finished(&run, progress, after);
        }
        // Whoever asked may have left.
        let _ = done.send(ReconcileView::new(&service, &run, false));
    }

    /// Lists the keys; where that fails, the run is over.
    async fn list(&mut self, cancelled: &mut watch::Receiver<Option<String>>) -> Arc<[Arc<str>]> {
        let Keys::Sample(share) = self.run.asked.keys else { return Arc::default() };
        let sample = Sample { share: Share::from_hundredths(share), seed: self.run.began_ms };
        let plan = (self.inner.outside.plan)();
        let Some(found) = Found::of(&plan, &self.service) else {
            self.run.stop(End::Stopped("the service has no `migration.reconcile` any more".to_owned()));
            return Arc::default();
        };
        let sides = self.inner.sides(&self.client, &self.service, false);
        let (began, mut pace) = (self.began, Pace::new(self.run.asked.per_second));
        let paced = || {
            let at = began + pace.take(began.elapsed());
            sleep_until(at.into())
        };
        let listed = tokio::select! {
            listed = list(&sides, &found, sample, paced) => listed,
            by = by(cancelled) => {
                self.run.stop(End::Cancelled(by));
                return Arc::default();
            }
        };
        let written = listed.and_then(|keys| {
            let written = self.inner.store.put_keys(&self.service, &keys);
            written.map(|()| keys).map_err(|error| format!("the keys cannot be written down: {error}"))
        });
        match written {
            Ok(keys) => {
                self.run.total = Some(keys.len() as u64);
                keys.into()
            }
            Err(why) => {
                self.run.stop(End::Stopped(why));
                Arc::default()
            }
        }
    }

    async fn look(&mut self, wanted: Wanted, cancelled: &mut watch::Receiver<Option<String>>) {
        let mut pace = Pace::new(self.run.asked.per_second);
        let mut looks: JoinSet<(u64, Outcome)> = JoinSet::new();
        loop {
            self.keep_and_show();
            let next = if looks.len() < AT_ONCE { self.run.next(self.began.elapsed()) } else { Next::Wait(None) };
            match next {
                Next::Key(number) => {
                    let at = self.began + pace.take(self.began.elapsed());
                    // What others found meanwhile is taken note of while this one waits for its moment.
                    loop {
                        tokio::select! {
                            Some(done) = looks.join_next() => self.take(done),
                            () = sleep_until(at.into()) => break,
                            by = by(cancelled) => {
                                self.run.stop(End::Cancelled(by));
                                break;
                            }
                        }
                    }
                    if self.run.end.is_none() {
                        self.begin(number, wanted, &mut looks);
                    }
                }
                Next::Wait(until) => {
                    let due = async {
                        match until {
                            Some(at) => sleep_until((self.began + at).into()).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        Some(done) = looks.join_next() => self.take(done),
                        () = due => {}
                        by = by(cancelled) => self.run.stop(End::Cancelled(by)),
                    }
                }
                // What is being looked at is finished: a repair is not left half done.
                Next::Over => match looks.join_next().await {
                    Some(done) => self.take(done),
                    None => return,
                },
            }
        }
    }

    fn begin(&self, number: u64, wanted: Wanted, looks: &mut JoinSet<(u64, Outcome)>) {
        let (inner, client) = (Arc::clone(&self.inner), self.client.clone());
        let (service, keys) = (Arc::clone(&self.service), Arc::clone(&self.keys));
        looks.spawn_local(async move {
            // Invariant: a run has as many keys as its total says.
            let key = &keys[usize::try_from(number).unwrap_or(usize::MAX)];
            (number, inner.examine(&client, &service, key, wanted).await)
        });
    }

    fn take(&mut self, done: Result<(u64, Outcome), tokio::task::JoinError>) {
        // One that panicked stays in hand, and is looked at again by whoever resumes the run.
        let Ok((number, outcome)) = done else { return };
        let Some(key) = usize::try_from(number).ok().and_then(|number| self.keys.get(number)) else { return };
        if let Some(desk) = self.inner.desks().get_mut(&self.service) {
            desk.looked(self.run.asked.keys, key, &outcome, self.after.as_mut());
        }
        self.run.put(number, key, outcome, self.began.elapsed());
    }

    fn keep_and_show(&mut self) {
        if self.shown.elapsed() >= SHOW {
            self.shown = Instant::now();
            if let Some(desk) = self.inner.desks().get_mut(&self.service) {
                desk.run = Some(Ok(self.run.clone()));
            }
        }
        if self.kept.elapsed() >= KEEP {
            self.kept = Instant::now();
            if let Err(error) = self.inner.store.put_run(&self.service, &self.run) {
                self.run.stop(End::Stopped(format!("how far it is cannot be written down: {error}")));
            }
        }
    }
}

/// Waits until somebody cancels; who. Never comes where nobody can any more.
async fn by(cancelled: &mut watch::Receiver<Option<String>>) -> String {
    let by = cancelled.wait_for(Option::is_some).await.ok().and_then(|by| by.clone());
    match by {
        Some(by) => by,
        None => std::future::pending().await,
    }
}
