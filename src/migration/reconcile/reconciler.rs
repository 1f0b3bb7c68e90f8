//! Reconciliation as others hold it: runs are begun, watched and cancelled here, and evidence is asked for.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};

use super::desk::Desk;
use super::examine::{Outcome, Wanted, examine};
use super::http::{Found, HttpSides};
use super::likeness::Likeness;
use super::run::{Asked, Keys, MAX_RUN_KEYS, Run};
use super::store::Store;
use super::view::{ConsistencyView, ReconcileView};
use super::{Shown, runner, verify};
use crate::diff::Rules;
use crate::migration::Client;
use crate::migration::gates::{Backlog, Facts};
use crate::migration::journal::{Journal, Status};
use crate::plan::{MAX_ENTITY_KEY, Plan, Progress, Repair, Service};
use crate::telemetry::{ConsistencyFigure, Registry};

/// Keys in doubt that are shown.
const SHOWN: usize = 10;
/// Keys of the journal that are asked for at a time.
const PAGE: usize = 1_000;

/// What reconciliation works with.
pub struct Outside {
    /// The plan in force.
    pub plan: Box<dyn Fn() -> Arc<Plan> + Send + Sync>,
    /// The journal of writes, once there is one.
    pub journal: Box<dyn Fn() -> Option<Journal> + Send + Sync>,
    /// The folder of the ledger, in which runs are kept. `None`: they end with the process.
    pub folder: Option<PathBuf>,
    /// Where figures are told.
    pub registry: Arc<Registry>,
}

/// Why a run is not begun, resumed or cancelled; a sentence for who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The service has nothing that says how.
    #[error("service `{0}` has no `migration.reconcile` in serin.yaml")]
    NotConfigured(String),
    /// One run at a time.
    #[error("a reconciliation of `{0}` is on already")]
    Running(String),
    /// None is on.
    #[error("no reconciliation of `{0}` is on")]
    NotRunning(String),
    /// There is nothing to go on with.
    #[error("{0}")]
    NotResumable(String),
    /// It cannot be done as it is asked for.
    #[error("{0}")]
    Asked(String),
    /// It could not be written down.
    #[error("{0}")]
    Store(String),
}

/// Looks whether both sides of migrations say the same; shared by whoever asks.
pub struct Reconciler(Arc<Inner>);

pub(super) struct Inner {
    pub(super) outside: Outside,
    pub(super) store: Store,
    desks: Mutex<BTreeMap<Arc<str>, Desk>>,
    /// By service: how far its migration is, and since when in this process.
    held: Mutex<BTreeMap<Arc<str>, (Progress, Instant)>>,
    /// To the thread, once there is one.
    orders: Mutex<Option<mpsc::UnboundedSender<runner::Order>>>,
}

