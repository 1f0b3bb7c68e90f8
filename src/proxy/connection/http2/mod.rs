//! Serving HTTP/2, with prior knowledge or as agreed by TLS: all streams of a connection in its one task.
//!
//! A turn of the task reads what came, begins what was asked, goes on with every stream that was woken or may send again, and writes
//! all that gathered at once.

mod bell;
mod stalls;
mod work;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};

use bell::Bells;
use stalls::Stalls;
use work::{Progress, Work};

use super::{Connection, DRAIN_GRACE, close};
use crate::proxy::exchange::Exchanges;
use crate::telemetry::Refusal;
use crate::wire::http2::{self, Bounds, Http2Body, Key, PREFACE, Reason};
use crate::wire::{Incoming, Socket, with_scratch};

/// Bytes of requests kept for one stream, and for all of a connection, before they are used.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Reads, and rounds of work, before other tasks have their turn.
const READS: usize = 4;
const ROUNDS: usize = 8;

/// How serving ended.
enum Ended {
    /// All was said; the client is let read it.
    Done,
    /// The client has left.
    Gone,
    /// The client did not take what it was sent.
    Broken,
}

/// Serves a connection to its end.
pub(super) async fn serve(connection: Connection, socket: Socket, first: Vec<u8>) {
    connection.client.is_h2.set(true);
    let mut session = Session::new(&connection, socket);
    session.receive(&first[PREFACE.len()..]);
    drop(first);
    // Its turns are bounded by what they move; tokio's own bound would end one in the middle of it.
    let ended = tokio::task::coop::unconstrained(poll_fn(|cx| session.poll(cx))).await;
    let Session { mut socket, .. } = session;
    match ended {
        Ended::Done => close::linger(socket).await,
        Ended::Broken => socket.abort_on_close(),
        Ended::Gone => {}
    }
}

/// A connection while it is served.
struct Session<'a> {
    connection: &'a Connection,
    exchanges: Exchanges,
    socket: Socket,
    wire: Rc<RefCell<http2::Connection>>,
    /// What is done on each stream, by its place.
    work: Vec<Option<Work>>,
    /// Places to go on with, in order.
    queue: VecDeque<u32>,
    bells: Bells,
    stalls: Stalls,
    /// The client is told to go, since.
    leaving: Option<Instant>,
    /// It was told which stream is the last.
    last_said: bool,
    /// The connection is at fault: nothing more is read, and when all is written it is over.
    faulty: bool,
    /// Since when the client has taken nothing that is to be written.
    blocked: Option<Instant>,
    /// When the message head that is still incomplete began.
    head_began: Option<Instant>,
}

