//! A request on its way: its head, and its body as it comes from the client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, MAX_FORWARDS,
    SET_COOKIE, TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use crate::upstream::body::{BodyFault, RequestBody};
use crate::wire::http1::{Framing, chunk, chunk_start, last_chunk, request_head};
use crate::wire::{Socket, give_back_spare, take_spare};

/// Nothing more is taken from the client while so many bytes wait to be written.
const BATCH: usize = 16 * 1024;
/// Pieces of a body that are at least so long are written from where they are; shorter ones are gathered first.
const LONG: usize = 4 * 1024;

/// What of a request is still to be written.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Encoded bytes, the first `written` of which were written. A buffer only while there is something in it.
    out: Vec<u8>,
    written: usize,
    /// A long piece of the body, to be written after `out`.
    data: Bytes,
    /// The end of its chunk.
    tail: &'static [u8],
    rest: Option<Rest>,
    /// Any of it was written.
    begun: bool,
    /// The upstream takes no more.
    cut: bool,
}

/// The part of a body that still has to come from the client.
#[derive(Debug)]
struct Rest {
    body: RequestBody,
    /// Bytes to come; `None` where the body goes in chunks.
    left: Option<u64>,
    /// The `Trailer` lines of the head.
    trailers: Vec<HeaderValue>,
}

impl Asking {
    /// Encodes the head of a request and takes its body.
    pub(super) fn begin(&mut self, request: &mut Request<RequestBody>) {
        let body = std::mem::take(request.body_mut());
        let framing = if body.is_end_stream() {
            // An empty body is said to be empty where the client said so.
            let stated = request.headers().contains_key(CONTENT_LENGTH);
            if stated { Framing::Length(0) } else { Framing::Bodiless }
        } else {
            body.size_hint().exact().map_or(Framing::Chunked, Framing::Length)
        };
        self.rest = match framing {
            Framing::Length(length @ 1..) => Some(Rest { body, left: Some(length), trailers: Vec::new() }),
            Framing::Chunked => {
                let trailers = request.headers().get_all(TRAILER).iter().cloned().collect();
                Some(Rest { body, left: None, trailers })
            }
            _ => None,
        };
        self.out = take_spare();
        self.written = 0;
        self.data = Bytes::new();
        self.tail = b"";
        self.begun = false;
        self.cut = false;
        request_head(&mut self.out, request, framing);
    }

    /// Writes as much as there is and fits. Waits, where it does, for the client and for the upstream.
    ///
    /// # Errors
    /// The client did not send its body as it said.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Result<(), BodyFault> {
        while !self.cut {
            self.fill(cx)?;
            if self.is_flushed() {
                if self.out.capacity() > 0 {
                    self.written = 0;
                    give_back_spare(std::mem::take(&mut self.out));
                }
                return Ok(());
            }
            match self.poll_write(cx, socket) {
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return Ok(()),
                // There may be an answer all the same; if not, reading says why.
                Poll::Ready(Err(error)) => {
                    tracing::trace!(%error, "an upstream takes no more of a request");
                    self.cut = true;
                }
            }
        }
        Ok(())
    }

    /// Takes what the client has sent, up to a bound.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), BodyFault> {
        while let Some(rest) = &mut self.rest
            && self.data.is_empty()
            && self.tail.is_empty()
            && self.out.len() < BATCH
        {
            match Pin::new(&mut rest.body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(frame)) => self.take(frame?)?,
                Poll::Ready(None) => self.end(None)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), BodyFault> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        let data = match frame.into_data() {
            Ok(data) if data.is_empty() => return Ok(()),
            Ok(data) => data,
            Err(frame) => return self.end(frame.into_trailers().ok()),
        };
        if self.out.capacity() == 0 {
            self.out = take_spare();
        }
        let is_long = data.len() >= LONG;
        let mut ended = false;
        if let Some(left) = &mut rest.left {
            // Another length than was said would move the boundary of the message.
            *left = left.checked_sub(data.len() as u64).ok_or(BodyFault::Broken)?;
            ended = *left == 0;
            if !is_long {
                self.out.extend_from_slice(&data);
            }
        } else if is_long {
            chunk_start(&mut self.out, data.len());
            ended = rest.body.is_end_stream();
            self.tail = if ended { b"\r\n0\r\n\r\n" } else { b"\r\n" };
        } else {
            chunk(&mut self.out, &data);
        }
        if is_long {
            self.data = data;
        }
        if ended {
            self.rest = None;
        }
        Ok(())
    }

    /// The body has ended.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), BodyFault> {
        let Some(rest) = self.rest.take() else { return Ok(()) };
        match rest.left {
            Some(0) => Ok(()),
            Some(_) => Err(BodyFault::Broken),
            None => {
                if self.out.capacity() == 0 {
                    self.out = take_spare();
                }
                last_chunk(&mut self.out, trailers.map(|found| announced(found, &rest.trailers)).as_ref());
                Ok(())
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<()>> {
        let out = &self.out[self.written..];
        let length = if self.data.is_empty() && self.tail.is_empty() {
            ready!(Pin::new(socket).poll_write(cx, out))?
        } else {
            let parts = [IoSlice::new(out), IoSlice::new(&self.data), IoSlice::new(self.tail)];
            ready!(Pin::new(socket).poll_write_vectored(cx, &parts))?
        };
        if length == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        let of_out = length.min(out.len());
        self.written += of_out;
        let of_data = (length - of_out).min(self.data.len());
        self.data.advance(of_data);
        if self.data.is_empty() {
            self.data = Bytes::new();
        }
        self.tail = &self.tail[length - of_out - of_data..];
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn is_flushed(&self) -> bool {
        self.out.is_empty() && self.data.is_empty() && self.tail.is_empty()
    }

    /// The upstream asks for the body.
    pub(super) fn go_ahead(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.body.go_ahead();
        }
    }

    /// The upstream has answered: a body it has not asked for by now is not sent any more.
    pub(super) fn answered(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.body.answered();
        }
    }

    /// Whether all of it was written.
    pub(super) fn is_done(&self) -> bool {
        self.rest.is_none() && self.is_flushed() && !self.cut
    }

    /// Whether none of it was written and none of its body taken: it may as well be sent elsewhere.
    pub(super) fn is_untouched(&self) -> bool {
        !self.begun && self.rest.as_ref().is_none_or(|rest| rest.body.is_untouched())
    }

    /// The body, where none of it was taken.
    pub(super) fn take_body(&mut self) -> RequestBody {
        self.rest.take().map(|rest| rest.body).unwrap_or_default()
    }
}

/// Those of a request's trailers that its head announces and that may be trailers (RFC 9110, section 6.5.1).
fn announced(trailers: HeaderMap, names: &[HeaderValue]) -> HeaderMap {
    const NEVER: [HeaderName; 7] =
        [AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, MAX_FORWARDS, SET_COOKIE];
    let is_named = |name: &HeaderName| {
        let mut names = names.iter().flat_map(|names| names.as_bytes().split(|byte| *byte == b','));
        names.any(|found| found.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let mut kept = trailers;
    let unwanted: Vec<_> = kept.keys().filter(|name| NEVER.contains(name) || !is_named(name)).cloned().collect();
    for name in unwanted {
        kept.remove(name);
    }
    kept
}
