//! `serin run`: read, bind, start, say so, wait, drain.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::BAD_USAGE;
use super::journal::{self, Journals};
use super::tracing_export::Spans;
use crate::access::Access;
use crate::admin::ofrep::FlagApi;
use crate::admin::{
    self, Admin, AdminListener, EventStreams, Ledgers, Live, Memory, Observer, Phase, Readiness, Verdicts,
};
use crate::config::{
    AccessLogFormat, AccessLogSettings, AccessLogTarget, AdminSettings, Bind, Errors, Listener, ListenerTls, Loaded,
    OfrepSettings, WebhookSettings,
};
use crate::control::{
    self, Control, DataPlane, Files, FilesError, FlagFile, FlagsInForce, Handle, InForce, Start, beside,
};
use crate::diff::Evidence;
use crate::events::{Event, Feed};
use crate::ledger::{self, Ledger, OpenError};
use crate::migration::gates::Facts;
use crate::migration::reconcile::{Outside, Reconciler};
use crate::plan::{Plan, Service, VersionSet};
use crate::proxy::{Bound, Gate, ListenError, Running, Shared, Workers};
use crate::shadow::Comparing;
use crate::stats::Alpha;
use crate::telemetry::Registry;
use crate::telemetry::access_log::{AccessLog, Format, Target};
use crate::telemetry::history::History;
use crate::tls::Server;
use crate::upstream::{Health, Resolver};
use crate::webhooks;

