//! A worker: one thread, one runtime, its own listeners, connections and figures.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot};

use super::connection;
use super::deadlines::Deadlines;
use super::listener::{Bound, Listener, StdListener};
use super::secured::Gate;
use super::view::View;
use crate::jwt;
use crate::migration::journal::Journal;
use crate::plan::Plan;
use crate::shadow::Comparing;
use crate::telemetry::access_log::AccessLogSender;
use crate::telemetry::trace::Tracer;
use crate::telemetry::{Refusal, Registry, WorkerCell};
use crate::upstream::{Health, Resolver};
use crate::wire::{PeerAddr, Socket, clock};

/// What all workers share with the control plane.
#[derive(Debug)]
pub struct Shared {
    /// The plan in force.
    pub plan: ArcSwap<Plan>,
    /// Where the figures go.
    pub registry: Arc<Registry>,
    /// Where names are looked up.
    pub resolver: Resolver,
    /// Which addresses can take requests.
    pub health: Arc<Health>,
    /// Where access-log lines go, where that is on.
    pub access_log: Option<AccessLogSender>,
    /// Where writes to two versions are journaled; there once a service of the plan is under migration.
    pub journal: OnceLock<Journal>,
    /// Where spans go, where there is tracing.
    pub tracer: Option<Tracer>,
    /// Where answers of two versions are compared.
    pub comparing: Comparing,
    /// Client connections open in the whole process.
    pub connections: AtomicUsize,
}

/// All workers, seen from the control plane: what they can be told.
#[derive(Debug, Clone)]
pub struct Workers {
    commands: Vec<mpsc::UnboundedSender<Command>>,
}

/// All workers, seen from whoever waits for their end.
#[derive(Debug)]
pub struct Running {
    workers: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    /// Resolves when the worker has ended, however it did.
    ended: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    Listen { name: Arc<str>, socket: StdListener, gate: Arc<Gate> },
    StopListening { name: Arc<str> },
    Drain,
}

impl Workers {
    /// Starts `count` workers.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(count: usize, shared: &Arc<Shared>) -> io::Result<(Self, Running)> {
        let mut commands = Vec::with_capacity(count);
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let (command, received) = mpsc::unbounded_channel();
            let (alive, ended) = oneshot::channel();
            let shared = Arc::clone(shared);
            let thread = std::thread::Builder::new().name(format!("serin-{index}")).spawn(move || {
                let _alive = alive;
                run(index, shared, received);
            })?;
            commands.push(command);
            workers.push(Thread { ended: Some(ended), thread: Some(thread) });
        }
        Ok((Self { commands }, Running { workers }))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.commands.len()
    }

    /// Starts accepting on a bound address, under `name`, each connection by what `gate` says then.
    pub fn listen(&self, name: &Arc<str>, bound: Bound, gate: &Arc<Gate>) {
        for (worker, socket) in self.commands.iter().zip(bound.sockets) {
            // A worker that is gone is noticed by `Running::any_ended`.
            let _ = worker.send(Command::Listen { name: Arc::clone(name), socket, gate: Arc::clone(gate) });
        }
    }

    /// Stops accepting under `name`; what is open stays open.
    pub fn stop_listening(&self, name: &Arc<str>) {
        for worker in &self.commands {
            let _ = worker.send(Command::StopListening { name: Arc::clone(name) });
        }
    }

    /// Stops accepting and lets what is in flight finish; the workers end when it has.
    pub fn drain(&self) {
        for worker in &self.commands {
            let _ = worker.send(Command::Drain);
        }
    }
}

