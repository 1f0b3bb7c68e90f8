//! From the first request to the last: the control plane's thread, and how it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::listening::{AdminEntrance, Listening};
use super::{Prepared, Ready, RunError, Stop, journal, system};
use crate::admin::ofrep::FlagApi;
use crate::admin::{self, Admin, EventStreams, Ledgers, Live, Memory, Observer, Phase, Readiness, Verdicts};
use crate::control::{Control, Handle};
use crate::events::Feed;
use crate::proxy::{Running, Shared};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::history::History;
use crate::webhooks;

/// Most threads that wait for what blocks; nearly all of it are look-ups of names.
const BLOCKING_THREADS: usize = 20;

/// Runs the control plane on this thread until it is told to stop; whether everything ended in good order. `when_ready` is
/// called once everything is bound.
pub(in crate::cli) fn serve(prepared: Prepared, when_ready: impl FnOnce(Ready) -> Stop) -> Result<bool, RunError> {
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
    let ended = drained(running, &shared, drain_timeout, (&mut terminate, &mut interrupt)).await;
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

/// Waits until nothing is in flight, or nobody waits for that any longer; whether all ended in good order.
async fn drained(
    running: Running,
    shared: &Shared,
    timeout: Duration,
    (terminate, interrupt): (&mut Signal, &mut Signal),
) -> bool {
    tokio::select! {
        well = running.all_ended() => well,
        () = tokio::time::sleep(timeout) => {
            let open = shared.connections.load(std::sync::atomic::Ordering::Relaxed);
            tracing::warn!(open, "the drain time is over; what is still open is closed");
            true
        }
        () = told(terminate, interrupt) => {
            tracing::warn!("told to stop a second time; what is still open is closed");
            true
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
