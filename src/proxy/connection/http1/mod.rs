//! Serving HTTP/1.0 and HTTP/1.1: one request after the other, each answered before the next is read.

mod departure;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT};
use http::{Method, Response, StatusCode, Version, request};
use http_body::{Body, Frame};

use departure::Departure;

use super::{Connection, DRAIN_GRACE, TOO_SLOW, close, refuse};
use crate::proxy::exchange::{Exchange, Exchanges, RelayBody, tokens};
use crate::proxy::problem::Problem;
use crate::telemetry::Refusal;
use crate::wire::http1::{Framing, Http1Body, Inbound, Outbound, Piece, Seen, response_head};
use crate::wire::{Fault, HeadLimits, Incoming, Socket, give_back_headers};

/// Most bytes read and thrown away of a body whose request was answered before its end.
const UNWANTED: usize = 256 * 1024;

/// How serving ended.
enum Ended {
    /// The last answer was written; the client is let read it.
    Done,
    /// A response could not be finished, or the client did not take it.
    Broken,
    /// A request could not be read.
    Faulty(Fault),
    /// A request head took too long.
    HeaderTimeout,
    /// Between requests: silent for too long, gone, or unused while draining.
    Silent,
}

/// Serves a connection of which `first` was read already.
pub(super) async fn serve(connection: &Connection, socket: Socket, first: &[u8]) {
    let Connection { worker, client, open, limits, .. } = connection;
    let head = HeadLimits { bytes: limits.header_bytes, lines: limits.header_count };
    let inbound = Rc::new(RefCell::new(Inbound::new(socket, head, first, Rc::clone(&client.body_fault))));
    let mut session = Session {
        connection,
        exchanges: Exchanges::new(Rc::clone(worker), Rc::clone(client)),
        inbound: Rc::clone(&inbound),
        outbound: Outbound::default(),
        departure: Departure::default(),
        write_blocked: false,
        head_began: None,
    };
    let ended = session.run().await;
    drop(session);
    // Invariant: the session is gone, and with it every exchange that had a body to read from here.
    let Ok(inbound) = Rc::try_unwrap(inbound) else { return };
    let (mut socket, unread) = inbound.into_inner().into_parts();
    match ended {
        Ended::Done => match client.tunnel.take() {
            Some(tunnel) => tunnel.run(open, socket, &unread).await,
            None => close::linger(socket).await,
        },
        Ended::Broken => socket.abort_on_close(),
        Ended::Faulty(fault) => {
            let (refusal, problem) = Problem::unreadable(fault);
            worker.cell.refused(refusal);
            close::refuse(socket, &problem).await;
        }
        Ended::HeaderTimeout => refuse(worker, socket, Refusal::HeaderTimeout, TOO_SLOW).await,
        Ended::Silent => {}
    }
}

/// One connection while it is served.
struct Session<'a> {
    connection: &'a Connection,
    exchanges: Exchanges,
    inbound: Rc<RefCell<Inbound>>,
    outbound: Outbound,
    departure: Departure,
    /// The last write did not fit: the client does not read.
    write_blocked: bool,
    /// When the request head that is still incomplete began.
    head_began: Option<Instant>,
}

/// What of a request decides how its answer is framed, and what comes after it.
#[derive(Debug, Clone, Copy)]
struct Manner {
    is_head: bool,
    http10: bool,
    keep_alive: bool,
}

