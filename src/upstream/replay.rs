//! A request's body that can be sent more than once: what the client sent is kept up to a bound while it streams.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::body::{BodyFault, Gate, RequestBody, Streamed};
use super::tee::Tee;

/// A body and what was kept of it. Each [`RequestBody`] made of it begins anew; the one before ends in an error if it is
/// still read.
#[derive(Debug)]
pub struct Replay(Rc<Source>);

#[derive(Debug)]
struct Source {
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
    /// Bytes the client has sent.
    taken: u64,
    /// They were more than may be kept, and are gone.
    lost: bool,
    ended: bool,
}

/// One way through a body that may have to be gone again.
#[derive(Debug)]
pub(super) struct Reader {
    source: Rc<Source>,
    turn: u32,
    /// Bytes already read.
    at: u64,
    trailers_read: bool,
    pub(super) gate: Option<Gate>,
}

impl Replay {
    /// Keeps at most `most` bytes of `body`, which nothing was read of yet.
    pub(super) fn new(client: Streamed, most: usize) -> Self {
        let kept = Kept { bytes: Vec::new(), most, trailers: None, taken: 0, lost: false, ended: false };
        Self(Rc::new(Source {
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

    /// Whoever reads it now gets no more of it: from here on what is whole stays so until it is read again.
    pub fn stop(&self) {
        self.0.turn.set(self.0.turn.get() + 1);
        if let Some(waiting) = self.0.waiting.take() {
            waiting.wake();
        }
    }

    /// The body from its beginning, which [must be there](Self::is_whole): without it this one ends in an error.
    #[must_use]
    pub fn body(&self) -> RequestBody {
        self.stop();
        let turn = self.0.turn.get();
        RequestBody::replayed(Reader { source: Rc::clone(&self.0), turn, at: 0, trailers_read: false, gate: None })
    }
}

impl Kept {
    /// The client has sent more.
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.taken += data.len() as u64;
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
    /// What the client sends passes `tee` as well.
    pub(super) fn tee(&self, tee: Tee) {
        self.source.client.borrow_mut().set_tee(tee);
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll_open(cx));
            self.gate = None;
        }
        if self.is_cut_off() {
            // Nothing was wrong with the client, and nobody is told that there was.
            return Poll::Ready(Some(Err(BodyFault::Broken)));
        }
        if let Some(frame) = self.kept_frame() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.source.kept.borrow().ended {
            return Poll::Ready(None);
        }
        let frame = self.source.client.borrow_mut().poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.source.kept.borrow_mut().keep(frame);
                self.at += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.trailers_read |= frame.is_trailers();
            }
            Poll::Ready(Some(Err(_))) => {}
            Poll::Ready(None) => self.source.kept.borrow_mut().ended = true,
            Poll::Pending => *self.source.waiting.borrow_mut() = Some(cx.waker().clone()),
        }
        frame
    }

    /// The request is sent another way now, or what comes next is gone.
    fn is_cut_off(&self) -> bool {
        let kept = self.source.kept.borrow();
        self.turn != self.source.turn.get() || (kept.lost && self.at < kept.taken)
    }

    /// What is kept and was not read this time.
    fn kept_frame(&mut self) -> Option<Frame<Bytes>> {
        let kept = self.source.kept.borrow();
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

    /// Whether nothing of it was read this time.
    pub(super) fn is_untouched(&self) -> bool {
        self.at == 0 && !self.trailers_read
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let kept = self.source.kept.borrow();
        let trailers_left = kept.trailers.is_some() && !self.trailers_read;
        let client_done = kept.ended || self.source.client.borrow().is_end_stream();
        client_done && !trailers_left && self.unread(&kept).is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let kept = self.source.kept.borrow();
        let first = self.unread(&kept).map_or(0, |rest| rest.len() as u64);
        let rest = self.source.client.borrow().size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(first + upper);
        }
        hint.set_lower(first + rest.lower());
        hint
    }
}