impl Running {
    /// Waits until the first worker has ended, and says which.
    pub async fn any_ended(&mut self) -> usize {
        std::future::poll_fn(|cx| {
            for (index, worker) in self.workers.iter_mut().enumerate() {
                if let Some(ended) = &mut worker.ended
                    && Pin::new(ended).poll(cx).is_ready()
                {
                    worker.ended = None;
                    return Poll::Ready(index);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits until all workers have ended; whether each did so in good order.
    pub async fn all_ended(mut self) -> bool {
        let mut well = true;
        for worker in &mut self.workers {
            if let Some(ended) = worker.ended.take() {
                // Closed without a word where the worker panicked; joining says so.
                let _ = ended.await;
            }
            // The thread has nothing left to do but to return, so this does not block.
            well &= worker.thread.take().is_none_or(|thread| thread.join().is_ok());
        }
        well
    }
}

fn run(index: usize, shared: Arc<Shared>, commands: mpsc::UnboundedReceiver<Command>) {
    clock::tells_when_it_wakes();
    let runtime = match Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .on_thread_unpark(clock::woke)
        .build_local(LocalOptions::default())
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(worker = index, %error, "a worker cannot start");
            return;
        }
    };
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(index, shared));
        worker.run(commands).await;
    });
}

/// One worker's own state. Never leaves its thread.
#[derive(Debug)]
pub(super) struct Worker {
    index: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) cell: Arc<WorkerCell>,
    pub(super) rng: RefCell<fastrand::Rng>,
    pub(super) deadlines: Rc<Deadlines>,
    /// Tokens that were looked at before.
    pub(super) tokens: RefCell<jwt::Cache>,
    view: RefCell<Rc<View>>,
    /// When draining began.
    draining: Cell<Option<Instant>>,
    /// Connections open, with what wakes each.
    open: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    /// Requests that are finished whether their clients stay or not.
    finishing: Cell<usize>,
    emptied: Notify,
}

