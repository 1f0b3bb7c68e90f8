//! The task that moves a connection's bytes, and asks for a sign of life where there is none.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

use super::Shared;
use crate::wire::http2::Lost;
use crate::wire::{Socket, with_scratch};

/// Reads, and rounds of reading and writing, before other tasks have their turn.
const READS: usize = 4;
const ROUNDS: usize = 8;

pub(super) struct Mover {
    shared: Rc<Shared>,
    socket: Socket,
    pulse: Option<Pulse>,
    /// Nobody needs the connection any more, which was said.
    leaving: bool,
}

/// Pings a connection on which nothing comes.
struct Pulse {
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    heard_at: Instant,
    /// Since when a ping is unanswered.
    asked_at: Option<Instant>,
}

impl Mover {
    /// `interval`: silence after which a sign of life is asked for, if ever.
    pub(super) fn new(shared: Rc<Shared>, socket: Socket, interval: Option<Duration>) -> Self {
        let pulse = interval.map(|interval| Pulse {
            interval,
            timer: Box::pin(tokio::time::sleep(interval)),
            heard_at: Instant::now(),
            asked_at: None,
        });
        Self { shared, socket, pulse, leaving: false }
    }

    /// Moves bytes until the connection is over.
    pub(super) async fn run(mut self) {
        // Its turns are bounded by what they move.
        let lost = tokio::task::coop::unconstrained(poll_fn(|cx| self.poll(cx))).await;
        self.shared.closed.set(true);
        self.shared.wire.borrow_mut().lose(lost);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        self.shared.wire.borrow_mut().begin_turn(cx);
        for _ in 0..ROUNDS {
            let mut again = match self.poll_read(cx) {
                Ok(again) => again,
                Err(lost) => return Poll::Ready(lost),
            };
            if Rc::strong_count(&self.shared) == 1 && !self.leaving {
                self.shared.wire.borrow_mut().say_no_more();
                self.leaving = true;
            }
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) if self.is_over() => return Poll::Ready(Lost::Closed),
                Poll::Ready(Ok(())) => {
                    if self.shared.awaits_room.replace(false) {
                        self.shared.wire.borrow_mut().wake_all();
                    }
                }
                Poll::Ready(Err(lost)) => return Poll::Ready(lost),
                Poll::Pending if self.leaving => return Poll::Ready(Lost::Closed),
                Poll::Pending => again = false,
            }
            if again {
                continue;
            }
            if self.poll_pulse(cx).is_pending() {
                self.shared.wire.borrow_mut().rest();
                return Poll::Pending;
            }
            if self.pulse.as_ref().is_some_and(|pulse| pulse.asked_at.is_none()) {
                return Poll::Ready(Lost::Closed);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether there is nothing left to do, once all is written.
    fn is_over(&self) -> bool {
        let wire = self.shared.wire.borrow();
        self.leaving || (wire.is_left() && wire.open_streams() == 0)
    }

    /// Reads what there is; whether there may be more right now.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Lost> {
        for _ in 0..READS {
            let Self { socket, shared, .. } = self;
            if shared.wire.borrow().out.is_overfull() {
                return Ok(false);
            }
            let read = with_scratch(|scratch| {
                let mut buf = ReadBuf::new(scratch);
                match Pin::new(socket).poll_read(cx, &mut buf) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(_)) => Poll::Ready(None),
                    Poll::Ready(Ok(())) if buf.filled().is_empty() => Poll::Ready(None),
                    Poll::Ready(Ok(())) => Poll::Ready(Some(shared.wire.borrow_mut().receive(buf.filled()))),
                }
            });
            match read {
                Poll::Pending => return Ok(false),
                Poll::Ready(None) => return Err(Lost::Closed),
                Poll::Ready(Some(Ok(()))) => {
                    if let Some(pulse) = &mut self.pulse {
                        pulse.heard_at = Instant::now();
                    }
                }
                Poll::Ready(Some(Err(fault))) => {
                    tracing::trace!(%fault, "an upstream's HTTP/2 connection is at fault");
                    self.shared.wire.borrow_mut().go_away(fault);
                    // As far as it fits without waiting.
                    let _ = self.poll_write(cx);
                    return Err(Lost::Malformed);
                }
            }
        }
        Ok(true)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let mut wire = self.shared.wire.borrow_mut();
        if wire.out.is_delivered() {
            return Poll::Ready(Ok(()));
        }
        wire.writes_now();
        let written = ready!(wire.out.poll_flush(&mut self.socket, cx, &mut false));
        Poll::Ready(written.map_err(|_| Lost::Closed))
    }

    /// Asks for a sign of life where nothing has come for a while. Ready where there is something to write, or where none came:
    /// then nothing is asked any more.
    fn poll_pulse(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pulse) = &mut self.pulse else { return Poll::Pending };
        loop {
            ready!(pulse.timer.as_mut().poll(cx));
            let now = Instant::now();
            if let Some(asked_at) = pulse.asked_at.take()
                && pulse.heard_at < asked_at
            {
                return Poll::Ready(());
            }
            let due = pulse.heard_at + pulse.interval;
            if due > now {
                pulse.timer.as_mut().reset(due.into());
                continue;
            }
            pulse.asked_at = Some(now);
            pulse.timer.as_mut().reset((now + self.shared.patience).into());
            self.shared.wire.borrow_mut().ping();
            return Poll::Ready(());
        }
    }
}
