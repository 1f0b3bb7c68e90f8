//! What is before a version where its service has `overload`: the gate of [`crate::admit`] with a clock, a runtime to wait
//! in, and figures.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::deadlines::Deadline;
use super::exchange::TimeLimit;
use super::worker::Worker;
use crate::admit::{self, Bounds, Entry, Place};
use crate::plan::{Overload, Priority};
use crate::telemetry::{Shed, VersionCell};
use crate::upstream::BodyWatch;

/// What limiters count time from: the same for all workers, as their probes are to coincide.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Waiting for this part of the queue timeout is long: from then on who came last is let in first.
const OLD_PART: u32 = 4;

/// One worker among all, which share the numbers of the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) worker: usize,
    pub(super) workers: usize,
}

impl Part {
    /// This worker's part of `number`; the parts of all add up to it.
    fn of(self, number: u32) -> u32 {
        let (worker, workers) = (self.worker as u32, self.workers as u32);
        number / workers + u32::from(worker < number % workers)
    }

    fn bounds(self, overload: &Overload) -> Bounds {
        let part = |number| self.of(number).max(1);
        let Overload { initial, min, max, tolerance, .. } = *overload;
        Bounds { initial: part(initial), min: part(min), max: part(max), tolerance }
    }
}

/// The place of a gate, which comes and goes with the configuration while the version's connections stay.
#[derive(Debug, Default)]
pub(super) struct Gateway(RefCell<Option<Rc<Gate>>>);

impl Gateway {
    /// The gate, where there is one.
    #[inline]
    pub(super) fn gate(&self) -> Option<Rc<Gate>> {
        self.0.borrow().clone()
    }

    /// Puts up, changes or takes down the gate.
    pub(super) fn set(&self, overload: Option<&Overload>, part: Part, cell: &Arc<VersionCell>) {
        let Some(overload) = overload else { return self.close() };
        let mut gate = self.0.borrow_mut();
        match &*gate {
            Some(gate) => gate.set(overload, part),
            None => *gate = Some(Rc::new(Gate::new(overload, part, cell))),
        }
    }

    /// Takes down the gate: whoever waits is let in.
    pub(super) fn close(&self) {
        if let Some(gate) = self.0.take() {
            gate.close();
        }
    }
}

/// The gate of one version on one worker.
#[derive(Debug)]
pub(super) struct Gate {
    inner: RefCell<admit::Gate<Rc<Waiter>>>,
    queue_timeout: Cell<Duration>,
    /// It was taken down: its figures are no longer the version's.
    closed: Cell<bool>,
    cell: Arc<VersionCell>,
}

/// A request that waits.
#[derive(Debug, Default)]
struct Waiter {
    called: Cell<Option<Called>>,
    waker: RefCell<Option<Waker>>,
}

/// What a request that waited is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Called {
    /// It is let in.
    In,
    /// A more important one took its place.
    Away,
}

/// A request that was let in; it is in flight for as long as this lives.
#[derive(Debug)]
pub(super) struct Ticket {
    gate: Rc<Gate>,
    begun: Duration,
    /// The request's body: as long as that comes, the version is not what is waited for.
    body: Option<Rc<BodyWatch>>,
    answered: bool,
}

impl Gate {
    fn new(overload: &Overload, part: Part, cell: &Arc<VersionCell>) -> Self {
        let queue = part.of(overload.queue) as usize;
        let old = overload.queue_timeout / OLD_PART;
        let gate = Self {
            inner: RefCell::new(admit::Gate::new(part.bounds(overload), queue, old, now())),
            queue_timeout: Cell::new(overload.queue_timeout),
            closed: Cell::new(false),
            cell: Arc::clone(cell),
        };
        gate.settle();
        gate
    }

    fn set(&self, overload: &Overload, part: Part) {
        let queue = part.of(overload.queue) as usize;
        self.inner.borrow_mut().set(part.bounds(overload), queue, overload.queue_timeout / OLD_PART);
        self.queue_timeout.set(overload.queue_timeout);
        self.settle();
    }

