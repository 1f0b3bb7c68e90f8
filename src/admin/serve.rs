//! The admin address.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::api;
use super::ledger::Ledgers;
use super::observer::Observer;
use super::verdict::Verdicts;
use crate::control::Handle;
use crate::plan::Plan;
use crate::telemetry::Registry;
use crate::upstream::Health;

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
    /// The record of changes.
    pub ledger: Ledgers,
    /// What is said of new versions.
    pub verdicts: Arc<Verdicts>,
    /// Which addresses can take requests.
    pub health: Arc<Health>,
    /// Whether requests are taken.
    pub readiness: Arc<Readiness>,
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

/// Answers on the admin address for as long as it is polled.
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(listener: AdminListener, admin: Arc<Admin>) -> io::Result<()> {
    let router = api::router(admin);
    match listener {
        AdminListener::Tcp(listener) => axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await,
        AdminListener::Unix(listener) => axum::serve(tokio::net::UnixListener::from_std(listener)?, router).await,
    }
}
