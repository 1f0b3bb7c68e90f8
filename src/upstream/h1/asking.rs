//! A request on its way: its head, and its body as it comes from the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, MAX_FORWARDS,
    SET_COOKIE, TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::{Body, Frame};

use crate::upstream::body::{BodyFault, RequestBody};
use crate::wire::Socket;
use crate::wire::http1::{Framing, Outbound, request_head};

/// What of a request is still to be written.
#[derive(Debug, Default)]
pub(super) struct Asking {
    out: Outbound,
    rest: Option<Rest>,
    /// Any of it was written.
    begun: bool,
    /// The upstream takes no more.
    cut: bool,
    /// The client did not send its body as it said.
    fault: Option<BodyFault>,
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
        self.out = Outbound::default();
        self.begun = false;
        self.cut = false;
        self.fault = None;
        request_head(self.out.buffer(), request, framing);
    }

    /// Writes as much as there is and fits. Waits, where it does, for the client and for the upstream.
    ///
    /// # Errors
    /// The client did not send its body as it said.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Result<(), BodyFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        while !self.cut {
            self.fill(cx).inspect_err(|fault| self.fault = Some(*fault))?;
            if self.out.is_delivered() {
                return Ok(());
            }
            match self.out.poll_flush(socket, cx, &mut self.begun) {
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
            && !self.out.is_full()
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
            Ok(data) => data,
            Err(frame) => return self.end(frame.into_trailers().ok()),
        };
        let mut ended = false;
        if let Some(left) = &mut rest.left {
            // Another length than was said would move the boundary of the message.
            *left = left.checked_sub(data.len() as u64).ok_or(BodyFault::Broken)?;
            ended = *left == 0;
        }
        self.out.piece(data, rest.left.is_none());
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
                self.out.last_chunk(trailers.map(|found| announced(found, &rest.trailers)).as_ref());
                Ok(())
            }
        }
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
        self.rest.is_none() && self.out.is_delivered() && !self.cut
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