    fn close(&self) {
        let open = Bounds { initial: u32::MAX, min: u32::MAX, max: u32::MAX, tolerance: 1.0 };
        self.inner.borrow_mut().set(open, 0, Duration::MAX);
        self.closed.set(true);
        self.settle();
        self.cell.concurrency(0, 0);
    }

    /// Lets a request in, at once or when its turn comes; tells why not. `limit` bounds the waiting as well.
    pub(super) async fn enter(
        self: Rc<Self>,
        worker: &Worker,
        priority: Priority,
        limit: &TimeLimit,
        body: Option<Rc<BodyWatch>>,
    ) -> Result<Ticket, Shed> {
        let waiter = Rc::<Waiter>::default();
        let entry = self.inner.borrow_mut().enter(priority, now(), || Rc::clone(&waiter));
        match entry {
            Entry::Admitted => {}
            Entry::Full => return Err(Shed::QueueFull),
            Entry::Waits(place, sent_away) => {
                if let Some(sent_away) = sent_away {
                    sent_away.call(Called::Away);
                }
                self.settle();
                let deadline = worker.deadlines.add();
                deadline.set(Some(Instant::now() + self.queue_timeout.get()));
                // Rare, and too much to carry for those that never wait.
                Box::pin(Waiting { gate: Rc::clone(&self), waiter, place }.turn(deadline, limit)).await?;
                // The version's silence counts from now on.
                limit.progressed(Instant::now());
            }
        }
        Ok(Ticket { gate: self, begun: now(), body, answered: false })
    }

    /// Lets a request in that gives way to all others: only where there is room at once.
    pub(super) fn enter_at_once(self: Rc<Self>) -> Option<Ticket> {
        let is_let_in = self.inner.borrow_mut().enter_at_once(Priority::Low, now());
        is_let_in.then(|| Ticket { gate: self, begun: now(), body: None, answered: false })
    }

    /// Lets in whoever may go in now, and brings the figures up to date.
    fn settle(&self) {
        let mut inner = self.inner.borrow_mut();
        while let Some(next) = inner.call(now()) {
            next.call(Called::In);
        }
        if !self.closed.get() {
            self.cell.concurrency(inner.limiter().limit(), inner.waiting());
        }
    }

    fn leave(&self) {
        self.inner.borrow_mut().leave();
        self.settle();
    }
}

impl Waiter {
    fn call(&self, called: Called) {
        self.called.set(Some(called));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A place in the line, given up when dropped.
struct Waiting {
    gate: Rc<Gate>,
    waiter: Rc<Waiter>,
    place: Place,
}

impl Waiting {
    async fn turn(self, deadline: Deadline, limit: &TimeLimit) -> Result<(), Shed> {
        poll_fn(|cx| {
            match self.waiter.called.get() {
                Some(Called::In) => {
                    // What is in flight is now the ticket's to count.
                    self.waiter.called.set(None);
                    return Poll::Ready(Ok(()));
                }
                Some(Called::Away) => return Poll::Ready(Err(Shed::QueueFull)),
                None => {}
            }
            if deadline.poll_passed(cx) || limit.poll_passed(cx) {
                return Poll::Ready(Err(Shed::QueueTimeout));
            }
            self.waiter.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waited = self.gate.inner.borrow_mut().give_up(self.place).is_some();
        match self.waiter.called.get() {
            // Let in, but nobody is there any more.
            Some(Called::In) => self.gate.leave(),
            _ if waited => self.gate.settle(),
            _ => {}
        }
    }
}

impl Ticket {
    /// The response's head has come; `properly`: from a version that works as it should.
    pub(super) fn answered(&mut self, properly: bool) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        let now = now();
        let body_came = self.body.as_ref().and_then(|body| body.moved_at()).map_or(Duration::ZERO, since_beginning);
        let latency = now.saturating_sub(self.begun.max(body_came));
        self.gate.inner.borrow_mut().answered(self.begun, latency, properly, now);
        self.gate.settle();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.answered(false);
        self.gate.leave();
    }
}

fn now() -> Duration {
    since_beginning(Instant::now())
}

fn since_beginning(at: Instant) -> Duration {
    at.saturating_duration_since(*BEGINNING)
}
