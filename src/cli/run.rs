//! `serin run`: read, bind, start, say so, wait, drain.

mod listening;
mod serve;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};

pub(super) use self::serve::serve;

use self::listening::{AdminEntrance, Listening};
use super::BAD_USAGE;
use super::journal::{self, Journals};
use super::print::{complain, failed, say};
use super::tracing_export::Spans;
use crate::admin::AdminListener;
use crate::config::{
    AccessLogFormat, AccessLogSettings, AccessLogTarget, Bind, Errors, Loaded, OfrepSettings, WebhookSettings,
};
use crate::control::{self, Files, FilesError, FlagFile, FlagsInForce, InForce, Start, beside};
use crate::events::{Event, Feed};
use crate::ledger::{self, Ledger, OpenError};
use crate::migration::reconcile::{Outside, Reconciler};
use crate::plan::Plan;
use crate::proxy::{Bound, ListenError, Running, Shared, Workers};
use crate::shadow::Comparing;
use crate::telemetry::Registry;
use crate::telemetry::access_log::{AccessLog, Format, Target};
use crate::upstream::{Health, Resolver};

/// Runs the proxy that `config` describes until it is told to stop; gives the exit code.
pub(super) fn run(config: &Path) -> ExitCode {
    match prepare(config).and_then(|prepared| serve(prepared, |ready| say_where(&ready))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(RunError::Files(error)) => failed(error, BAD_USAGE),
        Err(RunError::StateDir(error)) => failed(error, BAD_USAGE),
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn say_where(ready: &Ready) -> Stop {
    let mut lines = String::new();
    for (name, address) in &ready.listeners {
        _ = writeln!(lines, "listening {name} {address}");
    }
    if let Some(address) = &ready.admin {
        _ = writeln!(lines, "listening admin {address}");
    }
    if let Some(address) = &ready.ofrep {
        _ = writeln!(lines, "listening ofrep {address}");
    }
    // Nothing depends on somebody reading it.
    if let Err(error) = say(&lines) {
        complain(format_args!("what serin listens on cannot be written: {error}"));
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
