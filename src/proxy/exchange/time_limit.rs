//! How long an exchange may take, as a whole and between two signs of life.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::plan::Timeouts;
use crate::proxy::deadlines::Deadline;
use crate::proxy::worker::Worker;
use crate::upstream::{BodyFault, BodyWatch};

/// The time limits of one exchange.
#[derive(Debug)]
pub(in crate::proxy) struct TimeLimit {
    deadline: Deadline,
    /// The end of the present try, where there is one; never after that of the whole exchange.
    end: Option<Instant>,
    /// Longest silence of the upstream, where there is one.
    silence: Option<Duration>,
    /// The request's body, where it has one: as long as that comes, the upstream is not the one being waited for.
    body: Option<Rc<BodyWatch>>,
}

/// The end of an exchange whose request came at `started`, where there is one.
pub(super) fn whole(timeouts: Timeouts, started: Instant) -> Option<Instant> {
    timeouts.request.map(|request| started + request)
}

impl TimeLimit {
    /// The limits of an exchange whose request came at `started` and is sent to its upstream right away.
    pub(super) fn new(worker: &Worker, timeouts: Timeouts, started: Instant, body: Option<Rc<BodyWatch>>) -> Self {
        let mut limit = Self { deadline: worker.deadlines.add(), end: None, silence: timeouts.idle, body };
        limit.begin_try(whole(timeouts, started), timeouts.backend_request, started);
        limit
    }

    /// A try begins; it ends with the `whole` exchange, or after `bound`.
    pub(super) fn begin_try(&mut self, whole: Option<Instant>, bound: Option<Duration>, now: Instant) {
        self.end = [whole, bound.map(|bound| now + bound)].into_iter().flatten().min();
        self.progressed(now);
    }

    /// How long until the end of the present try, where there is one.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(now))
    }

    /// What went wrong with the request's body, which an answer that broke off may owe its end to.
    pub(super) fn body_fault(&self) -> Option<BodyFault> {
        self.body.as_ref()?.fault()
    }

    /// The upstream has shown a sign of life.
    pub(in crate::proxy) fn progressed(&self, now: Instant) {
        let silent = self.silence.map(|silence| now + silence);
        self.deadline.set([self.end, silent].into_iter().flatten().min());
    }

    /// Whether a limit has passed; if not, the task is woken when one does.
    pub(in crate::proxy) fn poll_passed(&self, cx: &mut Context<'_>) -> bool {
        if !self.deadline.poll_passed(cx) {
            return false;
        }
        let now = Instant::now();
        let moved = self.body.as_ref().and_then(|body| body.moved_at());
        match moved.zip(self.silence) {
            Some((moved, silence)) if moved + silence > now && self.end.is_none_or(|end| end > now) => {
                self.progressed(moved);
                self.deadline.poll_passed(cx)
            }
            _ => true,
        }
    }

    /// `work`'s value, or `None` if a limit passes first.
    pub(super) async fn apply<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if self.poll_passed(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}
