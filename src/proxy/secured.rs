//! What is known of a client by its TLS handshake, and where listeners keep what that needs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::telemetry::HandshakeCell;
use crate::tls::{Identity, Server};

/// The way in at a listener: with TLS or without, as the control plane says at the moment.
#[derive(Debug)]
pub struct Gate {
    server: ArcSwapOption<Server>,
    pub(super) handshakes: Arc<HandshakeCell>,
}

impl Gate {
    /// A gate that counts its handshakes there. `server`: `None` for plain HTTP.
    #[must_use]
    pub fn new(server: Option<Arc<Server>>, handshakes: Arc<HandshakeCell>) -> Self {
        Self { server: ArcSwapOption::new(server), handshakes }
    }

    /// Connections from now on find this; those that are open keep what they have.
    pub fn set(&self, server: Option<Arc<Server>>) {
        self.server.store(server);
    }

    /// The TLS that a connection finds now; `None`: plain HTTP.
    #[must_use]
    pub fn server(&self) -> Option<Arc<Server>> {
        self.server.load_full()
    }
}

/// A client connection inside TLS.
#[derive(Debug)]
pub(super) struct Secured {
    /// Such as `TLSv1.3`.
    pub(super) version: &'static str,
    /// Who the client is, where it has shown a certificate.
    pub(super) identity: Option<Identity>,
    /// What was asked of the client, where the listener's names differ in that.
    pub(super) demands: Option<Demands>,
}

/// What the name that the handshake was for asks of clients.
#[derive(Debug)]
pub(super) struct Demands {
    pub(super) server: Arc<Server>,
    pub(super) group: usize,
}

impl Secured {
    /// Whether a request for `host` may be made on this connection: the handshake has asked of the client what it would have
    /// been asked under that name. A request that names no host stays with the name of the handshake.
    pub(super) fn serves(&self, host: &str) -> bool {
        let Some(Demands { server, group }) = &self.demands else { return true };
        host.is_empty() || server.group_of(host) == *group
    }
}
