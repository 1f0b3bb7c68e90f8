//! A request's body on its way to an upstream.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Request};
use http_body::{Body, Frame, SizeHint};

use super::replay::{Reader, Replay};
use super::tee::Tee;
use crate::plan::{FLAG_HEADER_PREFIX, SHADOW_HEADER};
use crate::wire::{Broken, Incoming, clock, give_back_headers};

/// How long a body waits for the upstream's `100 Continue` before it is sent anyway (RFC 9110, section 10.1.1, says a
/// client must not wait for ever).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// What went wrong with a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// More bytes than allowed.
    #[error("the request body is larger than allowed")]
    TooLarge,
    /// Its chunks are not HTTP's, or the client broke off.
    #[error("the client did not send its body whole")]
    Broken,
}

/// Tells whoever answers what became of the body.
#[derive(Debug, Default)]
pub struct BodyWatch {
    fault: Cell<Option<BodyFault>>,
    started: Cell<bool>,
    ended: Cell<bool>,
    bytes: Cell<u64>,
    moved_at: Cell<Option<Instant>>,
}

impl BodyWatch {
    /// Of a body that was taken from the client whole, before it goes anywhere.
    #[must_use]
    pub fn of_whole() -> Self {
        Self { started: Cell::new(true), ended: Cell::new(true), ..Self::default() }
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub fn fault(&self) -> Option<BodyFault> {
        self.fault.get()
    }

    /// Whether any of it was taken from the client: it cannot be sent a second time.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started.get()
    }

    /// Whether all of it was taken from the client.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Bytes taken from the client so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// When the last of them was.
    #[must_use]
    pub fn moved_at(&self) -> Option<Instant> {
        self.moved_at.get()
    }
}

/// A request's body: nothing, or what the client sends, counted and bounded.
#[derive(Debug, Default)]
pub struct RequestBody(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Streamed(Box<Streamed>),
    /// Kept for being sent again.
    Replayed(Box<Reader>),
    /// Taken whole from the client already.
    Taken(Bytes),
}

/// What the client sends, as it comes.
#[derive(Debug)]
pub(super) struct Streamed {
    incoming: Incoming,
    left: u64,
    watch: Rc<BodyWatch>,
    gate: Option<Gate>,
    /// There where the request is copied.
    tee: Option<Tee>,
}

/// Keeps a body back until the upstream asks for it.
#[derive(Debug)]
pub(super) struct Gate {
    /// The upstream has answered without asking.
    answered: bool,
    patience: Pin<Box<tokio::time::Sleep>>,
}

impl RequestBody {
    /// The body of a request; at most `limit` bytes of it are passed on.
    #[must_use]
    pub fn streamed(incoming: Incoming, limit: Option<u64>, watch: Rc<BodyWatch>) -> Self {
        Self(Kind::Streamed(Box::new(Streamed::new(incoming, limit, watch))))
    }

    /// The body of a request that may have to be sent again; `keep` bytes of it are kept for that.
    #[must_use]
    pub fn replayable(incoming: Incoming, limit: Option<u64>, watch: Rc<BodyWatch>, keep: usize) -> Replay {
        Replay::new(Streamed::new(incoming, limit, watch), keep)
    }

    pub(super) fn replayed(reader: Reader) -> Self {
        Self(Kind::Replayed(Box::new(reader)))
    }

    /// A body that was taken from the client whole, and goes elsewhere.
    #[must_use]
    pub fn taken(body: Bytes) -> Self {
        Self(Kind::Taken(body))
    }

    /// What the client sends passes `tee` as well, once, however often it is sent on.
    pub fn tee(&mut self, tee: Tee) {
        match &mut self.0 {
            Kind::Empty | Kind::Taken(_) => {}
            Kind::Streamed(body) => body.set_tee(tee),
            Kind::Replayed(body) => body.tee(tee),
        }
    }

    /// Keeps the body back until the upstream asks for it or a second has passed; for good if it answers before that.
    #[must_use]
    pub fn after_continue(mut self) -> Self {
        if let Some(gate) = self.gate() {
            *gate = Some(Gate { answered: false, patience: Box::pin(tokio::time::sleep(CONTINUE_WAIT)) });
        }
        self
    }

    /// The upstream asks for the body.
    pub(super) fn go_ahead(&mut self) {
        if let Some(gate) = self.gate() {
            *gate = None;
        }
    }

