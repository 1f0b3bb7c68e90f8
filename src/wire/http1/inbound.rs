//! What a client sends on its connection, for the two who want it: the connection's loop takes heads, an exchange its body.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::request;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::decode::Piece;
use super::reader::RequestReader;
use crate::wire::{Broken, Fault, HeadLimits, Socket, with_scratch};

/// Bytes kept of a client that sends on while it waits for an answer; more stay with the system.
const AHEAD: usize = 64 * 1024;
/// Asks a client for the body it holds back (RFC 9110, section 10.1.1); to any other it says nothing.
pub const INVITATION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A client's socket and what was read from it.
#[derive(Debug)]
pub struct Inbound {
    /// For whoever writes to the client.
    pub socket: Socket,
    reader: RequestReader,
    /// What is still to be written of the invitation to send a body.
    invitation: &'static [u8],
    /// The connection's loop, where another task reads the body.
    watcher: Option<Waker>,
    finished: bool,
    /// The body of this request is being read; the next has another number.
    request: u64,
    waiting_since: Option<Instant>,
    /// What was wrong with the present request's body.
    fault: Rc<Cell<Option<Fault>>>,
}

impl Inbound {
    /// The receiving side of `socket`, from which `first` was read already. `fault` tells what is wrong with the present
    /// request's body.
    #[must_use]
    pub fn new(socket: Socket, limits: HeadLimits, first: &[u8], fault: Rc<Cell<Option<Fault>>>) -> Self {
        let reader = RequestReader::new(limits, first);
        Self { socket, reader, invitation: b"", watcher: None, finished: false, request: 0, waiting_since: None, fault }
    }

    /// The next request's head, if it is there whole.
    ///
    /// # Errors
    /// What is wrong with it; there is no next one after that.
    pub fn next_request(&mut self) -> Result<Option<request::Parts>, Fault> {
        let parts = self.reader.next_request()?;
        if parts.is_some() {
            self.request += 1;
            self.invitation = b"";
            self.waiting_since = None;
        }
        Ok(parts)
    }

    /// The client sends the present request's body once it is invited to. That is done when the body is first asked for.
    pub fn invite_body(&mut self) {
        if self.reader.buffered() == 0 {
            self.invitation = INVITATION;
        }
    }

    /// The answer begins, so nobody is invited any more; gives the rest of an invitation that is half written.
    pub fn end_invitation(&mut self) -> &'static [u8] {
        let rest = std::mem::take(&mut self.invitation);
        if rest.len() == INVITATION.len() { b"" } else { rest }
    }

    /// Reads what there is. 0: the client will send no more.
    ///
    /// # Errors
    /// As the system says.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.finished {
            return Poll::Ready(Ok(0));
        }
        let Self { socket, reader, .. } = self;
        let read = with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
            reader.buffer().extend_from_slice(buf.filled());
            Poll::Ready(Ok(buf.filled().len()))
        });
        if matches!(read, Poll::Ready(Ok(0))) {
            self.finished = true;
        }
        read
    }

    /// Looks whether the client has stopped sending, keeping what it sends of later requests; pending where it may still
    /// send, or has sent so much that it is not asked for more, or is inside a body that somebody else reads.
    ///
    /// # Errors
    /// The client is gone.
    pub fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.reader.is_body_read() && self.reader.buffered() < AHEAD {
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        if !self.reader.is_body_read() && self.watcher.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            self.watcher = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Something has changed that the connection's loop acts on.
    fn tell_watcher(&self, cx: &Context<'_>) {
        if let Some(watcher) = &self.watcher
            && !watcher.will_wake(cx.waker())
        {
            watcher.wake_by_ref();
        }
    }

    /// Whether there is the beginning of a head.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.reader.is_in_head()
    }

    /// Whether the present request's body was taken to its end, or there is none.
    #[must_use]
    pub fn is_body_taken(&self) -> bool {
        self.reader.is_body_taken()
    }

    /// The moment since which the body's next bytes are waited for, if they are.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// The socket, and what was read and not taken.
    #[must_use]
    pub fn into_parts(self) -> (Socket, BytesMut) {
        (self.socket, self.reader.into_unread())
    }

    /// The next piece of the present request's body; never [`Piece::More`].
    ///
    /// # Errors
    /// It will not come whole.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        if self.fault.get().is_some() {
            return Poll::Ready(Err(Broken));
        }
        while !self.invitation.is_empty() {
            match Pin::new(&mut self.socket).poll_write(cx, self.invitation) {
                Poll::Ready(Ok(written)) => self.invitation = &self.invitation[written..],
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken)),
                Poll::Pending => return Poll::Pending,
            }
        }
        loop {
            match self.reader.next_piece() {
                Ok(Piece::More) => {}
                Ok(piece) => {
                    if self.reader.is_body_read() {
                        self.tell_watcher(cx);
                    }
                    return Poll::Ready(Ok(piece));
                }
                Err(fault) => {
                    self.fault.set(Some(fault));
                    return Poll::Ready(Err(Broken));
                }
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => self.waiting_since = None,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Broken)),
                Poll::Pending => {
                    if self.waiting_since.is_none() {
                        self.waiting_since = Some(Instant::now());
                        self.tell_watcher(cx);
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

/// The body of one request, read from its client's connection.
#[derive(Debug)]
pub struct Http1Body {
    inbound: Rc<RefCell<Inbound>>,
    request: u64,
}

impl Http1Body {
    /// The body of the request whose head was taken last; `None` where it has none.
    #[must_use]
    pub fn of_present(inbound: &Rc<RefCell<Inbound>>) -> Option<Self> {
        let present = inbound.borrow();
        let request = present.request;
        (!present.is_body_taken()).then(|| Self { inbound: Rc::clone(inbound), request })
    }

    /// Whether another request is being read already.
    fn is_past(&self) -> bool {
        self.inbound.borrow().request != self.request
    }
}

impl Body for Http1Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_past() {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.inbound.borrow_mut().poll_piece(cx)) {
            Ok(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Piece::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Piece::End | Piece::More) => None,
            Err(broken) => Some(Err(broken)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_past() || self.inbound.borrow().reader.is_body_taken()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_past() {
            return SizeHint::with_exact(0);
        }
        self.inbound.borrow().reader.body_left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
