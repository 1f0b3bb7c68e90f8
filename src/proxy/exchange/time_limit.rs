//! How long an exchange may take, as a whole and between two signs of life.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::plan::Timeouts;
use crate::proxy::deadlines::Deadline;
use crate::proxy::worker::Worker;
use crate::upstream::BodyWatch;

/// The time limits of one exchange.
#[derive(Debug)]
pub(in crate::proxy) struct TimeLimit {
    deadline: Deadline,
    /// The end of the whole exchange, where there is one.
    end: Option<Instant>,
    /// Longest silence of the upstream.
    silence: Duration,
    /// The request's body, where it has one: as long as that comes, the upstream is not the one being waited for.
    body: Option<Rc<BodyWatch>>,
}

impl TimeLimit {
    /// The limits of an exchange whose request came at `started` and is sent to its upstream right away.
    pub(super) fn new(
        worker: &Worker,
        timeouts: Timeouts,
        silence: Duration,
        started: Instant,
        body: Option<Rc<BodyWatch>>,
    ) -> Self {
        let end = [timeouts.request, timeouts.backend_request].into_iter().flatten().min();
        let limit = Self { deadline: worker.deadlines.add(), end: end.map(|end| started + end), silence, body };
        limit.progressed(started);
        limit
    }

    /// The upstream has shown a sign of life.
    pub(in crate::proxy) fn progressed(&self, now: Instant) {
        let silent = now + self.silence;
        self.deadline.set(Some(self.end.map_or(silent, |end| end.min(silent))));
    }

    /// Whether a limit has passed; if not, the task is woken when one does.
    pub(in crate::proxy) fn poll_passed(&self, cx: &mut Context<'_>) -> bool {
        if !self.deadline.poll_passed(cx) {
            return false;
        }
        let now = Instant::now();
        match self.body.as_ref().and_then(|body| body.moved_at()) {
            Some(moved) if moved + self.silence > now && self.end.is_none_or(|end| end > now) => {
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
