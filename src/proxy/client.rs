//! What is known about a client connection, and what its parts tell each other.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use http::HeaderValue;
use http::uri::Scheme;

use super::secured::Secured;
use super::tunnel::PendingTunnel;
use crate::plan::Plan;
use crate::tls::Identity;
use crate::wire::{Fault, PeerAddr};

/// One client connection. Shared by its bytes, its loop and the exchanges on it, all on one worker.
#[derive(Debug)]
pub(super) struct Client {
    /// Who it is.
    pub(super) peer: PeerAddr,
    /// The peer's address as `X-Forwarded-For` carries it.
    pub(super) forwarded_for: HeaderValue,
    /// The port it came in on; `None` on a unix socket.
    pub(super) port: Option<u16>,
    /// What its TLS handshake said; `None`: it speaks plain HTTP.
    pub(super) secured: Option<Box<Secured>>,
    /// Requests received and not yet answered whole.
    pub(super) in_flight: Cell<u32>,
    /// Why the body of its present request cannot be read.
    pub(super) body_fault: Rc<Cell<Option<Fault>>>,
    /// It speaks HTTP/2.
    pub(super) is_h2: Cell<bool>,
    /// An upgrade that begins once its 101 is written.
    pub(super) tunnel: RefCell<Option<PendingTunnel>>,
    /// When bytes last moved, or the last response ended.
    pub(super) active_at: Cell<Instant>,
    trusted: Cell<Option<(u64, bool)>>,
}

impl Client {
    pub(super) fn new(peer: PeerAddr, port: Option<u16>, secured: Option<Box<Secured>>, now: Instant) -> Self {
        let forwarded_for = match peer.ip() {
            Some(ip) => HeaderValue::try_from(ip.to_string()).unwrap_or(UNKNOWN),
            None => UNKNOWN,
        };
        Self {
            peer,
            forwarded_for,
            port,
            secured,
            in_flight: Cell::new(0),
            body_fault: Rc::default(),
            is_h2: Cell::new(false),
            tunnel: RefCell::new(None),
            active_at: Cell::new(now),
            trusted: Cell::new(None),
        }
    }

    /// Who it is by its certificate.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.secured.as_ref()?.identity.as_ref()
    }

    /// The scheme it asks by.
    pub(super) fn scheme(&self) -> Scheme {
        if self.secured.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    /// Whether this peer's own `X-Forwarded-*` headers are believed.
    pub(super) fn is_trusted(&self, plan: &Plan) -> bool {
        if let Some((generation, trusted)) = self.trusted.get()
            && generation == plan.generation
        {
            return trusted;
        }
        let trusted = self.peer.ip().is_some_and(|ip| contains(&plan.trusted, ip));
        self.trusted.set(Some((plan.generation, trusted)));
        trusted
    }
}

/// `X-Forwarded-For`'s word for a client without an address (RFC 7239, section 6.2).
const UNKNOWN: HeaderValue = HeaderValue::from_static("unknown");

/// Whether one of `ranges` holds `ip`.
pub(super) fn contains(ranges: &[ipnet::IpNet], ip: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(&ip))
}
