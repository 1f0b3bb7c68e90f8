//! The admin address.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};

use super::api;
use super::connection::{self, Peer};
use super::events::EventStreams;
use super::ledger::Ledgers;
use super::live::Live;
use super::observer::Observer;
use super::refusal::Memory;
use super::verdict::Verdicts;
use crate::access::Access;
use crate::control::Handle;
use crate::migration::journal::Journal;
use crate::migration::reconcile::Reconciler;
use crate::plan::Plan;
use crate::proxy::Gate;
use crate::shadow::Comparing;
use crate::telemetry::Registry;
use crate::telemetry::history::History;
use crate::upstream::Health;
use crate::wire::{PeerAddr, Socket};

/// What the admin API answers from.
pub struct Admin {
    /// Where changes are handed in.
    pub control: Handle,
    /// The plan in force.
    pub plan: Box<dyn Fn() -> Arc<Plan> + Send + Sync>,
    /// The figures.
    pub registry: Arc<Registry>,
    /// Their last seconds.
    pub observer: Arc<Observer>,
    /// Their last hour, and day.
    pub history: Arc<Mutex<History>>,
    /// What the open pages are shown.
    pub live: Live,
    /// The record of changes.
    pub ledger: Ledgers,
    /// What happens, for those who follow it.
    pub events: EventStreams,
    /// What is said of new versions.
    pub verdicts: Arc<Verdicts>,
    /// Whether both sides of migrations agree.
    pub reconciler: Arc<Reconciler>,
    /// What is found in the answers of two versions.
    pub comparing: Comparing,
    /// Which addresses can take requests.
    pub health: Arc<Health>,
    /// Whether requests are taken.
    pub readiness: Arc<Readiness>,
    /// The journal of writes to two versions, once there is one.
    pub journal: Box<dyn Fn() -> Option<Journal> + Send + Sync>,
    /// Who may do what, now.
    pub access: Arc<ArcSwap<Access>>,
    /// Who was turned away.
    pub memory: Memory,
}

impl Admin {
    pub(super) fn plan(&self) -> Arc<Plan> {
        (self.plan)()
    }
}

/// Where the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Not all listeners are open yet.
    #[default]
    Starting,
    /// Requests are taken.
    Ready,
    /// No new connections are taken; what is in flight finishes.
    Draining,
}

/// Where the process stands, for whoever asks.
#[derive(Debug, Default)]
pub struct Readiness(watch::Sender<Phase>);

impl Readiness {
    /// Moves on to `phase`.
    pub fn set(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// The present phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Tells of every change of the phase.
    pub(super) fn watch(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }
}

/// A bound admin address, not yet in any runtime; must not block.
#[derive(Debug)]
pub enum AdminListener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix socket.
    Unix(std::os::unix::net::UnixListener),
}

/// Most connections to the admin address at a time.
const CONNECTIONS: usize = 512;
/// How long to wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(500);

/// Answers on the admin address for as long as it is polled, with the TLS that `gate` has at each time.
///
/// # Errors
/// If the runtime does not take the listener.
pub async fn serve(listener: AdminListener, gate: Arc<Gate>, admin: Arc<Admin>) -> io::Result<()> {
    let (router, listener) = (api::router(admin), Listening::new(listener)?);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (socket, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Of the connection alone.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
                continue;
            }
            Err(error) => {
                // Most often there is no descriptor left; some may be given back.
                tracing::warn!(%error, "the admin address cannot accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // One too many is closed at once: those that are open may be the way to take back what made them so many.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (router, gate, peer) = (router.clone(), Arc::clone(&gate), Peer::of(&socket, address));
        tokio::spawn(async move {
            connection::serve(router, gate, socket, peer).await;
            drop(place);
        });
    }
}

/// A listener in the runtime.
enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listening {
    fn new(listener: AdminListener) -> io::Result<Self> {
        Ok(match listener {
            AdminListener::Tcp(listener) => Self::Tcp(tokio::net::TcpListener::from_std(listener)?),
            AdminListener::Unix(listener) => Self::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }

    async fn accept(&self) -> io::Result<(Socket, PeerAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, address) = listener.accept().await?;
                // Where it fails the peer is gone, which shows soon enough.
                let _ = socket.set_nodelay(true);
                Ok((Socket::Tcp(socket), PeerAddr::Ip(address)))
            }
            Self::Unix(listener) => Ok((Socket::Unix(listener.accept().await?.0), PeerAddr::Unix)),
        }
    }
}