/// Tasks run between two looks at the sockets: all that one look at them made ready, so that what is sent goes out close
/// together and the other side wakes up once.
const EVENT_INTERVAL: u32 = 256;
/// How often unused upstream connections are looked at.
const REAP_INTERVAL: Duration = Duration::from_secs(1);
/// How long a worker waits after the system refused it a connection, for descriptors to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    fn new(index: usize, shared: Arc<Shared>) -> Self {
        let view = View::new(shared.plan.load_full(), None, index, &shared);
        Self {
            index,
            cell: shared.registry.worker(index),
            shared,
            rng: RefCell::new(fastrand::Rng::new()),
            deadlines: Rc::default(),
            tokens: RefCell::default(),
            view: RefCell::new(Rc::new(view)),
            draining: Cell::new(None),
            open: RefCell::default(),
            free: RefCell::default(),
            finishing: Cell::new(0),
            emptied: Notify::new(),
        }
    }

    /// The plan in force, as this worker sees it.
    pub(super) fn view(&self) -> Rc<View> {
        let plan = self.shared.plan.load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(&plan, &view.plan) {
            *view = Rc::new(View::new(Arc::clone(&plan), Some(&view), self.index, &self.shared));
        }
        Rc::clone(&view)
    }

    /// When draining began, if it did.
    pub(super) fn draining_since(&self) -> Option<Instant> {
        self.draining.get()
    }

    /// A connection begins; `None` where there are too many.
    pub(super) fn open_connection(self: &Rc<Self>) -> Option<Open> {
        let limit = self.view().plan.limits.connections;
        let open = self.shared.connections.fetch_add(1, Ordering::Relaxed);
        let guard = Open { worker: Rc::clone(self), slot: self.take_slot() };
        (open < limit).then_some(guard)
    }

    fn take_slot(&self) -> usize {
        self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut open = self.open.borrow_mut();
            open.push(None);
            open.len() - 1
        })
    }

    /// A request begins that is finished whether its client stays or not: draining waits for it while this lives.
    pub(super) fn finish(self: &Rc<Self>) -> Finishing {
        self.finishing.set(self.finishing.get() + 1);
        Finishing(Rc::clone(self))
    }

    fn open_count(&self) -> usize {
        self.open.borrow().len() - self.free.borrow().len() + self.finishing.get()
    }

    async fn run(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<Command>) {
        let deadlines = Rc::clone(&self.deadlines);
        tokio::task::spawn_local(async move { deadlines.watch().await });
        tokio::task::spawn_local(Rc::clone(&self).reap());
        let mut listening: Vec<Listening> = Vec::new();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Listen { name, socket, gate } => match Listener::new(socket) {
                    Ok(listener) => listening.push(Listening::start(&self, name, listener, gate)),
                    Err(error) => tracing::error!(listener = %name, %error, "a worker cannot use a listening socket"),
                },
                Command::StopListening { name } => {
                    for stopped in listening.extract_if(.., |listening| listening.name == name) {
                        stopped.stop.notify_one();
                    }
                }
                Command::Drain => {
                    for stopped in listening {
                        stopped.stop.notify_one();
                        // It ends once the connections that were waiting to be accepted are taken.
                        let _ = stopped.task.await;
                    }
                    self.draining.set(Some(Instant::now()));
                    self.open.borrow().iter().flatten().for_each(Waker::wake_by_ref);
                    while self.open_count() > 0 {
                        self.emptied.notified().await;
                    }
                    return;
                }
            }
        }
    }

    async fn accept(self: Rc<Self>, listener: Listener, gate: Arc<Gate>, stop: Rc<Notify>) {
        let port = listener.port();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.notified() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.begin(socket, peer, port, &gate),
                Err(error) => {
                    self.cell.refused(Refusal::AcceptFailed);
                    tracing::warn!(worker = self.index, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Their clients are connected already, and closing the listener would reset them.
        if let Err(error) = listener.accept_waiting(|socket, peer| self.begin(socket, peer, port, &gate)) {
            tracing::debug!(%error, "a connection was lost while stopping to listen");
        }
    }

    fn begin(self: &Rc<Self>, socket: Socket, peer: PeerAddr, port: Option<u16>, gate: &Arc<Gate>) {
        self.cell.connection_opened();
        let open = self.open_connection();
        tokio::task::spawn_local(connection::serve(Rc::clone(self), open, socket, peer, port, Arc::clone(gate)));
    }

    async fn reap(self: Rc<Self>) {
        loop {
            tokio::time::sleep(REAP_INTERVAL).await;
            let now = Instant::now();
            self.view().pools().for_each(|pool| pool.reap(now));
        }
    }
}

/// One listening socket being accepted on.
struct Listening {
    name: Arc<str>,
    stop: Rc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Listening {
    fn start(worker: &Rc<Worker>, name: Arc<str>, listener: Listener, gate: Arc<Gate>) -> Self {
        let stop = Rc::new(Notify::new());
        let task = tokio::task::spawn_local(Rc::clone(worker).accept(listener, gate, Rc::clone(&stop)));
        Self { name, stop, task }
    }
}

/// One open client connection, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Open {
    worker: Rc<Worker>,
    slot: usize,
}

impl Open {
    /// Says what to wake when draining begins.
    pub(super) fn register(&self, waker: &Waker) {
        let mut open = self.worker.open.borrow_mut();
        if open[self.slot].as_ref().is_none_or(|known| !known.will_wake(waker)) {
            open[self.slot] = Some(waker.clone());
        }
    }
}

/// A request that is finished whether its client stays or not.
#[derive(Debug)]
pub(super) struct Finishing(Rc<Worker>);

impl Drop for Finishing {
    fn drop(&mut self) {
        self.0.finishing.set(self.0.finishing.get() - 1);
        if self.0.open_count() == 0 {
            self.0.emptied.notify_one();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let worker = &self.worker;
        worker.shared.connections.fetch_sub(1, Ordering::Relaxed);
        worker.open.borrow_mut()[self.slot] = None;
        worker.free.borrow_mut().push(self.slot);
        if worker.open_count() == 0 {
            worker.emptied.notify_one();
        }
        worker.cell.connection_closed();
    }
}