impl Reconciler {
    /// One that knows no service yet.
    #[must_use]
    pub fn new(outside: Outside) -> Self {
        let store = Store::new(outside.folder.clone());
        let (desks, held, orders) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { outside, store, desks, held, orders }))
    }

    /// Follows the plan that is in force from now on. The thread is started with the first service that needs it.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn follow(&self, plan: &Plan) -> io::Result<()> {
        let inner = &self.0;
        inner.hold(plan);
        let found = |service: &Arc<Service>| Found::of(plan, &service.name);
        let services: Vec<Found> = plan.services.iter().filter_map(found).collect();
        {
            let mut desks = inner.desks();
            // A run that is on goes on until it sees for itself that there is nothing to do any more.
            desks.retain(|name, desk| desk.cancel.is_some() || services.iter().any(|one| one.service.name == *name));
            for Found { service, migration, .. } in &services {
                let rules = rules_of(service);
                let new = || Desk::new(migration.progress, Arc::clone(&rules), inner.kept(&service.name));
                desks.entry(Arc::clone(&service.name)).or_insert_with(new).follow(migration.progress, &rules);
            }
        }
        if services.is_empty() { Ok(()) } else { inner.start() }
    }

    /// Begins a run; what is given comes once it is over. `given`: the keys, where whoever asks names them.
    ///
    /// # Errors
    /// [`Refused`]: nothing has begun.
    pub fn begin(&self, service: &str, asked: Asked, given: Option<Vec<String>>) -> Result<Ended, Refused> {
        let found = self.0.found(service)?;
        if asked.repair && found.reconcile.repair == Repair::None {
            let detail = "nothing is repaired here: `migration.reconcile` has `repair: none`, or no `write`";
            return Err(Refused::Asked(detail.to_owned()));
        }
        let keys = match asked.keys {
            Keys::Given => Some(checked(given.unwrap_or_default())?),
            Keys::Journal => Some(self.0.doubtful(service)?),
            Keys::Sample(_) if found.reconcile.list.is_none() => {
                let detail = "`migration.reconcile` has no `list`: nothing says which keys there are to sample";
                return Err(Refused::Asked(detail.to_owned()));
            }
            Keys::Sample(_) => None,
        };
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let total = keys.as_ref().map(|keys| keys.len() as u64);
        let run = Run::new(asked, total, u64::try_from(began.as_millis()).unwrap_or(u64::MAX));
        self.0.hand_over(&found, run, keys, true)
    }

    /// Takes the last run of a service up again.
    ///
    /// # Errors
    /// [`Refused`]: nothing has begun.
    pub fn resume(&self, service: &str) -> Result<Ended, Refused> {
        let found = self.0.found(service)?;
        let run = self.0.desks().get(service).and_then(|desk| desk.run.clone());
        let none = || Refused::NotResumable(format!("there is no reconciliation of `{service}` to resume"));
        let mut run = run.ok_or_else(none)?.map_err(Refused::NotResumable)?;
        if !run.is_resumable() {
            return Err(Refused::NotResumable(format!(
                "the last reconciliation of `{service}` is done: begin another"
            )));
        }
        let keys = if run.total.is_some() {
            let keys = self.0.store.keys(service).map_err(Refused::NotResumable)?;
            if !run.fits(keys.len() as u64) {
                let detail = "what is kept of it does not fit its keys: begin another";
                return Err(Refused::NotResumable(detail.to_owned()));
            }
            Some(keys)
        } else {
            None
        };
        run.resume();
        self.0.hand_over(&found, run, keys, false)
    }

    /// Cancels the run that is on, in the name of `actor`.
    ///
    /// # Errors
    /// [`Refused`]: none is on.
    pub fn cancel(&self, service: &str, actor: &str) -> Result<(), Refused> {
        let desks = self.0.desks();
        let cancel = desks.get(service).and_then(|desk| desk.cancel.as_ref());
        let cancel = cancel.ok_or_else(|| Refused::NotRunning(service.to_owned()))?;
        cancel.send_replace(Some(actor.to_owned()));
        Ok(())
    }

    /// The run of a service that is on, or its last one.
    ///
    /// # Errors
    /// [`Refused::NotResumable`] where what is kept of it cannot be read.
    pub fn view(&self, service: &str) -> Result<Option<ReconcileView>, Refused> {
        let (run, is_on) = {
            let desks = self.0.desks();
            let Some(desk) = desks.get(service) else { return Ok(None) };
            (desk.run.clone(), desk.cancel.is_some())
        };
        let Some(run) = run.transpose().map_err(Refused::NotResumable)? else { return Ok(None) };
        let mut view = ReconcileView::new(service, &run, is_on);
        view.resumable &= self.0.store.is_lasting();
        if run.asked.keys == Keys::Journal && self.0.lists_too_few(service) {
            let note =
                "there were more keys to reconcile than the journal lists: look at all of them, by --sample 100%";
            view.note = Some(note.to_owned());
        } else if !self.0.store.is_lasting() {
            view.note = Some("no stateDir: it cannot be resumed after this process".to_owned());
        }
        Ok(Some(view))
    }

    /// What was shown of the two sides; `None` where nothing says how they are compared.
    #[must_use]
    pub fn shown(&self, service: &str) -> Option<Shown> {
        self.0.desks().get(service).map(|desk| desk.evidence.shown())
    }

    /// The same as people see it.
    #[must_use]
    pub fn consistency(&self, service: &str) -> Option<ConsistencyView> {
        let desks = self.0.desks();
        let desk = desks.get(service)?;
        let in_doubt = desk.doubts.iter().take(SHOWN).map(ToString::to_string).collect();
        Some(ConsistencyView::new(&desk.evidence.shown(), desk.reservoir.len(), in_doubt))
    }

    /// Whether all keys of both sides were seen to be the same in the last ten minutes, since the migration is where it is.
    #[must_use]
    pub fn is_reconciled(&self, service: &str) -> bool {
        self.0.desks().get(service).is_some_and(Desk::is_reconciled)
    }

    /// What gates go by; `None` where the plan that was followed last has no such migration.
    #[must_use]
    pub fn facts(&self, service: &str) -> Option<Facts> {
        let (progress, since) = *self.0.held().get(service)?;
        let journal = (self.0.outside.journal)().map(|journal| backlog(&journal.status(service)));
        let (shown, reconciled) = (self.shown(service), self.is_reconciled(service));
        Some(Facts { progress, held: since.elapsed(), journal: journal.unwrap_or_default(), shown, reconciled })
    }
}

