//! The thread: accepts, and holds what all connections share.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::connection;
use super::memory::Memory;
use super::pace::Patience;
use crate::admin::AdminListener;
use crate::config::OfrepSettings;
use crate::control::FlagsInForce;
use crate::flags::FlagSet;
use crate::telemetry::{FlagCells, OfrepCell, Registry};
use crate::wire::Socket;

/// Bulk answers made at a time.
const BULKS: usize = 4;
/// Connections being told at a time that there are too many; more are just closed.
const REFUSALS: usize = 64;
/// How long the thread waits after the system refused it a connection, for descriptors to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long answers under way may take at the end.
const GRACE: Duration = Duration::from_secs(1);

/// What the flag API answers from.
#[derive(Debug)]
pub struct FlagApi {
    /// What it may be asked, and by whom; its address is bound already.
    pub settings: OfrepSettings,
    /// The flags in force.
    pub flags: watch::Receiver<FlagsInForce>,
    /// Where it counts.
    pub registry: Arc<Registry>,
}

/// The running thread. Dropping it ends the thread, too, but nobody waits for that.
#[derive(Debug)]
pub struct FlagApiThread {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl FlagApi {
    /// Starts to answer.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(self, listener: AdminListener) -> io::Result<FlagApiThread> {
        self.start_with(listener, Patience::default())
    }

    pub(super) fn start_with(self, listener: AdminListener, patience: Patience) -> io::Result<FlagApiThread> {
        let (stop, stopped) = oneshot::channel();
        let (alive, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("serin-ofrep".to_owned()).spawn(move || {
            let _alive = alive;
            let _aloud = Aloud;
            if let Err(error) = run(self, patience, listener, stopped) {
                tracing::error!(%error, "the flag API cannot start");
            }
        })?;
        Ok(FlagApiThread { stop, ended })
    }
}

impl FlagApiThread {
    /// Ends it: event streams end, answers under way have a moment, no more connections are taken.
    pub async fn stop(self) {
        // One that is gone already has nothing to end.
        let _ = self.stop.send(());
        let _ = self.ended.await;
    }
}

/// Says so where the thread dies.
struct Aloud;

impl Drop for Aloud {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the flag API died: nobody answers for flags any more; requests are served as before");
        }
    }
}

/// What all connections share. Never leaves the thread.
pub(super) struct Server {
    pub(super) settings: OfrepSettings,
    pub(super) patience: Patience,
    pub(super) cell: Arc<OfrepCell>,
    pub(super) memory: Memory,
    /// Turns of bulk answers.
    pub(super) bulk: Semaphore,
    pub(super) event_streams: Cell<usize>,
    registry: Arc<Registry>,
    news: RefCell<watch::Receiver<FlagsInForce>>,
    in_use: RefCell<Rc<InUse>>,
    connections: Cell<usize>,
    refusals: Cell<usize>,
    emptied: Notify,
    closing: watch::Sender<bool>,
}

/// The flags in force, with this thread's counters.
pub(super) struct InUse {
    pub(super) set: Arc<FlagSet>,
    pub(super) cells: Arc<FlagCells>,
}

impl InUse {
    fn new(flags: &FlagsInForce, registry: &Registry) -> Rc<Self> {
        Rc::new(Self { set: Arc::clone(&flags.set), cells: registry.ofrep_flag_cells(&flags.set) })
    }
}

impl Server {
    fn new(FlagApi { settings, mut flags, registry }: FlagApi, patience: Patience) -> Rc<Self> {
        let in_use = InUse::new(&flags.borrow_and_update(), &registry);
        Rc::new(Self {
            settings,
            patience,
            cell: registry.ofrep(),
            memory: Memory::default(),
            bulk: Semaphore::new(BULKS),
            event_streams: Cell::new(0),
            registry,
            news: RefCell::new(flags),
            in_use: RefCell::new(in_use),
            connections: Cell::new(0),
            refusals: Cell::new(0),
            emptied: Notify::new(),
            closing: watch::Sender::new(false),
        })
    }

    /// The flags in force.
    pub(super) fn flags(&self) -> Rc<InUse> {
        let mut news = self.news.borrow_mut();
        // Where nobody is left to change them, they are what they were.
        if news.has_changed().unwrap_or(false) {
            *self.in_use.borrow_mut() = InUse::new(&news.borrow_and_update(), &self.registry);
        }
        Rc::clone(&self.in_use.borrow())
    }

    /// Tells of every change of the flags in force.
    pub(super) fn news(&self) -> watch::Receiver<FlagsInForce> {
        self.news.borrow().clone()
    }

    /// Tells that the server closes.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    pub(super) fn count_event_streams(&self, open: usize) {
        self.event_streams.set(open);
        self.cell.event_streams(open);
    }

    fn begin(self: &Rc<Self>, socket: Socket) {
        let is_refused = self.connections.get() >= self.settings.connections;
        let (count, most) =
            if is_refused { (Count::Refusals, REFUSALS) } else { (Count::Connections, self.settings.connections) };
        let Some(open) = Open::new(self, count, most) else { return };
        let server = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let _open = open;
            if is_refused {
                connection::refuse(&server, socket).await;
            } else {
                connection::serve(&server, socket).await;
            }
        });
    }
}

/// What a connection is counted as.
#[derive(Debug, Clone, Copy)]
enum Count {
    Connections,
    Refusals,
}

/// One connection, counted for as long as this lives.
struct Open(Rc<Server>, Count);

impl Open {
    fn new(server: &Rc<Server>, count: Count, most: usize) -> Option<Self> {
        let open = Self(Rc::clone(server), count);
        let cell = open.cell();
        let present = cell.get();
        cell.set(present + 1);
        (present < most).then_some(open)
    }

    fn cell(&self) -> &Cell<usize> {
        match self.1 {
            Count::Connections => &self.0.connections,
            Count::Refusals => &self.0.refusals,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let cell = self.cell();
        cell.set(cell.get() - 1);
        if self.0.connections.get() == 0 {
            self.0.emptied.notify_one();
        }
    }
}

enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (socket, _) = listener.accept().await?;
                socket.set_nodelay(true)?;
                Ok(Socket::Tcp(socket))
            }
            Self::Unix(listener) => listener.accept().await.map(|(socket, _)| Socket::Unix(socket)),
        }
    }
}

fn run(api: FlagApi, patience: Patience, listener: AdminListener, stop: oneshot::Receiver<()>) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let listening = match listener {
            AdminListener::Tcp(listener) => Listening::Tcp(TcpListener::from_std(listener)?),
            AdminListener::Unix(listener) => Listening::Unix(UnixListener::from_std(listener)?),
        };
        let server = Server::new(api, patience);
        accept(&server, listening, stop).await;
        server.closing.send_replace(true);
        let emptied = async {
            while server.connections.get() > 0 {
                server.emptied.notified().await;
            }
        };
        // What is not done by then is not waited for.
        let _ = tokio::time::timeout(GRACE, emptied).await;
        Ok(())
    })
}

async fn accept(server: &Rc<Server>, listening: Listening, mut stop: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            // Sent or dropped: either says that it is over.
            _ = &mut stop => return,
            accepted = listening.accept() => match accepted {
                Ok(socket) => server.begin(socket),
                Err(error) => {
                    tracing::warn!(%error, "the flag API cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}
