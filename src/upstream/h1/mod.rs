//! One HTTP/1.1 connection to an upstream.
//!
//! Two machines without a socket, what is asked ([`Asking`]) and what is answered ([`Answer`]), and the socket between
//! them. Whoever waits for the answer moves both, so there is no task, no channel and no waker but the caller's: a small
//! exchange is one write and one read.

mod answer;
mod asking;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};

use self::answer::{Answer, Step};
use self::asking::Asking;
use super::address::Target;
use super::body::{self, RequestBody};
use super::cap::Slot;
use crate::plan::UpstreamSettings;
use crate::telemetry::Failure;
use crate::wire::http1::Piece;
use crate::wire::{Broken, Socket, with_scratch};

/// A connection, with the exchange on it if there is one.
pub(super) struct H1 {
    socket: Socket,
    asking: Asking,
    answer: Answer,
    /// A request was sent on it.
    used: bool,
    /// Among how many it is counted.
    slot: Option<Slot>,
    /// When it was last put away.
    pub(super) idle_since: Instant,
}

/// What reading a body gives.
pub(super) type BodyFrame = Option<Result<Frame<Bytes>, Broken>>;

/// A connection that is not HTTP any more.
#[derive(Debug)]
pub struct Upgraded {
    /// The connection.
    pub socket: Socket,
    /// What the upstream sent after its 101 already.
    pub read: Bytes,
    /// It is still one of the connections to its address.
    pub(super) _slot: Option<Slot>,
}

/// Where and how patiently to connect once more.
pub(super) struct Again<'a> {
    pub(super) target: &'a Target,
    pub(super) limit: Duration,
}

/// Why there is no answer.
enum Lost {
    /// The upstream closed the connection before it sent a byte.
    Closed,
    /// For this.
    For(Failure),
}

impl H1 {
    pub(super) async fn open(target: &Target, settings: &UpstreamSettings) -> io::Result<Self> {
        let socket = target.connect(settings.connect_timeout).await?;
        let (asking, answer) = (Asking::default(), Answer::default());
        Ok(Self { socket, asking, answer, used: false, slot: None, idle_since: Instant::now() })
    }

    /// It is counted for as long as it is open.
    pub(super) fn counted(self, slot: Slot) -> Self {
        Self { slot: Some(slot), ..self }
    }

    /// Whether a request can be sent right now. Notices a connection the upstream has closed, or on which it sent
    /// something nobody asked for. Costs nothing where the runtime has seen neither.
    pub(super) fn is_usable(&mut self) -> bool {
        self.socket.is_quiet()
    }

    /// Gives back what is needed only while an exchange runs; whether another may follow: the last request was sent whole,
    /// it was answered whole, and nothing came after that.
    pub(super) fn put_away(&mut self) -> bool {
        self.asking.is_done() && self.answer.put_away()
    }

    /// Sends a request and waits for the response's head, which is put into `head`. `again`: where the request may be sent a
    /// second time, on a fresh connection, if this one was used before and turns out to be closed.
    ///
    /// # Errors
    /// Why there is no response. If then not a byte of the request was sent, it is still in `request`.
    pub(super) async fn send(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        again: Option<Again<'_>>,
        head: &mut Option<Response<()>>,
    ) -> Result<(), Failure> {
        // Of a connection taken from among the idle this is known.
        if !self.used && !self.is_usable() {
            return Err(Failure::Reset);
        }
        let again = again.filter(|_| self.used);
        self.begin(request);
        let mut answered = poll_fn(|cx| self.poll_head(head, cx)).await;
        match (&answered, again) {
            (Err(Lost::Closed), Some(Again { target, limit })) => {
                // Boxed, as it is rare and everyone would carry the room for it.
                self.socket = Box::pin(target.connect(limit)).await.map_err(|_| {
                    *request = None;
                    Failure::Reset
                })?;
                self.begin(request);
                answered = poll_fn(|cx| self.poll_head(head, cx)).await;
            }
            (Err(Lost::Closed), None) if self.asking.is_untouched() => {
                if let Some(request) = request {
                    *request.body_mut() = self.asking.take_body();
                }
                return Err(Failure::Reset);
            }
            _ => {}
        }
        body::end(request);
        answered.map_err(|lost| match lost {
            Lost::Closed => Failure::Reset,
            Lost::For(failure) => failure,
        })
    }

    fn begin(&mut self, request: &mut Option<Request<RequestBody>>) {
        // Invariant: whoever sends has a request to send, and it is there until `send` is over.
        let request = request.as_mut().expect("a request to send");
        self.used = true;
        self.answer.begin(request.method());
        self.asking.begin(request);
    }

    fn poll_head(&mut self, head: &mut Option<Response<()>>, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        loop {
            if self.asking.poll(cx, &mut self.socket).is_err() {
                return Poll::Ready(Err(Lost::For(Failure::Reset)));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) if self.answer.has_begun() => return Poll::Ready(Err(Lost::For(Failure::Protocol))),
                Ok(0) => return Poll::Ready(Err(Lost::Closed)),
                Ok(_) => {}
                Err(error) if is_closed(&error) && !self.answer.has_begun() => return Poll::Ready(Err(Lost::Closed)),
                Err(_) => return Poll::Ready(Err(Lost::For(Failure::Reset))),
            }
            loop {
                match self.answer.head() {
                    Ok(Step::Final(response)) => {
                        self.asking.answered();
                        *head = Some(response);
                        return Poll::Ready(Ok(()));
                    }
                    Ok(Step::Continue) => self.asking.go_ahead(),
                    Ok(Step::More) => break,
                    Err(fault) => {
                        tracing::trace!(%fault, "an upstream's answer is refused");
                        return Poll::Ready(Err(Lost::For(Failure::Protocol)));
                    }
                }
            }
        }
    }

    /// Goes on with the rest of the request's body.
    pub(super) fn poll_ask(&mut self, cx: &mut Context<'_>) {
        // What is wrong with it is said again to whoever reads the response.
        let _ = self.asking.poll(cx, &mut self.socket);
    }

    /// The next frame of the response's body. The rest of the request's body goes its way meanwhile.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<BodyFrame> {
        loop {
            match self.answer.next() {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(_) => return Poll::Ready(Some(Err(Broken))),
            }
            if self.asking.poll(cx, &mut self.socket).is_err() {
                return Poll::Ready(Some(Err(Broken)));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) if self.answer.end() => return Poll::Ready(None),
                _ => return Poll::Ready(Some(Err(Broken))),
            }
        }
    }

    /// Reads once; 0 where the upstream has closed.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { socket, answer, .. } = self;
        with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
            answer.read(buf.filled());
            Poll::Ready(Ok(buf.filled().len()))
        })
    }

    /// Whether nothing of the response's body is still to come.
    pub(super) fn is_end_stream(&self) -> bool {
        self.answer.is_ended()
    }

    /// What is known of the length of the rest of the response's body.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.answer.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    /// The raw connection after a 101.
    pub(super) fn into_upgraded(self) -> Upgraded {
        Upgraded { socket: self.socket, read: self.answer.into_rest(), _slot: self.slot }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    // The last is TLS that ended without a goodbye, as many end unused connections.
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1").field("socket", &self.socket).field("used", &self.used).finish_non_exhaustive()
    }
}
