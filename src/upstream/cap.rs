//! How many connections there may be to one address, and who waits for one.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// The bound on one worker's connections to one address.
#[derive(Debug)]
pub(super) struct Cap {
    /// `None`: no bound.
    most: Option<u32>,
    open: Cell<u32>,
    waiting: Cell<u32>,
    /// A connection was closed, or can take one more request.
    freed: Notify,
}

/// One connection that is open or being opened; counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Slot(Rc<Cap>);

impl Cap {
    pub(super) fn new(most: Option<u32>) -> Rc<Self> {
        Rc::new(Self { most, open: Cell::new(0), waiting: Cell::new(0), freed: Notify::new() })
    }

    /// Room for one more connection, if there is.
    pub(super) fn slot(self: &Rc<Self>) -> Option<Slot> {
        if self.most.is_some_and(|most| self.open.get() >= most) {
            return None;
        }
        self.open.set(self.open.get() + 1);
        Some(Slot(Rc::clone(self)))
    }

    /// Whether others came first and wait.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.get() > 0
    }

    /// Waits, in order of arrival, until there may be a connection.
    pub(super) async fn wait(&self) {
        let _waiting = Waiting::new(&self.waiting);
        self.freed.notified().await;
    }

    /// A connection can take one more request.
    #[inline]
    pub(super) fn freed(&self) {
        if self.most.is_some() && self.is_waited_for() {
            self.freed.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.freed();
    }
}

/// Counts one that waits, for as long as it does.
struct Waiting<'a>(&'a Cell<u32>);

impl<'a> Waiting<'a> {
    fn new(count: &'a Cell<u32>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_connection_that_is_closed_makes_room_for_who_waited_longest() {
        let cap = Cap::new(Some(1));
        let mut cx = Context::from_waker(Waker::noop());
        let slot = cap.slot().expect("there is room");
        assert!(cap.slot().is_none());
        let (mut first, mut second) = (pin!(cap.wait()), pin!(cap.wait()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(cap.is_waited_for());
        drop(slot);
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(first.as_mut().poll(&mut cx).is_ready());
        assert!(cap.slot().is_some());
    }

    #[test]
    fn without_a_bound_there_is_always_room() {
        let cap = Cap::new(None);
        let slots: Vec<_> = (0..1000).map_while(|_| cap.slot()).collect();
        assert_eq!(slots.len(), 1000);
    }
}