impl<'a> Session<'a> {
    fn new(connection: &'a Connection, socket: Socket) -> Self {
        let Connection { worker, client, limits, .. } = connection;
        let bounds = Bounds {
            stream_window: STREAM_WINDOW,
            connection_window: CONNECTION_WINDOW,
            list_bytes: limits.header_bytes,
            streams: limits.h2_streams,
            resets: limits.h2_pending_resets,
        };
        Self {
            connection,
            exchanges: Exchanges::new(Rc::clone(worker), Rc::clone(client)),
            socket,
            wire: Rc::new(RefCell::new(http2::Connection::server(bounds))),
            work: Vec::new(),
            queue: VecDeque::new(),
            bells: Bells::default(),
            stalls: Stalls::default(),
            leaving: None,
            last_said: false,
            faulty: false,
            blocked: None,
            head_began: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.connection.open.register(cx.waker());
        self.wire.borrow_mut().begin_turn(cx);
        if !self.bells.belong_to(cx) {
            (0..self.work.len()).for_each(|slot| self.enqueue(slot as u32));
        }
        for _ in 0..ROUNDS {
            let mut again = match self.poll_read(cx) {
                Ok(again) => again,
                Err(ended) => return Poll::Ready(ended),
            };
            self.begin_work();
            self.do_work(cx);
            self.part();
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) if self.is_over() => return Poll::Ready(Ended::Done),
                Poll::Ready(Ok(())) => again |= !self.queue.is_empty(),
                Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                Poll::Pending if self.faulty => return Poll::Ready(Ended::Broken),
                // What waits for room goes on when there is some.
                Poll::Pending => again = false,
            }
            if again {
                continue;
            }
            match self.poll_time(cx) {
                Poll::Ready(Some(ended)) => return Poll::Ready(ended),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    self.wire.borrow_mut().rest();
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads what there is; whether there may be more right now.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        for _ in 0..READS {
            // Who does not take answers is not asked for more to answer.
            if self.faulty || self.wire.borrow().out.is_overfull() {
                return Ok(false);
            }
            let Self { socket, wire, .. } = self;
            let read = with_scratch(|scratch| {
                let mut buf = ReadBuf::new(scratch);
                match Pin::new(socket).poll_read(cx, &mut buf) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(_)) => Poll::Ready(None),
                    Poll::Ready(Ok(())) if buf.filled().is_empty() => Poll::Ready(None),
                    Poll::Ready(Ok(())) => Poll::Ready(Some(wire.borrow_mut().receive(buf.filled()))),
                }
            });
            match read {
                Poll::Pending => return Ok(false),
                Poll::Ready(None) => return Err(Ended::Gone),
                Poll::Ready(Some(received)) => self.received(received),
            }
        }
        Ok(true)
    }

    fn receive(&mut self, bytes: &[u8]) {
        let received = self.wire.borrow_mut().receive(bytes);
        self.received(received);
    }

    fn received(&mut self, received: Result<(), http2::Fault>) {
        let mut wire = self.wire.borrow_mut();
        let worker = &self.connection.worker;
        for _ in 0..wire.take_malformed() {
            worker.cell.refused(Refusal::Malformed);
        }
        match received {
            Ok(()) if wire.is_in_head() => self.head_began = self.head_began.or_else(|| Some(Instant::now())),
            Ok(()) => self.head_began = None,
            Err(fault) => {
                tracing::trace!(%fault, "a client connection is at fault");
                let flood = http2::Connection::is_flood(fault);
                worker.cell.refused(if flood { Refusal::ResetFlood } else { Refusal::Malformed });
                wire.go_away(fault);
                drop(wire);
                self.give_up();
            }
        }
    }

    /// The connection is over once what is to be written is: whatever is still being done is for nobody.
    fn give_up(&mut self) {
        self.faulty = true;
        self.head_began = None;
        self.queue.clear();
        self.work.clear();
    }

    /// Drops what nobody waits for any more, and begins what was asked.
    fn begin_work(&mut self) {
        if self.faulty {
            return;
        }
        loop {
            let gone = self.wire.borrow_mut().next_gone();
            let Some(key) = gone else { break };
            self.end(key);
        }
        loop {
            let arrived = self.wire.borrow_mut().next_arrival();
            let Some(arrival) = arrived else { break };
            let work = if let Some(head) = arrival.head {
                let is_head = head.method == http::Method::HEAD;
                let body = if arrival.has_body {
                    Incoming::Http2(Http2Body::new(&self.wire, arrival.key))
                } else {
                    Incoming::Empty
                };
                Work::new(arrival.key, is_head, self.exchanges.start(head, body))
            } else {
                self.wire.borrow_mut().unwanted(arrival.key);
                Work::new(arrival.key, false, self.exchanges.refuse_too_large())
            };
            let slot = arrival.key.slot as usize;
            if self.work.len() <= slot {
                self.work.resize_with(slot + 1, || None);
            }
            self.work[slot] = Some(work);
            self.enqueue(arrival.key.slot);
        }
        self.bells.take_rung(|slot| enqueue(&mut self.work, &mut self.queue, slot));
        loop {
            let resumed = self.wire.borrow_mut().next_resumed();
            let Some(key) = resumed else { break };
            self.enqueue(key.slot);
        }
    }

    fn enqueue(&mut self, slot: u32) {
        enqueue(&mut self.work, &mut self.queue, slot);
    }

    /// Goes on with each stream in the queue, until there is as much to write as is written at once.
    fn do_work(&mut self, cx: &mut Context<'_>) {
        for _ in 0..self.queue.len() {
            if self.wire.borrow().out.is_full() {
                return;
            }
            let Some(slot) = self.queue.pop_front() else { return };
            let Some(work) = self.work.get_mut(slot as usize).and_then(Option::as_mut) else { continue };
            work.queued = false;
            let waker = self.bells.waker(slot, cx);
            match work.poll(&self.wire, &mut Context::from_waker(waker)) {
                Progress::Waits => {}
                Progress::Starves => self.stalls.note(work),
                Progress::Full => self.enqueue(slot),
                Progress::Done => {
                    let key = work.key;
                    self.end(key);
                    self.wire.borrow_mut().close(key);
                }
                Progress::Broken => {
                    let key = work.key;
                    self.end(key);
                    self.wire.borrow_mut().reset(key, Reason::INTERNAL_ERROR);
                }
            }
        }
    }

    /// Nothing is done on a stream any more.
    fn end(&mut self, key: Key) {
        if let Some(work) = self.work.get_mut(key.slot as usize)
            && work.as_ref().is_some_and(|work| work.key == key)
        {
            *work = None;
        }
    }

    /// Tells the client to go where serin does.
    fn part(&mut self) {
        let mut wire = self.wire.borrow_mut();
        if self.leaving.is_none() {
            if self.connection.worker.draining_since().is_some() && !self.faulty {
                wire.begin_leaving();
                self.leaving = Some(Instant::now());
            }
        } else if !self.last_said && wire.is_ponged() {
            wire.leave();
            self.last_said = true;
        }
    }

    /// Whether there is nothing left to do, once all is written.
    fn is_over(&self) -> bool {
        self.faulty || (self.last_said && self.wire.borrow().open_streams() == 0)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let mut wire = self.wire.borrow_mut();
        if wire.out.is_delivered() {
            return Poll::Ready(Ok(()));
        }
        let mut moved = false;
        match wire.out.poll_flush(&mut self.socket, cx, &mut moved) {
            Poll::Ready(Ok(())) => {
                self.blocked = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Ended::Gone)),
            Poll::Pending => {
                if moved || self.blocked.is_none() {
                    self.blocked = Some(Instant::now());
                }
                Poll::Pending
            }
        }
    }

    /// Does what is due: ready where there was something, which may be the end.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ended>> {
        let Connection { client, worker, limits, deadline, .. } = self.connection;
        let unused = self.wire.borrow().open_streams() == 0;
        let idle = match self.leaving {
            Some(since) if unused || !self.last_said => Some(since + DRAIN_GRACE),
            None if unused => Some(client.active_at.get() + limits.idle_timeout),
            _ => None,
        };
        let blocked = self.blocked.map(|since| since + limits.idle_timeout);
        let head = self.head_began.map(|since| since + limits.header_timeout);
        let stalled = self.stalls.first(&self.work).map(|since| since + limits.idle_timeout);
        let due = [idle, blocked, head, stalled].into_iter().flatten().min();
        if deadline.poll_due(due, cx).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if is_due(blocked) {
            return Poll::Ready(Some(Ended::Broken));
        }
        if is_due(head) {
            worker.cell.refused(Refusal::HeaderTimeout);
            self.wire.borrow_mut().leave();
            self.give_up();
        }
        while is_due(self.stalls.first(&self.work).map(|since| since + limits.idle_timeout)) {
            let Some(key) = self.stalls.take_first() else { break };
            self.end(key);
            self.wire.borrow_mut().reset(key, Reason::CANCEL);
        }
        if is_due(idle) {
            if self.leaving.is_none() {
                self.wire.borrow_mut().begin_leaving();
                self.leaving = Some(now);
            } else if self.last_said {
                // It does not take even that.
                return Poll::Ready(Some(Ended::Broken));
            } else {
                self.wire.borrow_mut().leave();
                self.last_said = true;
            }
        }
        Poll::Ready(None)
    }
}

fn enqueue(work: &mut [Option<Work>], queue: &mut VecDeque<u32>, slot: u32) {
    if let Some(Some(work)) = work.get_mut(slot as usize)
        && !std::mem::replace(&mut work.queued, true)
    {
        queue.push_back(slot);
    }
}