/// Runs the proxy that `config` describes until it is told to stop; gives the exit code.
pub(super) fn run(config: &Path) -> ExitCode {
    match prepare(config).and_then(|prepared| serve(prepared, |ready| say_where(&ready))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(RunError::Files(error)) => {
            eprintln!("{error}");
            ExitCode::from(BAD_USAGE)
        }
        Err(RunError::StateDir(error)) => {
            eprintln!("{error}");
            ExitCode::from(BAD_USAGE)
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn say_where(ready: &Ready) -> Stop {
    for (name, address) in &ready.listeners {
        println!("listening {name} {address}");
    }
    if let Some(address) = &ready.admin {
        println!("listening admin {address}");
    }
    if let Some(address) = &ready.ofrep {
        println!("listening ofrep {address}");
    }
    Stop::BySignal
}

/// What is known once everything is bound.
pub(super) struct Ready {
    /// Name and address in use of each listener.
    pub(super) listeners: Vec<(String, String)>,
    /// The address in use of the admin API.
    pub(super) admin: Option<String>,
    /// The address in use of the flag API.
    pub(super) ofrep: Option<String>,
    /// Where changes are handed in, and rollouts are seen.
    pub(super) control: control::Handle,
    /// The plan in force.
    pub(super) plan: Box<dyn Fn() -> Arc<Plan> + Send + Sync>,
}

/// What ends the proxy.
pub(super) enum Stop {
    /// SIGTERM or SIGINT.
    BySignal,
    /// Whoever holds the other end drops it; signals are theirs to hear.
    When(oneshot::Receiver<()>),
}

/// Everything that is bound and opened before the first worker starts.
pub(super) struct Prepared {
    start: Start<Listening>,
    shared: Arc<Shared>,
    running: Running,
    access_log: Option<AccessLog>,
    spans: Option<Spans>,
    admin: Option<(AdminListener, String)>,
    reader: ledger::Reader,
    events: Feed,
    webhooks: watch::Receiver<Vec<WebhookSettings>>,
    ofrep: Option<(AdminListener, String, OfrepSettings)>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("{0}")]
    Files(#[from] FilesError),
    #[error("{0}")]
    StateDir(String),
    #[error("{0}")]
    InUse(OpenError),
    #[error("{0}")]
    Listen(#[from] ListenError),
    #[error("{0}")]
    Journal(String),
    #[error("{what}: {source}")]
    System { what: String, source: io::Error },
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::System { what: what.into(), source }
}

/// Reads the files, binds the listeners and starts the workers.
pub(super) fn prepare(config: &Path) -> Result<Prepared, RunError> {
    let (files, mut loaded) = Files::read(config, None)?;
    let flags = FlagFile::read(&mut loaded, config)?;
    loaded.warnings.extend(loaded.settings.flag_uses.warnings(&loaded.plan));
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let mut ledger = open_ledger(config, &loaded)?;
    let events = Feed::new(ledger.written());
    let told = events.clone();
    ledger.listen(move |line| {
        if let Some(event) = Event::of_entry(line) {
            told.tell(event);
        }
    });
    let in_force = InForce::resumed(loaded, ledger.state());
    let settings = in_force.settings();
    let workers = settings.workers.unwrap_or_else(granted_cores);
    let bound = settings
        .listeners
        .iter()
        .map(|listener| Ok((listener.clone(), Bound::new(&listener.address, workers)?)))
        .collect::<Result<Vec<_>, ListenError>>()?;
    let admin = settings.admin.as_ref().map(|admin| bind_api(&admin.address)).transpose()?;
    let ofrep = settings.ofrep.as_ref().map(|ofrep| {
        let (listener, address) = bind_api(&ofrep.address)?;
        Ok::<_, RunError>((listener, address, ofrep.clone()))
    });
    let ofrep = ofrep.transpose()?;
    let access_log = settings.access_log.as_ref().map(|log| open_access_log(config, log)).transpose()?;
    let spans = settings.tracing.as_ref().map(Spans::start).transpose().map_err(system("cannot export spans"))?;
    let registry = Arc::new(Registry::new(workers));
    if let Some(spans) = &spans {
        registry.control().watch_spans(Arc::clone(spans.tracer().figures()));
    }
    if let Some(log) = &access_log {
        registry.control().watch_access_log(log.lost());
    }
    let reader = ledger.reader();
    let begun =
        control::begin(in_force, &files, ledger, &registry).map_err(system("cannot begin to record changes"))?;
    let in_force = &begun.in_force;
    let resolver = Resolver::default();
    let shared = Arc::new(Shared {
        health: Arc::new(Health::new(workers, in_force.plan(), &resolver)),
        resolver,
        plan: ArcSwap::new(Arc::clone(in_force.plan())),
        registry: Arc::clone(&registry),
        access_log: access_log.as_ref().map(AccessLog::sender),
        journal: OnceLock::new(),
        tracer: spans.as_ref().map(Spans::tracer),
        comparing: Comparing::new(Arc::clone(&registry)),
        connections: 0.into(),
    });
    let state_dir = in_force.settings().state_dir.as_ref().map(|folder| beside(config, folder));
    let journals = Journals::new(state_dir.clone(), &shared);
    journals.prepare(in_force.plan()).map_err(RunError::Journal)?;
    let reconciler = Arc::new(reconciler(state_dir, &shared));
    reconciler.follow(in_force.plan()).map_err(system("cannot start reconciling"))?;
    let (workers, running) = Workers::start(workers, &shared).map_err(system("cannot start the workers"))?;
    let entrance = in_force.settings().admin.as_ref().map(|admin| AdminEntrance::new(admin, &registry));
    let mut listening = Listening {
        workers,
        shared: Arc::clone(&shared),
        names: BTreeMap::new(),
        admin: entrance,
        journals,
        reconciler,
        flags: watch::Sender::new(FlagsInForce::new(&in_force.plan().flags, flags.as_ref())),
    };
    for (listener, bound) in bound {
        listening.add(&listener, bound);
    }
    let (hooks, webhooks) = watch::channel(Vec::new());
    let start = Start {
        config: config.to_owned(),
        files,
        flags,
        begun,
        data_plane: listening,
        registry,
        feed: events.clone(),
        webhooks: hooks,
    };
    Ok(Prepared { start, shared, running, access_log, spans, admin, reader, events, webhooks, ofrep })
}

/// What looks whether both sides of migrations agree.
fn reconciler(folder: Option<PathBuf>, shared: &Arc<Shared>) -> Reconciler {
    let (plans, journals) = (Arc::clone(shared), Arc::clone(shared));
    Reconciler::new(Outside {
        plan: Box::new(move || plans.plan.load_full()),
        journal: Box::new(move || journals.journal.get().cloned()),
        folder,
        registry: Arc::clone(&shared.registry),
    })
}

/// The ledger in `stateDir`; without one, a ledger that ends with the process.
fn open_ledger(config: &Path, loaded: &Loaded) -> Result<Ledger, RunError> {
    let Some(folder) = &loaded.settings.state_dir else {
        tracing::info!("no stateDir: the ledger is kept in memory and ends with this process");
        return Ok(Ledger::in_memory());
    };
    let opened = Ledger::open(&beside(config, folder), loaded.settings.ledger, SystemTime::now());
    opened.map_err(|error| match error {
        OpenError::InUse { .. } => RunError::InUse(error),
        OpenError::System { .. } => {
            let error = error.to_string();
            let placed = loaded.problem_with_state_dir(&error).map(|problem| Errors(vec![problem]).to_string());
            RunError::StateDir(placed.unwrap_or(error))
        }
    })
}

fn granted_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn open_access_log(config: &Path, settings: &AccessLogSettings) -> Result<AccessLog, RunError> {
    let target = match &settings.target {
        AccessLogTarget::Stdout => Target::Stdout,
        AccessLogTarget::File(path) => Target::File(beside(config, path)),
    };
    let format = match settings.format {
        AccessLogFormat::Json => Format::Json,
        AccessLogFormat::Text => Format::Text,
    };
    AccessLog::open(target, format).map_err(system("cannot open the access log"))
}

/// Most threads that wait for what blocks; nearly all of it are look-ups of names.
const BLOCKING_THREADS: usize = 20;

/// Runs the control plane on this thread until it is told to stop; whether everything ended in good order. `when_ready` is
/// called once everything is bound.
pub(super) fn serve(prepared: Prepared, when_ready: impl FnOnce(Ready) -> Stop) -> Result<bool, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(system("cannot start the control plane"))?;
    let result = runtime.block_on(control_plane(prepared, when_ready));
    // A name look-up may still be waiting for its answer.
    runtime.shutdown_background();
    result
}

/// Looks up names and checks addresses for as long as the runtime lives.
fn look_after_upstreams(shared: &Arc<Shared>) {
    let resolving = Arc::clone(shared);
    tokio::spawn(async move {
        resolving.resolver.run(|| resolving.plan.load().upstream.resolve_interval).await;
    });
    let watching = Arc::clone(shared);
    tokio::spawn(async move {
        let Shared { health, registry, resolver, .. } = &*watching;
        health.run(|| watching.plan.load_full(), registry, resolver).await;
    });
}

/// Looks at the figures from now on, and remembers them.
fn watch_figures(shared: &Arc<Shared>) -> (Arc<Observer>, Arc<Mutex<History>>) {
    let observer = Arc::new(Observer::new(Arc::clone(&shared.registry)));
    let history = Arc::<Mutex<History>>::default();
    let (looking, shared, noting) = (Arc::clone(&observer), Arc::clone(shared), Arc::clone(&history));
    tokio::spawn(async move {
        let note = |figures: &_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
            // Rows are written one by one: a panic elsewhere leaves none half done.
            noting.lock().unwrap_or_else(PoisonError::into_inner).note(now, &shared.plan.load(), figures);
        };
        looking.run(note).await;
    });
    (observer, history)
}

/// Compares the newest versions with the oldest ones from now on.
fn judging(shared: &Arc<Shared>, feed: Feed, handle: Handle) -> Arc<Verdicts> {
    let verdicts = Arc::new(Verdicts::new(Arc::clone(&shared.registry)));
    let (judge, shared) = (Arc::clone(&verdicts), Arc::clone(shared));
    tokio::spawn(async move {
        // While a rollout is on, its own gates say what its version is.
        let judged = |service: &str| handle.rollout(service).is_some_and(|rollout| rollout.is_on());
        judge.run(|| shared.plan.load_full(), &feed, judged).await;
    });
    verdicts
}

/// Takes changes from now on.
fn controlling(control: Control<Listening>) {
    let controlling = tokio::spawn(control.run());
    tokio::spawn(async move {
        if controlling.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("the control plane died: what is in force stays in force, and no change is taken any more");
        }
    });
}

async fn control_plane(prepared: Prepared, when_ready: impl FnOnce(Ready) -> Stop) -> Result<bool, RunError> {
    let Prepared { start, shared, mut running, access_log, spans, admin, ofrep, reader, events, webhooks } = prepared;
    let listen = |kind| signal(kind).map_err(system("cannot listen for signals"));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let workers = start.data_plane.workers.clone();
    let registry = Arc::clone(&start.registry);
    let flags = start.data_plane.flags.subscribe();
    let addresses = start.data_plane.names.values();
    let addresses = addresses.map(|entrance| (entrance.name.clone(), entrance.address.to_string())).collect();

    let entrance = start.data_plane.admin.clone();
    let (opened, reconciler) = (start.data_plane.journals.opened(), Arc::clone(&start.data_plane.reconciler));
    let (control, handle) = Control::new(start);
    // Before anything happens that they are to be told of.
    tokio::spawn(webhooks::run(events.clone(), webhooks, Arc::clone(&registry)));
    tokio::spawn(journal::hear(opened, handle.clone()));
    let readiness = Arc::new(Readiness::default());
    controlling(control);
    look_after_upstreams(&shared);
    let (observer, history) = watch_figures(&shared);
    let verdicts = judging(&shared, events.clone(), handle.clone());

    let plan = Arc::clone(&shared);
    let mut stop = when_ready(Ready {
        listeners: addresses,
        admin: admin.as_ref().map(|(_, address)| address.clone()),
        ofrep: ofrep.as_ref().map(|(_, address, _)| address.clone()),
        control: handle.clone(),
        plan: Box::new(move || plan.plan.load_full()),
    });
    let ofrep = ofrep
        .map(|(listener, _, settings)| FlagApi { settings, flags, registry: Arc::clone(&registry) }.start(listener));
    let ofrep = ofrep.transpose().map_err(system("cannot start the flag API"))?;
    if let (Some((listener, _)), Some(AdminEntrance { gate, access, .. })) = (admin, entrance) {
        let (plan, journal) = (Arc::clone(&shared), Arc::clone(&shared));
        let admin = Arc::new(Admin {
            control: handle.clone(),
            plan: Box::new(move || plan.plan.load_full()),
            registry,
            observer,
            history,
            live: Live::default(),
            ledger: Ledgers::new(reader),
            events: EventStreams::new(events),
            verdicts,
            reconciler,
            comparing: shared.comparing.clone(),
            health: Arc::clone(&shared.health),
            readiness: Arc::clone(&readiness),
            journal: Box::new(move || journal.journal.get().cloned()),
            access,
            memory: Memory::new(Instant::now()),
        });
        tokio::spawn(async move {
            if let Err(error) = admin::serve(listener, gate, admin).await {
                tracing::error!(%error, "the admin address is gone");
            }
        });
    }
    readiness.set(Phase::Ready);

    loop {
        tokio::select! {
            worker = running.any_ended() => {
                tracing::error!(worker, "a worker died; serin stops");
                return Ok(false);
            }
            _ = hangup.recv() => {
                if let Some(Err(error)) = access_log.as_ref().map(AccessLog::reopen) {
                    tracing::error!(%error, "the access log cannot be opened again; the old one is still written");
                }
                handle.reload().await;
            }
            () = stop.told(&mut terminate, &mut interrupt) => break,
        }
    }

    readiness.set(Phase::Draining);
    let (drain_timeout, draining) = (handle.drain_timeout(), Instant::now());
    tracing::info!(timeout = ?drain_timeout, "draining: no new connections; what is in flight finishes");
    workers.drain();
    let ended = tokio::select! {
        well = running.all_ended() => well,
        () = tokio::time::sleep(drain_timeout) => {
            let open = shared.connections.load(std::sync::atomic::Ordering::Relaxed);
            tracing::warn!(open, "the drain time is over; what is still open is closed");
            true
        }
        () = told(&mut terminate, &mut interrupt) => {
            tracing::warn!("told to stop a second time; what is still open is closed");
            true
        }
    };
    journal::close(&shared, drain_timeout.saturating_sub(draining.elapsed())).await;
    // Applications may ask for flags until their last request is done.
    if let Some(ofrep) = ofrep {
        ofrep.stop().await;
    }
    drop(access_log);
    if let Some(spans) = spans {
        spans.finish();
    }
    tracing::info!("stopped");
    Ok(ended)
}

fn bind_api(address: &Bind) -> Result<(AdminListener, String), RunError> {
    let failed = |source| RunError::Listen(ListenError { address: address.to_string(), source });
    match address {
        Bind::Tcp(wanted) => {
            let listener = std::net::TcpListener::bind(wanted).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            let bound = listener.local_addr().map_err(failed)?;
            Ok((AdminListener::Tcp(listener), bound.to_string()))
        }
        Bind::Unix(path) => {
            crate::proxy::remove_stale_socket(path).map_err(failed)?;
            let listener = std::os::unix::net::UnixListener::bind(path).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            Ok((AdminListener::Unix(listener), address.to_string()))
        }
    }
}

impl Stop {
    async fn told(&mut self, terminate: &mut Signal, interrupt: &mut Signal) {
        match self {
            Self::BySignal => told(terminate, interrupt).await,
            Self::When(over) => loop {
                tokio::select! {
                    // Signals first, so that one that ended the other side does not count as a second one here.
                    biased;
                    () = told(terminate, interrupt) => {}
                    // Dropped or sent: either says that the other end is done.
                    _ = &mut *over => return,
                }
            },
        }
    }
}

/// Waits for a signal to stop.
async fn told(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The data plane as `control` drives it.
struct Listening {
    workers: Workers,
    shared: Arc<Shared>,
    /// By what the workers know a listener by: its name and the address in use.
    names: BTreeMap<Arc<str>, Entrance>,
    /// Tells the flag API, where there is one, of the flags in force.
    flags: watch::Sender<FlagsInForce>,
    admin: Option<AdminEntrance>,
    journals: Journals,
    reconciler: Arc<Reconciler>,
}

/// The admin address in use.
#[derive(Clone)]
struct AdminEntrance {
    /// As configured.
    address: Bind,
    gate: Arc<Gate>,
    access: Arc<ArcSwap<Access>>,
}

impl AdminEntrance {
    fn new(settings: &AdminSettings, registry: &Registry) -> Self {
        Self {
            address: settings.address.clone(),
            gate: Arc::new(Gate::new(server(settings.tls.as_ref()), registry.handshakes("admin"))),
            access: Arc::new(ArcSwap::from_pointee(settings.access.clone())),
        }
    }

    fn set(&self, settings: &AdminSettings) {
        // What is open at another address may not be open at the one in use until the next start.
        let open = settings.access.open && settings.address == self.address;
        self.access.store(Arc::new(Access { open, ..settings.access.clone() }));
        self.gate.set(server(settings.tls.as_ref()));
    }
}

/// A listener in use.
struct Entrance {
    name: String,
    address: Bind,
    gate: Arc<Gate>,
}

impl Listening {
    fn add(&mut self, listener: &Listener, bound: Bound) {
        let key = key(listener);
        let gate = Arc::new(Gate::new(server(listener.tls.as_ref()), self.shared.registry.handshakes(&listener.name)));
        let (name, address) = (listener.name.clone(), bound.address.clone());
        self.workers.listen(&key, bound, &gate);
        self.names.insert(key, Entrance { name, address, gate });
    }

    fn bind(&self, address: &Bind) -> Result<Bound, ListenError> {
        let port = |bind: &Bind| match bind {
            Bind::Tcp(address) => Some(address.port()),
            Bind::Unix(_) => None,
        };
        let ours = port(address).is_some() && self.names.values().any(|used| port(&used.address) == port(address));
        let bind = if ours { Bound::beside_own } else { Bound::new };
        bind(address, self.workers.count())
    }
}

/// The TLS of an address, where it has any.
fn server(tls: Option<&ListenerTls>) -> Option<Arc<Server>> {
    tls?.server.clone()
}

/// What the workers know a listener by: its address, so that a new name alone opens nothing; with port 0, which many may
/// have, its name too.
fn key(listener: &Listener) -> Arc<str> {
    match &listener.address {
        Bind::Tcp(address) if address.port() == 0 => format!("{}@{address}", listener.name).into(),
        address => address.to_string().into(),
    }
}

impl DataPlane for Listening {
    fn up(&self, service: &Service) -> VersionSet {
        self.shared.health.up(service)
    }

    fn facts(&self, service: &str) -> Option<Facts> {
        self.reconciler.facts(service)
    }

    fn differences(&self, service: &str, to: &str, most: f64, alpha: Alpha) -> Option<Evidence> {
        self.shared.comparing.evidence(service, to, most, alpha)
    }

    fn open(&mut self, listeners: &[Listener]) -> Result<(), String> {
        let missing = listeners.iter().filter(|listener| !self.names.contains_key(&key(listener)));
        let bound = missing
            .map(|listener| Ok((listener.clone(), self.bind(&listener.address)?)))
            .collect::<Result<Vec<_>, ListenError>>()
            .map_err(|error| error.to_string())?;
        for (listener, bound) in bound {
            tracing::info!(listener = %listener.name, address = %bound.address, "listening");
            self.add(&listener, bound);
        }
        Ok(())
    }

    fn keep_journal(&mut self, plan: &Plan) -> Result<(), String> {
        self.journals.prepare(plan)
    }

    fn secure(&mut self, listeners: &[Listener]) {
        for listener in listeners {
            if let Some(entrance) = self.names.get(&key(listener)) {
                entrance.gate.set(server(listener.tls.as_ref()));
            }
        }
    }

    fn admit(&mut self, admin: Option<&AdminSettings>) {
        if let (Some(entrance), Some(settings)) = (&self.admin, admin) {
            entrance.set(settings);
        }
    }

    fn publish(&mut self, plan: &Arc<Plan>) {
        // First, so that workers find what they look for there.
        self.shared.health.follow(plan, &self.shared.resolver);
        // Made now, so that no worker has to.
        let _ = self.shared.registry.flag_cells(0, &plan.flags);
        self.journals.follow(plan);
        self.shared.plan.store(Arc::clone(plan));
        if let Err(error) = self.reconciler.follow(plan) {
            tracing::error!(%error, "nobody looks whether both sides of migrations agree");
        }
    }

    fn tell_of_flags(&mut self, flags: FlagsInForce) {
        self.flags.send_replace(flags);
    }

    fn close_others(&mut self, listeners: &[Listener]) {
        let wanted: Vec<_> = listeners.iter().map(key).collect();
        self.names.retain(|key, Entrance { name, address, .. }| {
            let stays = wanted.contains(key);
            if !stays {
                tracing::info!(listener = %name, %address, "no longer listening");
                self.workers.stop_listening(key);
            }
            stays
        });
    }
}
