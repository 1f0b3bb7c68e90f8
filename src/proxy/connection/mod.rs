//! A client connection from its first byte to its last: which protocol, how long it may be silent, how it ends.

mod close;
mod handshake;
mod http1;
mod http2;

pub(crate) use handshake::shake_apart;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};

use super::client::Client;
use super::deadlines::Deadline;
use super::problem::Problem;
use super::secured::Gate;
use super::worker::{Open, Worker};
use crate::plan::Limits;
use crate::telemetry::Refusal;
use crate::wire::http2::PREFACE;
use crate::wire::{PeerAddr, Socket, with_scratch};

/// Most bytes read at once before the protocol is known.
const FIRST_READ: usize = 4096;
/// How long an unused connection is kept once draining began: a request may be on its way.
const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// Serves one client connection. `open` is `None` where there are too many.
pub(super) async fn serve(
    worker: Rc<Worker>,
    open: Option<Open>,
    socket: Socket,
    peer: PeerAddr,
    port: Option<u16>,
    gate: Arc<Gate>,
) {
    let server = gate.server();
    let Some(open) = open else {
        if server.is_some() {
            // A handshake only to say so would cost what there is too little of.
            return worker.cell.refused(Refusal::TooManyConnections);
        }
        return refuse(&worker, socket, Refusal::TooManyConnections, "Too many connections are open.").await;
    };
    let (limits, deadline) = (worker.view().plan.limits.clone(), worker.deadlines.add());
    let (mut socket, mut secured) = (socket, None);
    if let Some(server) = server {
        // Boxed, so that what it needs is given back when it is over.
        let shaking = Box::pin(handshake::shake(&worker, &open, &deadline, &limits, &gate, server, socket));
        let Some((inside, known)) = shaking.await else { return };
        (socket, secured) = (inside, Some(Box::new(known)));
    }
    let client = Rc::new(Client::new(peer, port, secured, Instant::now()));
    let connection = Connection { worker, client, open, deadline, limits };
    match connection.first_bytes(&mut socket).await {
        First::Http1(first) => http1::serve(&connection, socket, &first).await,
        First::Http2(first) => http2::serve(connection, socket, first).await,
        First::Partial => {
            refuse(&connection.worker, socket, Refusal::HeaderTimeout, TOO_SLOW).await;
        }
        First::Nothing => {}
    }
}

/// What a client is told whose request head takes too long.
const TOO_SLOW: &str = "The request head took too long to arrive.";

/// Counts a refusal, answers with it and closes.
async fn refuse(worker: &Worker, socket: Socket, refusal: Refusal, detail: &'static str) {
    worker.cell.refused(refusal);
    close::refuse(socket, &Problem::refused(refusal, detail)).await;
}

/// What came first on a connection.
enum First {
    /// The beginning of a request, or something that must be refused as one.
    Http1(Vec<u8>),
    /// HTTP/2's preface and what followed it.
    Http2(Vec<u8>),
    /// The client left, or said nothing for too long.
    Nothing,
    /// The client began and did not go on.
    Partial,
}

/// A client connection, whatever is spoken on it.
struct Connection {
    worker: Rc<Worker>,
    client: Rc<Client>,
    open: Open,
    deadline: Deadline,
    limits: Limits,
}

impl Connection {
    /// Reads until it is clear which protocol the client speaks.
    async fn first_bytes(&self, socket: &mut Socket) -> First {
        let mut first = Vec::new();
        let mut until = Instant::now() + self.limits.idle_timeout;
        loop {
            match self.read_until(until, socket, &mut first).await {
                Some(0) => return First::Nothing,
                Some(_) => {}
                None if first.is_empty() => return First::Nothing,
                None => return First::Partial,
            }
            let shared = first.len().min(PREFACE.len());
            if first[..shared] != PREFACE[..shared] {
                return First::Http1(first);
            }
            if shared == PREFACE.len() {
                return First::Http2(first);
            }
            // Counted from the first byte: later ones only find it nearer.
            until = until.min(Instant::now() + self.limits.header_timeout);
        }
    }

    /// Reads once; 0 where the client is gone, `None` where it took too long or draining left no time.
    async fn read_until(&self, until: Instant, socket: &mut Socket, into: &mut Vec<u8>) -> Option<usize> {
        poll_fn(|cx| {
            self.open.register(cx.waker());
            if let Poll::Ready(length) = poll_read_some(socket, cx, into) {
                return Poll::Ready(Some(length));
            }
            let until = match self.worker.draining_since() {
                Some(since) => until.min(since + DRAIN_GRACE),
                None => until,
            };
            self.deadline.set(Some(until));
            if self.deadline.poll_passed(cx) { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

/// Appends what can be read right now; 0 where the client is gone.
fn poll_read_some(socket: &mut Socket, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<usize> {
    with_scratch(|scratch| {
        let mut buf = ReadBuf::new(&mut scratch[..FIRST_READ]);
        if ready!(Pin::new(socket).poll_read(cx, &mut buf)).is_err() {
            return Poll::Ready(0);
        }
        into.extend_from_slice(buf.filled());
        Poll::Ready(buf.filled().len())
    })
}