impl Session<'_> {
    async fn run(&mut self) -> Ended {
        loop {
            let parts = match poll_fn(|cx| self.poll_request(cx)).await {
                Ok(parts) => parts,
                Err(ended) => return ended,
            };
            let manner = Manner::of(&parts);
            self.departure.may_probe = !manner.http10;
            let body = self.body(&parts);
            let mut exchange = self.exchanges.start(parts, body);
            let response = match poll_fn(|cx| self.poll_answer(&mut exchange, cx)).await {
                Ok(response) => response,
                Err(ended) => return ended,
            };
            drop(exchange);
            match self.relay(response, manner).await {
                Ok(true) => {}
                Ok(false) => return Ended::Done,
                Err(ended) => return ended,
            }
        }
    }

    /// Waits for a whole request head.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<request::Parts, Ended>> {
        self.connection.open.register(cx.waker());
        let mut inbound = self.inbound.borrow_mut();
        loop {
            match inbound.next_request() {
                Ok(Some(parts)) => {
                    self.head_began = None;
                    return Poll::Ready(Ok(parts));
                }
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Err(Ended::Faulty(fault))),
            }
            if self.head_began.is_none() && inbound.is_in_head() {
                self.head_began = Some(Instant::now());
            }
            match inbound.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Ended::Silent)),
                Poll::Pending => break,
            }
        }
        let due = self.head_due();
        let too_slow = || if self.head_began.is_some() { Ended::HeaderTimeout } else { Ended::Silent };
        self.connection.deadline.poll_due(Some(due), cx).map(|()| Err(too_slow()))
    }

    /// When a request must have come whole.
    fn head_due(&self) -> Instant {
        let Connection { client, limits, worker, .. } = self.connection;
        let active = client.active_at.get();
        let due = match self.head_began {
            Some(began) => began + limits.header_timeout,
            None => active + limits.idle_timeout,
        };
        let draining = worker.draining_since().map(|since| active.max(since) + DRAIN_GRACE);
        draining.map_or(due, |draining| due.min(draining))
    }

    fn body(&self, parts: &request::Parts) -> Incoming {
        let Some(body) = Http1Body::of_present(&self.inbound) else { return Incoming::Empty };
        let expects = parts.headers.get(EXPECT).is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if expects && parts.version == Version::HTTP_11 {
            self.inbound.borrow_mut().invite_body();
        }
        Incoming::Http1(body)
    }

    /// Waits for the exchange's response, and for the client to leave.
    fn poll_answer(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<RelayBody>, Ended>> {
        if let Poll::Ready(answer) = Pin::new(exchange).poll(cx) {
            return Poll::Ready(answer.map_err(|_| Ended::Broken));
        }
        self.poll_client_lost(false, cx).map(|()| Err(Ended::Broken))
    }

    /// Resolves when there is nobody any more to answer to.
    fn poll_client_lost(&mut self, answering: bool, cx: &mut Context<'_>) -> Poll<()> {
        let Connection { client, limits, open, .. } = self.connection;
        open.register(cx.waker());
        let mut inbound = self.inbound.borrow_mut();
        if self.departure.poll_gone(&mut inbound, client, answering || self.write_blocked, cx).is_ready() {
            return Poll::Ready(());
        }
        let silent_since = if self.write_blocked { Some(client.active_at.get()) } else { inbound.waiting_since() };
        let gone = self.departure.due(client, answering && !self.write_blocked);
        let idle = silent_since.map(|since| since + limits.idle_timeout);
        self.connection.deadline.poll_due([gone, idle].into_iter().flatten().min(), cx)
    }

    /// Writes a response; whether another request may follow on this connection.
    async fn relay(&mut self, response: Response<RelayBody>, manner: Manner) -> Result<bool, Ended> {
        let (mut head, mut body) = response.into_parts();
        let framing = manner.framing(head.status, &body);
        if manner.is_head
            && !body.is_end_stream()
            && !head.headers.contains_key(CONTENT_LENGTH)
            && let Some(length) = body.size_hint().exact()
        {
            head.headers.insert(CONTENT_LENGTH, length.into());
        }
        let draining = self.connection.worker.draining_since().is_some();
        let mut rest = framing != Framing::Bodiless && !body.is_end_stream();
        let half_invited = self.inbound.borrow_mut().end_invitation();
        // A request that is answered whole before it has come whole is not waited for.
        let waits = !rest && !poll_fn(|cx| Poll::Ready(self.poll_unwanted(cx))).await;
        let mut keep_alive = manner.keep_alive && framing != Framing::UntilClose && !draining && !waits;
        let out = self.outbound.buffer();
        out.extend_from_slice(half_invited);
        response_head(out, head.status, &head.headers, framing, |out, seen| {
            // What an exchange says of the connection is that it ends, or that it becomes another protocol's.
            keep_alive &= !seen.connection;
            finish_head(out, seen, keep_alive, manner.http10);
        });
        give_back_headers(head.headers);
        if !rest {
            self.end_body(framing);
        }
        poll_fn(|cx| self.poll_relay(&mut body, framing, &mut rest, cx)).await?;
        body.delivered(&self.connection.client);
        if self.departure.is_finished() && !self.inbound.borrow().is_in_head() {
            keep_alive = false;
        }
        Ok(keep_alive && poll_fn(|cx| Poll::Ready(self.poll_unwanted(cx))).await)
    }

    /// Moves the body, gathering what comes together. `rest`: there is more of it to come.
    fn poll_relay(
        &mut self,
        body: &mut RelayBody,
        framing: Framing,
        rest: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Ended>> {
        let mut broken = false;
        loop {
            let mut waits = false;
            while *rest && !broken && !self.outbound.is_full() {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let is_last = frame.is_trailers();
                        self.append(frame, framing);
                        if is_last {
                            *rest = false;
                        } else if body.is_end_stream() {
                            *rest = false;
                            self.end_body(framing);
                        }
                    }
                    Poll::Ready(None) => {
                        *rest = false;
                        self.end_body(framing);
                    }
                    Poll::Ready(Some(Err(_))) => broken = true,
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                }
            }
            match self.poll_write(cx) {
                // What came before is written as far as the client takes it.
                _ if broken => return Poll::Ready(Err(Ended::Broken)),
                Poll::Ready(Ok(())) if !*rest => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if !waits => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Ended::Broken)),
                Poll::Ready(Ok(())) | Poll::Pending => break,
            }
        }
        self.poll_client_lost(true, cx).map(|()| Err(Ended::Broken))
    }

    fn append(&mut self, frame: Frame<Bytes>, framing: Framing) {
        match frame.into_data() {
            Ok(data) => self.outbound.piece(data, framing == Framing::Chunked),
            Err(other) => {
                if let (Ok(trailers), Framing::Chunked) = (other.into_trailers(), framing) {
                    self.outbound.last_chunk(Some(&trailers));
                }
            }
        }
    }

    fn end_body(&mut self, framing: Framing) {
        if framing == Framing::Chunked {
            self.outbound.last_chunk(None);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outbound.is_delivered() {
            return Poll::Ready(Ok(()));
        }
        let mut moved = false;
        let written = self.outbound.poll_flush(&mut self.inbound.borrow_mut().socket, cx, &mut moved);
        let blocked = written.is_pending();
        // A client that is slow, or has stopped sending, is timed from the last moment it took something.
        if self.write_blocked != blocked || (moved && (blocked || self.departure.is_finished())) {
            self.write_blocked = blocked;
            self.connection.client.active_at.set(Instant::now());
        }
        written
    }

    /// Throws away what has come of a body whose request is answered already; whether that was all, so that a request may
    /// follow. To wait for the rest is not worth a connection.
    fn poll_unwanted(&mut self, cx: &mut Context<'_>) -> bool {
        let mut inbound = self.inbound.borrow_mut();
        let mut left = UNWANTED;
        while !inbound.is_body_taken() {
            match inbound.poll_piece(cx) {
                Poll::Ready(Ok(Piece::Data(data))) if data.len() <= left => left -= data.len(),
                Poll::Ready(Ok(Piece::Trailers(_) | Piece::End)) => {}
                _ => return false,
            }
        }
        true
    }
}