    /// The upstream has answered: a body still kept back then stays so.
    pub(super) fn answered(&mut self) {
        if let Some(Some(gate)) = self.gate() {
            gate.answered = true;
        }
    }

    /// Whether nothing of it was taken: from the client, or of what is kept.
    pub(super) fn is_untouched(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Taken(_) => true,
            Kind::Streamed(body) => !body.watch.has_started(),
            Kind::Replayed(body) => body.is_untouched(),
        }
    }

    fn gate(&mut self) -> Option<&mut Option<Gate>> {
        match &mut self.0 {
            Kind::Empty | Kind::Taken(_) => None,
            Kind::Streamed(body) => Some(&mut body.gate),
            Kind::Replayed(body) => Some(&mut body.gate),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match &mut self.get_mut().0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Streamed(body) => body.poll_frame(cx),
            Kind::Replayed(body) => body.poll_frame(cx),
            Kind::Taken(body) => {
                let data = std::mem::take(body);
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Streamed(body) => body.is_end_stream(),
            Kind::Replayed(body) => body.is_end_stream(),
            Kind::Taken(body) => body.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Streamed(body) => body.size_hint(),
            Kind::Replayed(body) => body.size_hint(),
            Kind::Taken(body) => SizeHint::with_exact(body.len() as u64),
        }
    }
}

impl Streamed {
    fn new(incoming: Incoming, limit: Option<u64>, watch: Rc<BodyWatch>) -> Self {
        Self { incoming, left: limit.unwrap_or(u64::MAX), watch, gate: None, tee: None }
    }

    pub(super) fn set_tee(&mut self, tee: Tee) {
        self.tee = Some(tee);
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll_open(cx));
            self.gate = None;
        }
        self.watch.started.set(true);
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        let ended = frame.is_none() || self.incoming.is_end_stream();
        self.watch.ended.set(ended);
        let frame = frame.map(|frame| self.pass(frame));
        if let Some(tee) = &self.tee {
            // What came after a fault is not part of any body.
            if let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                tee.passes(data);
            }
            match frame {
                Some(Err(_)) => self.tee = None,
                _ if ended => tee.ends(),
                _ => {}
            }
        }
        Poll::Ready(frame)
    }

    fn pass(&mut self, frame: Result<Frame<Bytes>, Broken>) -> Result<Frame<Bytes>, BodyFault> {
        let frame = frame.map_err(|_| self.fail(BodyFault::Broken))?;
        if let Some(data) = frame.data_ref() {
            let length = data.len() as u64;
            self.left = self.left.checked_sub(length).ok_or_else(|| self.fail(BodyFault::TooLarge))?;
            self.watch.bytes.set(self.watch.bytes.get() + length);
            self.watch.moved_at.set(Some(clock::lately()));
            return Ok(frame);
        }
        Ok(match frame.into_trailers() {
            Ok(trailers) => Frame::trailers(clean_trailers(trailers)),
            Err(other) => other,
        })
    }

    fn fail(&self, fault: BodyFault) -> BodyFault {
        self.watch.fault.set(Some(fault));
        fault
    }
}

impl Gate {
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.answered { Poll::Pending } else { self.patience.as_mut().poll(cx) }
    }
}

/// A request is over: what its headers took serves another one.
pub(super) fn end(request: &mut Option<Request<RequestBody>>) {
    if let Some(request) = request {
        give_back_headers(std::mem::take(request.headers_mut()));
    }
    *request = None;
}

/// Drops trailer fields that would mean something to framing or routing if a recipient merged them into the head
/// (RFC 9110, section 6.5.1).
#[must_use]
pub fn clean_trailers(mut trailers: HeaderMap) -> HeaderMap {
    // Nearly never is there one.
    let meant: Vec<_> = trailers.keys().filter(|name| means_something(name)).cloned().collect();
    for name in meant {
        trailers.remove(name);
    }
    trailers
}

fn means_something(name: &HeaderName) -> bool {
    match *name {
        CONNECTION | CONTENT_LENGTH | HOST | TE | TRAILER | TRANSFER_ENCODING | UPGRADE => true,
        // Some servers make headers of trailers, and only serin speaks of flags.
        _ => *name == SHADOW_HEADER || name.as_str().starts_with(FLAG_HEADER_PREFIX),
    }
}