/// A journal's status as gates see it.
fn backlog(status: &Status) -> Backlog {
    let count = |count: usize| count as u64;
    Backlog {
        depth: count(status.pending),
        oldest: status.oldest.unwrap_or_default(),
        dead_letters: count(status.dead_letters),
        uncertain: count(status.uncertain),
        to_reconcile: count(status.to_reconcile.max(usize::from(status.all_to_reconcile))),
    }
}

/// Comes when a run is over, with how it ended.
pub type Ended = oneshot::Receiver<ReconcileView>;

impl Inner {
    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    pub(super) fn desks(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Desk>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, (Progress, Instant)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how far the migrations are.
    fn hold(&self, plan: &Plan) {
        let migrating =
            plan.services.iter().filter_map(|service| Some((service, service.migration.as_ref()?.progress)));
        let mut before = std::mem::take(&mut *self.held());
        let now = migrating.map(|(service, progress)| {
            let same = before.remove(&service.name).filter(|(known, _)| *known == progress);
            (Arc::clone(&service.name), same.unwrap_or((progress, Instant::now())))
        });
        let now = now.collect();
        *self.held() = now;
    }

    fn found(&self, service: &str) -> Result<Found, Refused> {
        Found::of(&(self.outside.plan)(), service).ok_or_else(|| Refused::NotConfigured(service.to_owned()))
    }

    /// What is kept of the last run of a service.
    fn kept(&self, service: &str) -> Option<Result<Run, String>> {
        let kept = self.store.run(service);
        if let Err(why) = &kept {
            tracing::error!(%service, "the last reconciliation cannot be resumed: {why}");
        }
        kept.transpose()
    }

    /// Starts the thread, unless it runs.
    fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.is_none() {
            let (sender, receiver) = mpsc::unbounded_channel();
            runner::start(Arc::clone(self), receiver)?;
            *orders = Some(sender);
        }
        Ok(())
    }

    /// Gives a run to the thread, unless one is on.
    fn hand_over(
        self: &Arc<Self>,
        found: &Found,
        run: Run,
        keys: Option<Vec<Arc<str>>>,
        is_new: bool,
    ) -> Result<Ended, Refused> {
        let name = &found.service.name;
        let store = |error: io::Error| Refused::Store(format!("it cannot be written down: {error}"));
        self.start().map_err(store)?;
        let (cancel, cancelled) = watch::channel(None);
        {
            let mut desks = self.desks();
            let desk = desks.get_mut(name).ok_or_else(|| Refused::NotConfigured(name.to_string()))?;
            if desk.cancel.is_some() {
                return Err(Refused::Running(name.to_string()));
            }
            if let (true, Some(keys)) = (is_new, &keys) {
                self.store.put_keys(name, keys).map_err(store)?;
            }
            self.store.put_run(name, &run).map_err(store)?;
            desk.run = Some(Ok(run.clone()));
            desk.cancel = Some(cancel);
        }
        let (done, ended) = oneshot::channel();
        let order = runner::Order { service: Arc::clone(name), run, keys, cancelled, done };
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        if sent { Ok(ended) } else { Err(Refused::Store("its thread is gone".to_owned())) }
    }

