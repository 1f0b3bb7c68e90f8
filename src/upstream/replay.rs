//! A request's body that can be sent more than once: what the client sent is kept up to a bound while it streams.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::body::{BodyFault, Gate, RequestBody, Streamed};

/// A body and what was kept of it. Each [`RequestBody`] made of it begins anew; the one before ends in an error if it is
/// still read.
#[derive(Debug)]
pub struct Replay(Rc<Tee>);

#[derive(Debug)]
struct Tee {
    client: RefCell<Streamed>,
    kept: RefCell<Kept>,
    /// Counts the bodies made; only the last may read.
    turn: Cell<u32>,
    /// Who waits for the client.
    waiting: RefCell<Option<Waker>>,
}

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    most: usize,
    trailers: Option<HeaderMap>,
    /// It was longer than may be kept: what the client sent first is gone.
    lost: bool,
    ended: bool,
}

/// One way through a body that may have to be gone again.
#[derive(Debug)]
pub(super) struct Reader {
    tee: Rc<Tee>,
    turn: u32,
    /// Bytes already read.
    at: u64,
    trailers_read: bool,
    pub(super) gate: Option<Gate>,
}

impl Replay {
    /// Keeps at most `most` bytes of `body`, which nothing was read of yet.
    pub(super) fn new(client: Streamed, most: usize) -> Self {
        let kept = Kept { bytes: Vec::new(), most, trailers: None, lost: false, ended: false };
        Self(Rc::new(Tee {
            client: RefCell::new(client),
            kept: RefCell::new(kept),
            turn: Cell::new(0),
            waiting: RefCell::default(),
        }))
    }

    /// Whether all of it is still there, kept or yet to come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.0.kept.borrow().lost
    }

    /// The body from its beginning. It is only right while [it is whole](Self::is_whole).
    #[must_use]
    pub fn body(&self) -> RequestBody {
        let turn = self.0.turn.get() + 1;
        self.0.turn.set(turn);
        if let Some(waiting) = self.0.waiting.take() {
            waiting.wake();
        }
        RequestBody::replayed(Reader { tee: Rc::clone(&self.0), turn, at: 0, trailers_read: false, gate: None })
    }
}

impl Kept {
    /// The client has sent more.
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.lost |= self.bytes.len() + data.len() > self.most;
            if self.lost {
                self.bytes = Vec::new();
            } else {
                self.bytes.extend_from_slice(data);
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
        }
    }
}

impl Reader {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll_open(cx));
            self.gate = None;
        }
        if self.turn != self.tee.turn.get() {
            // The request is sent another way now. Nothing was wrong with the client, and nobody is told that there was.
            return Poll::Ready(Some(Err(BodyFault::Broken)));
        }
        if let Some(frame) = self.kept_frame() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.tee.kept.borrow().ended {
            return Poll::Ready(None);
        }
        let frame = self.tee.client.borrow_mut().poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.tee.kept.borrow_mut().keep(frame);
                self.at += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.trailers_read |= frame.is_trailers();
            }
            Poll::Ready(Some(Err(_))) => {}
            Poll::Ready(None) => self.tee.kept.borrow_mut().ended = true,
            Poll::Pending => *self.tee.waiting.borrow_mut() = Some(cx.waker().clone()),
        }
        frame
    }

    /// What is kept and was not read this time.
    fn kept_frame(&mut self) -> Option<Frame<Bytes>> {
        let kept = self.tee.kept.borrow();
        if let Some(rest) = self.unread(&kept) {
            let data = Bytes::copy_from_slice(rest);
            self.at += data.len() as u64;
            return Some(Frame::data(data));
        }
        if self.trailers_read {
            return None;
        }
        let trailers = kept.trailers.clone()?;
        self.trailers_read = true;
        Some(Frame::trailers(trailers))
    }

    fn unread<'a>(&self, kept: &'a Kept) -> Option<&'a [u8]> {
        let at = usize::try_from(self.at).ok()?;
        kept.bytes.get(at..).filter(|rest| !rest.is_empty())
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let kept = self.tee.kept.borrow();
        let trailers_left = kept.trailers.is_some() && !self.trailers_read;
        let client_done = kept.ended || self.tee.client.borrow().is_end_stream();
        client_done && !trailers_left && self.unread(&kept).is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let kept = self.tee.kept.borrow();
        let first = self.unread(&kept).map_or(0, |rest| rest.len() as u64);
        let rest = self.tee.client.borrow().size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(first + upper);
        }
        hint.set_lower(first + rest.lower());
        hint
    }
}