impl Manner {
    fn of(parts: &request::Parts) -> Self {
        let http10 = parts.version == Version::HTTP_10;
        let says = |word: &[u8]| {
            parts.headers.get_all(CONNECTION).iter().flat_map(tokens).any(|token| token.eq_ignore_ascii_case(word))
        };
        Self {
            is_head: parts.method == Method::HEAD,
            http10,
            keep_alive: if http10 { says(b"keep-alive") } else { !says(b"close") },
        }
    }

    /// How the body of an answer is delimited (RFC 9112, section 6.3).
    fn framing(self, status: StatusCode, body: &RelayBody) -> Framing {
        let bodiless =
            matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS);
        if self.is_head || bodiless {
            return Framing::Bodiless;
        }
        match body.size_hint().exact() {
            Some(length) => Framing::Length(length),
            None if self.http10 => Framing::UntilClose,
            None => Framing::Chunked,
        }
    }
}

/// Ends a head with what this hop has to say: the date where nobody said it (RFC 9110, section 6.6.1), and whether the
/// connection stays open.
fn finish_head(out: &mut Vec<u8>, seen: Seen, keep_alive: bool, http10: bool) {
    if !seen.date {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(httpdate::fmt_http_date(SystemTime::now()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !seen.connection && !keep_alive {
        out.extend_from_slice(b"connection: close\r\n");
    } else if !seen.connection && http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
}
