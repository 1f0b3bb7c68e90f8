//! A connection to the admin address, from its first byte to its last.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tower_service::Service;

use crate::access::Source;
use crate::proxy::{Gate, shake_apart};
use crate::tls::Identity;
use crate::wire::{PeerAddr, PlainIo, Socket};
use hyper_util::rt::TokioTimer;

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest that a TLS handshake, and the first bytes after it, may take.
const BEGINNING: Duration = Duration::from_secs(10);
/// Longest that a connection may be silent between requests, or a request's head take.
const SILENCE: Duration = Duration::from_secs(75);
/// How often an HTTP/2 client that says nothing is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// Most requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 64;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    address: PeerAddr,
    /// Where its failures count.
    pub(super) source: Source,
    /// The user behind a unix socket.
    pub(super) uid: Option<u32>,
    /// By TLS.
    pub(super) encrypted: bool,
    /// By the certificate it has shown.
    pub(super) identity: Option<Identity>,
    /// Ends its connection, whatever is under way there.
    pub(super) hang_up: Notify,
}

impl Peer {
    /// Whoever is at the other end of this socket, before TLS.
    pub(super) fn of(socket: &Socket, address: PeerAddr) -> Self {
        let uid = match socket {
            Socket::Unix(socket) => socket.peer_cred().ok().map(|peer| peer.uid()),
            Socket::Tcp(_) | Socket::Tls(_) => None,
        };
        let source = match (address.ip(), uid) {
            (Some(ip), _) => Source::of(ip),
            (None, Some(uid)) => Source::Uid(uid),
            (None, None) => Source::Unix,
        };
        Self { address, source, uid, encrypted: false, identity: None, hang_up: Notify::new() }
    }

    pub(super) fn is_unix(&self) -> bool {
        self.address == PeerAddr::Unix
    }

    /// What it is called as long as it has no other name.
    pub(super) fn name(&self) -> String {
        match (&self.identity, self.uid) {
            (Some(identity), _) => identity.subject().to_string(),
            (None, Some(uid)) => format!("uid {uid}"),
            (None, None) => "nobody".to_owned(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Serves a connection to its end; every request has the [`Peer`] among its extensions.
pub(super) async fn serve(router: Router, gate: Arc<Gate>, socket: Socket, mut peer: Peer) {
    let mut socket = match gate.server() {
        None => socket,
        Some(server) => {
            let Some((inside, identity)) = shake_apart(&gate, server, socket, BEGINNING).await else { return };
            peer.encrypted = true;
            peer.identity = identity;
            inside
        }
    };
    let Ok(Some((first, is_h2))) = tokio::time::timeout(BEGINNING, first_bytes(&mut socket)).await else { return };
    let (io, peer) = (PlainIo::new(socket, first), Arc::new(peer));
    let hung_up = Arc::clone(&peer);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&peer));
        // A router is always ready.
        router.clone().call(request)
    });
    let serving = async {
        if is_h2 {
            let mut builder = http2::Builder::new(Spawns);
            builder.timer(TokioTimer::new()).keep_alive_interval(PING).max_concurrent_streams(STREAMS);
            builder.serve_connection(io, service).await
        } else {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(SILENCE).half_close(true);
            builder.serve_connection(io, service).await
        }
    };
    let ended = tokio::select! {
        ended = serving => ended,
        () = hung_up.hang_up.notified() => Ok(()),
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection to the admin address ended");
    }
}

/// What comes first, and whether that is HTTP/2's preface; `None` where the client is gone.
async fn first_bytes(socket: &mut Socket) -> Option<(Vec<u8>, bool)> {
    let (mut first, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let length = socket.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        first.extend_from_slice(&chunk[..length]);
        let shared = first.len().min(H2_PREFACE.len());
        let is_h2 = first[..shared] == H2_PREFACE[..shared];
        if !is_h2 || shared == H2_PREFACE.len() {
            return Some((first, is_h2));
        }
    }
}

/// Runs the streams of an HTTP/2 connection as tasks of their own.
#[derive(Debug, Clone, Copy)]
struct Spawns;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Spawns {
    fn execute(&self, stream: F) {
        tokio::spawn(stream);
    }
}
