//! A request's body, kept while it streams to its version, for a copy of the request.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;

/// Where a body is kept as it passes. Whoever reads the body never waits for whoever takes it from here.
#[derive(Debug)]
pub struct Tee(Rc<Kept>);

/// A body that is being kept.
#[derive(Debug)]
pub struct Teed(Rc<Kept>);

#[derive(Debug)]
struct Kept {
    bytes: RefCell<Vec<u8>>,
    most: usize,
    state: Cell<State>,
    /// Who waits for the end.
    waiting: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More may come.
    Open,
    /// All of it is there.
    Whole,
    /// There will be no whole.
    Lost(Lost),
}

/// Why a body was not kept whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It was longer than is kept.
    TooLarge,
    /// It did not come to its end: the client broke off, or its version wanted no more of it.
    Incomplete,
}

impl Tee {
    /// Keeps at most `most` bytes of a body.
    #[must_use]
    pub fn new(most: usize) -> (Self, Teed) {
        let kept = Rc::new(Kept {
            bytes: RefCell::default(),
            most,
            state: Cell::new(State::Open),
            waiting: RefCell::default(),
        });
        (Self(Rc::clone(&kept)), Teed(kept))
    }

    /// A piece of the body passes. It is copied: a slice would hold the whole buffer it came in.
    pub(super) fn passes(&self, data: &[u8]) {
        if self.0.state.get() != State::Open {
            return;
        }
        let mut bytes = self.0.bytes.borrow_mut();
        if bytes.len() + data.len() > self.0.most {
            *bytes = Vec::new();
            drop(bytes);
            return self.0.end(State::Lost(Lost::TooLarge));
        }
        bytes.extend_from_slice(data);
    }

    /// The body has come to its end.
    pub(super) fn ends(&self) {
        if self.0.state.get() == State::Open {
            self.0.end(State::Whole);
        }
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        if self.0.state.get() == State::Open {
            self.0.bytes.take();
            self.0.end(State::Lost(Lost::Incomplete));
        }
    }
}

impl Drop for Teed {
    /// Nobody waits for it any more: nothing is kept for nobody.
    fn drop(&mut self) {
        if self.0.state.get() == State::Open {
            self.0.bytes.take();
            self.0.end(State::Lost(Lost::Incomplete));
        }
    }
}

impl Kept {
    fn end(&self, state: State) {
        self.state.set(state);
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

impl Teed {
    /// The whole body, once it has passed.
    ///
    /// # Errors
    /// It was too long, or did not come to its end.
    pub async fn whole(self) -> Result<Bytes, Lost> {
        poll_fn(|cx| match self.0.state.get() {
            State::Open => {
                *self.0.waiting.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Whole => Poll::Ready(Ok(self.0.bytes.take().into())),
            State::Lost(lost) => Poll::Ready(Err(lost)),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn now(teed: Teed) -> Poll<Result<Bytes, Lost>> {
        pin!(teed.whole()).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_passed_is_there_once_the_body_has_ended() {
        let (tee, teed) = Tee::new(10);
        tee.passes(b"hello");
        tee.passes(b"world");
        tee.ends();
        drop(tee);
        assert_eq!(now(teed), Poll::Ready(Ok(Bytes::from_static(b"helloworld"))));
    }

    #[test]
    fn a_byte_too_many_is_the_end_of_it_and_of_its_memory() {
        let (tee, teed) = Tee::new(10);
        tee.passes(b"hello");
        tee.passes(b"world!");
        assert_eq!(teed.0.bytes.borrow().capacity(), 0);
        tee.ends();
        assert_eq!(now(teed), Poll::Ready(Err(Lost::TooLarge)));
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_kept() {
        let (tee, teed) = Tee::new(10);
        tee.passes(b"hello");
        drop(teed);
        assert_eq!(tee.0.bytes.borrow().capacity(), 0);
        tee.passes(b"world");
        assert_eq!(tee.0.bytes.borrow().capacity(), 0);
    }

    #[test]
    fn a_body_that_breaks_off_is_not_waited_for() {
        let (tee, teed) = Tee::new(10);
        tee.passes(b"hello");
        let mut waiting = pin!(teed.whole());
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Pending);
        drop(tee);
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(Err(Lost::Incomplete)));
    }
}
