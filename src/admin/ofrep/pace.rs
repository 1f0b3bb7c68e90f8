//! How long a client may take.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Instant;

use crate::wire::PlainIo;

/// How long a client may take for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between requests.
    pub(super) idle: Duration,
    /// For the head of a request, from its first byte.
    pub(super) head: Duration,
    /// For the body of a request.
    pub(super) body: Duration,
    /// For taking anything at all of what is sent.
    pub(super) taking: Duration,
    /// How often this is looked at: everything but a body may take this much longer.
    pub(super) look: Duration,
    /// How often a client that waits for events is told that there are none.
    pub(super) keep_alive: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            taking: Duration::from_secs(10),
            look: Duration::from_secs(5),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// Where a connection stands. Shared by its socket, which sees bytes, and its requests, which see exchanges.
#[derive(Debug)]
pub(super) struct Pace {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Since when the client takes nothing.
    blocked: Cell<Option<Instant>>,
    /// Whether something of a request was left unread, so that closing would reset the connection.
    unread: Cell<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No request has begun.
    Idle,
    /// Some of a head is there.
    Head,
    /// A request is being answered.
    Exchange,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            phase: Cell::new(Phase::Idle),
            since: Cell::new(Instant::now()),
            blocked: Cell::new(None),
            unread: Cell::new(false),
        }
    }

    /// A head is complete.
    pub(super) fn exchange_begins(&self) {
        self.phase.set(Phase::Exchange);
    }

    /// An answer is on its way.
    pub(super) fn exchange_ends(&self) {
        self.enter(Phase::Idle);
    }

    /// A body will not be read to its end.
    pub(super) fn leave_unread(&self) {
        self.unread.set(true);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.get()
    }

    /// Whether the client has taken longer than it may.
    pub(super) fn is_overdue(&self, patience: &Patience, now: Instant) -> bool {
        let over = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        self.blocked.get().is_some_and(|since| over(since, patience.taking))
            || match self.phase.get() {
                Phase::Idle => over(self.since.get(), patience.idle),
                Phase::Head => over(self.since.get(), patience.head),
                // Its body has a limit of its own.
                Phase::Exchange => false,
            }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
    }

    fn read(&self) {
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn wrote<T>(&self, result: &Poll<T>) {
        match result {
            Poll::Ready(_) => self.blocked.set(None),
            Poll::Pending if self.blocked.get().is_none() => self.blocked.set(Some(Instant::now())),
            Poll::Pending => {}
        }
    }
}

/// A socket that tells its pace.
pub(super) struct PacedIo {
    io: PlainIo,
    pace: Rc<Pace>,
}

impl PacedIo {
    pub(super) fn new(io: PlainIo, pace: Rc<Pace>) -> Self {
        Self { io, pace }
    }

    pub(super) fn into_inner(self) -> PlainIo {
        self.io
    }
}

impl Read for PacedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(cx, cursor);
        if matches!(result, Poll::Ready(Ok(()))) {
            self.pace.read();
        }
        result
    }
}

impl Write for PacedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.pace.wrote(&result);
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.pace.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