    /// Keys that there are doubts about: those listed, those stopped by dead letters, those that disagreed.
    fn doubtful(&self, service: &str) -> Result<Vec<Arc<str>>, Refused> {
        let desks = self.desks();
        let mut keys = desks.get(service).map(|desk| desk.doubts.clone()).unwrap_or_default();
        drop(desks);
        if let Some(journal) = (self.outside.journal)() {
            let mut after: Option<Arc<str>> = None;
            loop {
                let page = journal.to_reconcile(service, after.as_deref(), PAGE);
                after = page.last().map(|listed| Arc::clone(&listed.key));
                keys.extend(page.into_iter().map(|listed| listed.key));
                if after.is_none() || keys.len() > MAX_RUN_KEYS {
                    break;
                }
            }
            let mut after = 0;
            loop {
                let page = journal.dead_letters(service, after, PAGE);
                let Some(last) = page.last() else { break };
                after = last.number;
                keys.extend(page.into_iter().map(|letter| letter.key));
            }
        }
        bounded(keys.into_iter().collect())
    }

    fn lists_too_few(&self, service: &str) -> bool {
        (self.outside.journal)().is_some_and(|journal| journal.status(service).all_to_reconcile)
    }

    /// Looks at one key.
    pub(super) async fn examine(&self, client: &Client, service: &str, key: &str, wanted: Wanted) -> Outcome {
        let known = self.desks().get(service).map(|desk| (Arc::clone(&desk.rules), desk.likeness.clone()));
        let Some((rules, likeness)) = known else {
            return Outcome::Failed("the service has no `migration.reconcile` any more".to_owned());
        };
        let settles = wanted.in_turn || wanted.repair;
        examine(&HttpSides { likeness, ..self.sides(client, service, settles) }, &rules, key, wanted).await
    }

    pub(super) fn sides<'a>(&'a self, client: &'a Client, service: &'a str, settles: bool) -> HttpSides<'a> {
        let (journal, likeness) = ((self.outside.journal)(), Likeness::default());
        HttpSides { service, plan: &*self.outside.plan, client, journal, settles, likeness }
    }

    /// Tells what is known, for the metrics.
    pub(super) fn report(&self) {
        let figure = |(service, desk): (&Arc<str>, &Desk)| {
            let Shown { estimate, low, high, keys, .. } = desk.evidence.shown();
            let (service, looks, counts) = (Arc::clone(service), verify::looks(desk), verify::counts(desk));
            ConsistencyFigure { service, estimate, low, high, keys, looks, counts }
        };
        let figures = self.desks().iter().map(figure).collect();
        self.outside.registry.control().set_consistency(figures);
    }
}

/// By what answers of a service are compared.
fn rules_of(service: &Service) -> Arc<Rules> {
    Arc::new(service.diff.as_ref().map(|diff| diff.rules.clone()).unwrap_or_default())
}

/// Keys as whoever asks names them: each once, in their order.
fn checked(given: Vec<String>) -> Result<Vec<Arc<str>>, Refused> {
    let mut known = std::collections::HashSet::new();
    let mut keys: Vec<Arc<str>> = Vec::with_capacity(given.len());
    for (index, key) in given.into_iter().enumerate() {
        if !(1..=MAX_ENTITY_KEY).contains(&key.len()) {
            let (number, length) = (index + 1, key.len());
            let detail = format!("key {number} has {length} bytes: expected 1 to {MAX_ENTITY_KEY}");
            return Err(Refused::Asked(detail));
        }
        let key: Arc<str> = key.into();
        if known.insert(Arc::clone(&key)) {
            keys.push(key);
        }
    }
    bounded(keys)
}

fn bounded(keys: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, Refused> {
    if keys.len() > MAX_RUN_KEYS {
        return Err(Refused::Asked(format!("{} keys: expected at most {MAX_RUN_KEYS} in one run", keys.len())));
    }
    Ok(keys)
}
