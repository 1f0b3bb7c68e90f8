//! The TLS handshake with a client, in the connection's own task.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use rustls::server::Acceptor;
use rustls::{AlertDescription, Error, HandshakeKind, InvalidMessage, ProtocolVersion};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{DRAIN_GRACE, close};
use crate::plan::Limits;
use crate::proxy::deadlines::Deadline;
use crate::proxy::secured::{Demands, Gate, Secured};
use crate::proxy::worker::{Open, Worker};
use crate::telemetry::Handshake;
use crate::tls::{Identity, Server};
use crate::wire::Socket;

/// Most bytes of encrypted data kept for a client that does not take them.
const SEND_BUFFER: usize = 64 * 1024;

/// How a handshake failed, and what is left to close.
struct Failed(Handshake, Option<Socket>);

/// Shakes hands with a client by what `server` says. `None` once that has failed: it is counted, and the client was told
/// why as far as TLS has words for it.
pub(super) async fn shake(
    worker: &Worker,
    open: &Open,
    deadline: &Deadline,
    limits: &Limits,
    gate: &Gate,
    server: Arc<Server>,
    socket: Socket,
) -> Option<(Socket, Secured)> {
    let until = Instant::now() + limits.header_timeout;
    let ended = {
        let mut shaking = pin!(begin(server, socket));
        poll_fn(|cx| {
            open.register(cx.waker());
            if let Poll::Ready(ended) = shaking.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            let draining = worker.draining_since().map(|since| since + DRAIN_GRACE);
            let due = draining.map_or(until, |draining| until.min(draining));
            deadline.poll_due(Some(due), cx).map(|()| Err(Failed(Handshake::Timeout, None)))
        })
        .await
    };
    end(gate, ended).await
}

/// The same for a client of an address that no worker serves, within `patience`; gives who the client is by its
/// certificate, where it has shown one.
pub(crate) async fn shake_apart(
    gate: &Gate,
    server: Arc<Server>,
    socket: Socket,
    patience: Duration,
) -> Option<(Socket, Option<Identity>)> {
    let ended = tokio::time::timeout(patience, begin(server, socket)).await;
    end(gate, ended.unwrap_or(Err(Failed(Handshake::Timeout, None))))
        .await
        .map(|(socket, secured)| (socket, secured.identity))
}

/// Counts how a handshake ended.
async fn end(gate: &Gate, ended: Result<(TlsStream<Socket>, Secured), Failed>) -> Option<(Socket, Secured)> {
    match ended {
        Ok((stream, secured)) => {
            let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            gate.handshakes.ended(if resumed { Handshake::Resumed } else { Handshake::Full });
            Some((Socket::tls(stream), secured))
        }
        Err(Failed(result, socket)) => {
            gate.handshakes.ended(result);
            if let Some(socket) = socket {
                // So that the client gets to read why.
                close::linger(socket).await;
            }
            None
        }
    }
}

async fn begin(server: Arc<Server>, socket: Socket) -> Result<(TlsStream<Socket>, Secured), Failed> {
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), socket);
    let start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(error) => return Err(Failed(why(&error), acceptor.take_io())),
    };
    let chosen = server.choose(start.client_hello().server_name());
    let handshake = start.into_stream_with(Arc::clone(chosen.config), |session| {
        session.set_buffer_limit(Some(SEND_BUFFER));
    });
    let stream = match handshake.into_fallible().await {
        Ok(stream) => stream,
        Err((error, socket)) => return Err(Failed(why(&error), Some(socket))),
    };
    let session = stream.get_ref().1;
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let identity = shown.map(|shown| Identity::new(shown, chosen.uris));
    // It was valid when the session began that goes on here. What cannot be told apart from others is nobody.
    let holds = |known: &Identity| !known.is_expired(SystemTime::now());
    let identity = match identity {
        None => None,
        Some(Some(known)) if holds(&known) => Some(known),
        Some(_) => return Err(Failed(Handshake::ClientCertificate, Some(Socket::tls(stream)))),
    };
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let group = chosen.group;
    let demands = server.has_groups().then(|| Demands { server: Arc::clone(&server), group });
    Ok((stream, Secured { version, identity, demands }))
}

/// What a failed handshake is counted as.
fn why(error: &io::Error) -> Handshake {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)) => {
            Handshake::NotTls
        }
        Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => Handshake::ClientCertificate,
        // The client says so, not only by leaving.
        Some(Error::AlertReceived(AlertDescription::UserCanceled | AlertDescription::CloseNotify)) => {
            Handshake::ClientGone
        }
        Some(_) => Handshake::Failed,
        None => Handshake::ClientGone,
    }
}
