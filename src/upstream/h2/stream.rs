//! One exchange on a connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};

use super::H2;
use crate::telemetry::Failure;
use crate::upstream::body::{self, RequestBody};
use crate::wire::http2::{Key, Lost, Reason};
use crate::wire::{Broken, clock, give_back_headers};

/// One stream of a connection, counted from when the connection was chosen for it. Dropping it before its end resets it.
pub(in crate::upstream) struct Stream {
    connection: H2,
    /// Once a request was sent on it.
    key: Option<Key>,
    /// What of the request is still to be sent.
    asking: Option<Asking>,
    /// The request's body, where it is short and came at once: an upstream that has not begun with the request leaves it to
    /// another connection.
    kept: Option<Bytes>,
    /// The client did not send its request as it said.
    faulty: bool,
    began: Instant,
    heard_before: u64,
}

/// A request's body on its way.
struct Asking {
    body: RequestBody,
    /// What was taken of it and not sent.
    rest: Bytes,
    /// Nothing comes after that.
    last: bool,
    /// Nothing was taken of it.
    is_first: bool,
}

/// Longest body that is kept until the upstream has begun with its request.
const KEPT: usize = 64 * 1024;

impl Stream {
    pub(in crate::upstream) fn on(connection: H2) -> Self {
        let shared = &connection.0;
        shared.streams.set(shared.streams.get() + 1);
        let (began, heard_before) = (clock::lately(), shared.heard.get());
        Self { connection, key: None, asking: None, kept: None, faulty: false, began, heard_before }
    }

    /// Sends a request and waits for the response's head, which is put into `head`. `replayable`: it can do no harm to send it
    /// twice, and it has no body.
    ///
    /// # Errors
    /// Why there is no response. If then the upstream has not begun with the request, or it may be sent again anyway, it is
    /// still in `request`.
    pub(in crate::upstream) async fn send(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        replayable: bool,
        head: &mut Option<Response<()>>,
    ) -> Result<(), Failure> {
        let shared = &self.connection.0;
        // Invariant: whoever sends has a request to send, and it is there until this is over.
        let whole = request.as_mut().expect("a request to send");
        let end = whole.body().is_end_stream();
        let Some(key) = shared.wire.borrow_mut().open(whole, shared.https, end) else { return Err(Failure::Reset) };
        self.key = Some(key);
        if !end {
            let body = std::mem::take(whole.body_mut());
            self.asking = Some(Asking { body, rest: Bytes::new(), last: false, is_first: true });
        }
        let lost = match poll_fn(|cx| self.poll_head(head, cx)).await {
            Ok(()) => {
                body::end(request);
                return Ok(());
            }
            Err(lost) => lost,
        };
        // A connection that was used before may have been closed for being unused.
        let unheard = lost == Lost::Closed && replayable && key.id > 1;
        let body = if lost == Lost::Refused || unheard { self.unsent_body(end) } else { None };
        match (body, request.as_mut()) {
            (Some(body), Some(request)) => *request.body_mut() = body,
            _ => *request = None,
        }
        Err(if lost == Lost::Malformed { Failure::Protocol } else { Failure::Reset })
    }

    /// The request's body as if nothing of it had been sent, if it is still there. `empty`: it has none.
    fn unsent_body(&mut self, empty: bool) -> Option<RequestBody> {
        if empty {
            return Some(RequestBody::default());
        }
        match self.kept.take() {
            Some(kept) => Some(RequestBody::taken(kept)),
            None => self.asking.take().filter(Asking::is_untouched).map(|asking| asking.body),
        }
    }

    fn poll_head(&mut self, head: &mut Option<Response<()>>, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        self.poll_ask(cx);
        if self.faulty {
            return Poll::Ready(Err(Lost::Reset));
        }
        let Some(key) = self.key else { return Poll::Ready(Err(Lost::Reset)) };
        let answered = ready!(self.connection.0.wire.borrow_mut().poll_head(key, cx));
        self.heard();
        *head = Some(answered?);
        self.kept = None;
        Poll::Ready(Ok(()))
    }

    /// The next frame of the response's body. The rest of the request's body goes its way meanwhile.
    pub(in crate::upstream) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.poll_ask(cx);
        if self.faulty {
            return Poll::Ready(Some(Err(Broken)));
        }
        let Some(key) = self.key else { return Poll::Ready(None) };
        let frame = self.connection.0.wire.borrow_mut().poll_frame(key, cx);
        if frame.is_ready() {
            self.heard();
        }
        frame
    }

    /// Sends what there is of the request's body, as far as it may be sent.
    pub(in crate::upstream) fn poll_ask(&mut self, cx: &mut Context<'_>) {
        let (Some(key), Some(asking)) = (self.key, &mut self.asking) else { return };
        let shared = &self.connection.0;
        loop {
            if !asking.rest.is_empty() || asking.last {
                let mut wire = shared.wire.borrow_mut();
                wire.send(key, &mut asking.rest, asking.last);
                wire.stir();
                if !asking.rest.is_empty() {
                    return wire.watch(key, cx);
                }
                if asking.last {
                    break;
                }
            }
            if shared.wire.borrow().out.is_full() {
                shared.awaits_room.set(true);
                return shared.wire.borrow_mut().watch(key, cx);
            }
            match Pin::new(&mut asking.body).poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(None) => asking.last = true,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        asking.last = asking.body.is_end_stream();
                        if asking.is_first && asking.last && data.len() <= KEPT {
                            let mut wire = shared.wire.borrow_mut();
                            if wire.send_whole(key, &data) {
                                wire.stir();
                                self.kept = Some(data);
                                break;
                            }
                            self.kept = Some(data.clone());
                        }
                        asking.is_first = false;
                        asking.rest = data;
                    }
                    Err(frame) => {
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        let mut wire = shared.wire.borrow_mut();
                        wire.send_trailers(key, &trailers);
                        wire.stir();
                        give_back_headers(trailers);
                        break;
                    }
                },
                Poll::Ready(Some(Err(_))) => {
                    self.faulty = true;
                    shared.wire.borrow_mut().release(key, Reason::CANCEL);
                    break;
                }
            }
        }
        self.asking = None;
    }

    /// Something of the response came.
    fn heard(&self) {
        let heard = &self.connection.0.heard;
        heard.set(heard.get().wrapping_add(1));
    }

    /// Whether nothing of the response's body is still to come.
    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.key.is_none_or(|key| self.connection.0.wire.borrow().is_over(key))
    }

    /// What is known of the length of the rest of the response's body.
    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        let known = self.key.map_or(Some(0), |key| self.connection.0.wire.borrow().known_length(key));
        known.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Asking {
    /// Whether nothing of the body was taken from the client.
    fn is_untouched(&self) -> bool {
        self.is_first && self.body.is_untouched()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let shared = &self.connection.0;
        if let Some(key) = self.key {
            shared.wire.borrow_mut().release(key, Reason::CANCEL);
        }
        shared.streams.set(shared.streams.get() - 1);
        let unheard = shared.heard.get() == self.heard_before;
        if unheard || shared.streams.get() == 0 {
            let now = clock::lately();
            shared.last_used.set(now);
            if unheard && now.saturating_duration_since(self.began) >= shared.patience {
                shared.suspect.set(true);
            }
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("connection", &self.connection).field("key", &self.key).finish_non_exhaustive()
    }
}
