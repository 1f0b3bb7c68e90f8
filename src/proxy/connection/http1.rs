//! Serving HTTP/1.0 and HTTP/1.1.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;

use super::{Connection, DRAIN_GRACE, TOO_SLOW, close, refuse};
use crate::proxy::client_io::ClientIo;
use crate::proxy::exchange::Exchanges;
use crate::proxy::problem::Problem;
use crate::telemetry::Refusal;
use crate::wire::{Fault, HeadLimits, Socket};

/// Silence within a response after which a client that has stopped sending counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(1);
/// How long hyper is kept for an unused connection.
const PARK_AFTER: Duration = Duration::from_millis(100);
/// Most bytes hyper buffers of one connection.
const BUFFER: usize = 64 * 1024;
/// Header lines hyper has room for without being asked.
const HYPER_LINES: usize = 100;

/// How serving ended.
enum Ended {
    /// In good order: closed by either side, or upgraded.
    Done,
    /// A response could not be finished, or the client did not take it.
    Broken,
    /// hyper refused a request that the guard had let through.
    Refused(Fault),
    /// A request could not be read.
    Faulty(Fault),
    /// A request head took too long.
    HeaderTimeout,
    /// Between requests: silent for too long, gone, or unused while draining.
    Silent,
    /// Unused for a while.
    Parked,
}

/// Serves a connection of which `first` was read already. Gives the socket back where it is unused for a while: hyper
/// keeps some 16 KiB of buffers for a connection, and most connections are unused most of the time.
pub(super) async fn serve(connection: &Connection, socket: Socket, first: Vec<u8>) -> Option<Socket> {
    let Connection { worker, client, open, limits, .. } = connection;
    let head = HeadLimits { bytes: limits.header_bytes, lines: limits.header_count };
    let io = ClientIo::new(socket, Rc::clone(client), head, first);
    let mut builder = http1::Builder::new();
    // The guard in `ClientIo` refuses larger heads first; hyper's own bounds only have to be no tighter.
    builder.max_buf_size(limits.header_bytes.max(BUFFER)).writev(false);
    if limits.header_count > HYPER_LINES {
        builder.max_headers(limits.header_count);
    }
    let mut conn = builder.serve_connection(io, Exchanges::new(Rc::clone(worker), Rc::clone(client)));
    let ended = poll_fn(|cx| connection.poll_http1(&mut conn, cx)).await;
    let parts = conn.into_parts();
    let (socket, unread) = parts.io.into_parts();
    match ended {
        Ended::Done => match client.tunnel.take() {
            Some(tunnel) => tunnel.run(open, socket, &[&parts.read_buf, &unread[..]].concat()).await,
            None => close::linger(socket).await,
        },
        Ended::Broken => socket.abort_on_close(),
        // An answer before it has not left yet, and hyper's own refusal stands behind that.
        Ended::Refused(fault) if client.answer_due.get() => {
            worker.cell.refused(Problem::unreadable(fault).0);
            close::linger(socket).await;
        }
        Ended::Refused(fault) | Ended::Faulty(fault) => {
            let (refusal, problem) = Problem::unreadable(fault);
            worker.cell.refused(refusal);
            close::refuse(socket, &problem).await;
        }
        Ended::HeaderTimeout => refuse(worker, socket, Refusal::HeaderTimeout, TOO_SLOW).await,
        Ended::Silent => {}
        // What was read belongs to the body of a request that was answered before its end, or stands behind that.
        Ended::Parked if parts.read_buf.iter().chain(&unread).any(|byte| !b"\r\n".contains(byte)) => {
            close::linger(socket).await;
        }
        Ended::Parked => return Some(socket),
    }
    None
}

impl Connection {
    fn poll_http1(&self, conn: &mut http1::Connection<ClientIo, Exchanges>, cx: &mut Context<'_>) -> Poll<Ended> {
        self.open.register(cx.waker());
        if let Poll::Ready(ended) = conn.poll_without_shutdown(cx) {
            return Poll::Ready(match ended {
                Ok(()) => Ended::Done,
                Err(error) if error.is_parse_too_large() => Ended::Refused(Fault::TooLarge),
                Err(error) if error.is_parse() => Ended::Refused(Fault::Malformed("The request is not HTTP/1.1.")),
                Err(_) => Ended::Broken,
            });
        }
        let client = &self.client;
        let busy = client.in_flight.get() > 0;
        if !busy && !client.write_blocked.get() {
            if let Some(fault) = client.fault.get() {
                return Poll::Ready(Ended::Faulty(fault));
            }
            if client.finished_sending.get() {
                return Poll::Ready(Ended::Silent);
            }
        }
        if busy && self.worker.draining_since().is_some() {
            // The response says `Connection: close`.
            Pin::new(conn).graceful_shutdown();
        }
        self.deadline.set(self.due(busy));
        if !self.deadline.poll_passed(cx) {
            return Poll::Pending;
        }
        Poll::Ready(if busy || self.is_unfinished() {
            Ended::Broken
        } else if client.head_began.get().is_some() {
            Ended::HeaderTimeout
        } else if self.worker.draining_since().is_none() && client.active_at.get().elapsed() < self.limits.idle_timeout
        {
            Ended::Parked
        } else {
            Ended::Silent
        })
    }

    /// Whether hyper still has the end of an answer, or waits for the end of a body whose request was answered before. To
    /// begin anew now would lose the one, or take the other for a request.
    fn is_unfinished(&self) -> bool {
        self.client.write_blocked.get() || self.client.in_body.get()
    }

    /// When the connection has been waiting for its client for too long; `None` while it waits for an upstream.
    fn due(&self, busy: bool) -> Option<Instant> {
        let client = &self.client;
        let active = client.active_at.get();
        let idle = active + self.limits.idle_timeout;
        if busy {
            let gone = client.finished_sending.get() && client.answering.get() && !client.write_blocked.get();
            let waiting = client.write_blocked.get() || (client.in_body.get() && client.read_blocked.get());
            return if gone { Some(active + GONE_AFTER) } else { waiting.then_some(idle) };
        }
        if self.is_unfinished() {
            return Some(idle);
        }
        let due = match client.head_began.get() {
            Some(began) => began.max(active) + self.limits.header_timeout,
            None => idle.min(active + PARK_AFTER),
        };
        match self.worker.draining_since() {
            Some(since) => Some(due.min(active.max(since) + DRAIN_GRACE)),
            None => Some(due),
        }
    }
}
