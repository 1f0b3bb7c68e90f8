//! Time limits for thousands of connections at the price of almost none.
//!
//! Nearly every deadline is cancelled or moved before it is due, and nearly every new one is later than all the others.
//! So a deadline is a slot in a table, and one task per worker sleeps until the earliest, looks at the table, wakes what
//! is due and sleeps again. Setting a deadline is a store; a timer wheel would cost ten times that per request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Shortest time between two looks at the table: a deadline is late by no more than this.
const PACE: Duration = Duration::from_millis(5);

/// All deadlines of one worker.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    /// When the watching task wakes next; no deadline is earlier.
    next: Cell<Option<Instant>>,
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Slot {
    at: Option<Instant>,
    /// The watching task has seen it pass.
    passed: bool,
    waker: Option<Waker>,
}

/// One deadline, not set at first.
#[derive(Debug)]
pub(super) struct Deadline {
    all: Rc<Deadlines>,
    slot: usize,
}

impl Deadlines {
    /// A new deadline, not set.
    pub(super) fn add(self: &Rc<Self>) -> Deadline {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut slots = self.slots.borrow_mut();
            slots.push(Slot::default());
            slots.len() - 1
        });
        Deadline { all: Rc::clone(self), slot }
    }

    /// Wakes whoever is due, for as long as it is polled.
    pub(super) async fn watch(&self) {
        loop {
            let sleep = async {
                match self.next.get() {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => self.wake_due(Instant::now()),
                () = self.sooner.notified() => {}
            }
        }
    }

    fn wake_due(&self, now: Instant) {
        let mut next: Option<Instant> = None;
        for slot in self.slots.borrow_mut().iter_mut() {
            match slot.at {
                Some(_) if slot.passed => {}
                Some(at) if at <= now => {
                    slot.passed = true;
                    if let Some(waker) = slot.waker.take() {
                        waker.wake();
                    }
                }
                Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        self.next.set(next.map(|next| next.max(now + PACE)));
    }
}

impl Deadline {
    /// Moves the deadline; `None`: never. One that is set to where it stands already is left alone, passed or not.
    pub(super) fn set(&self, at: Option<Instant>) {
        let slot = &mut self.all.slots.borrow_mut()[self.slot];
        if slot.at == at {
            return;
        }
        slot.at = at;
        slot.passed = false;
        if let Some(at) = at
            && self.all.next.get().is_none_or(|next| at < next)
        {
            self.all.next.set(Some(at));
            self.all.sooner.notify_one();
        }
    }

    /// Ready once `due` has passed. Meant for what is asked again and again with a `due` that nearly always moves later: the
    /// table is touched again only when the time it holds has come.
    pub(super) fn poll_due(&self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        let (at, passed) = {
            let slot = &self.all.slots.borrow()[self.slot];
            (slot.at, slot.passed)
        };
        if at.is_none_or(|at| due < at) || (passed && due > Instant::now()) {
            self.set(Some(due));
        }
        if self.poll_passed(cx) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether it has passed; if not, the task is woken when it does.
    pub(super) fn poll_passed(&self, cx: &mut Context<'_>) -> bool {
        let mut slots = self.all.slots.borrow_mut();
        let slot = &mut slots[self.slot];
        if !slot.passed && slot.waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        slot.passed
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.all.slots.borrow_mut()[self.slot] = Slot::default();
        self.all.free.borrow_mut().push(self.slot);
    }
}
