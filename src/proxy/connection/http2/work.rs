//! What is done on one stream: an answer is waited for, then relayed.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;

use crate::proxy::exchange::{Exchange, RelayBody};
use crate::wire::http2::{Connection, Key};
use crate::wire::{clock, give_back_headers};

/// The work on one stream.
pub(super) struct Work {
    pub(super) key: Key,
    /// It is in the queue of those to go on with.
    pub(super) queued: bool,
    /// Since when there is something to send that the client does not let it send.
    pub(super) stalled_since: Option<Instant>,
    /// It is among those that may have stalled.
    pub(super) is_noted: bool,
    /// The answer has a head and nothing else.
    is_head: bool,
    step: Step,
}

enum Step {
    Answering(Exchange),
    Relaying {
        body: RelayBody,
        /// What was taken of the body and not sent.
        rest: Bytes,
        /// Nothing comes after that.
        last: bool,
    },
}

/// How far it has come.
pub(super) enum Progress {
    /// It will be woken.
    Waits,
    /// There is more to send than the client takes.
    Starves,
    /// There is more to send than is written at once.
    Full,
    /// The answer is sent whole.
    Done,
    /// There is no answer, or no more of it.
    Broken,
}

impl Work {
    pub(super) fn new(key: Key, is_head: bool, exchange: Exchange) -> Self {
        let step = Step::Answering(exchange);
        Self { key, queued: false, stalled_since: None, is_noted: false, is_head, step }
    }

    /// Goes on as far as there is something to go on with.
    pub(super) fn poll(&mut self, wire: &RefCell<Connection>, cx: &mut Context<'_>) -> Progress {
        if let Step::Answering(exchange) = &mut self.step {
            match Pin::new(exchange).poll(cx) {
                Poll::Pending => return Progress::Waits,
                Poll::Ready(Err(_)) => return Progress::Broken,
                Poll::Ready(Ok(response)) => {
                    // The body, wanted or not, outlives the borrow: it may have what reads from the same connection.
                    let (body, end) = self.answer(response, &mut wire.borrow_mut());
                    self.step = Step::Relaying { body, rest: Bytes::new(), last: end };
                    if end {
                        return Progress::Done;
                    }
                }
            }
        }
        self.relay(wire, cx)
    }

    /// Sends the head; gives the body, and whether the head was all.
    fn answer(&self, response: Response<RelayBody>, wire: &mut Connection) -> (RelayBody, bool) {
        let (head, body) = response.into_parts();
        let is_over = body.is_end_stream();
        let bodiless = self.is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = if is_over || (bodiless && !self.is_head) { None } else { body.size_hint().exact() };
        let end = is_over || bodiless;
        wire.answer(self.key, head.status, &head.headers, &date(), length, end);
        give_back_headers(head.headers);
        (body, end)
    }

    fn relay(&mut self, wire: &RefCell<Connection>, cx: &mut Context<'_>) -> Progress {
        let Step::Relaying { body, rest, last } = &mut self.step else { return Progress::Waits };
        loop {
            if !rest.is_empty() || *last {
                let before = rest.len();
                wire.borrow_mut().send(self.key, rest, *last);
                if !rest.is_empty() {
                    // The request may go on all the same.
                    body.poll_ask(cx);
                    let moved = rest.len() < before || self.stalled_since.is_none();
                    return if moved { Progress::Starves } else { Progress::Waits };
                }
                self.stalled_since = None;
                if *last {
                    return Progress::Done;
                }
            }
            if wire.borrow().out.is_full() {
                return Progress::Full;
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Progress::Waits,
                Poll::Ready(None) => *last = true,
                Poll::Ready(Some(Err(_))) => return Progress::Broken,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        *rest = data;
                        *last = body.is_end_stream();
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            wire.borrow_mut().send_trailers(self.key, &trailers);
                            give_back_headers(trailers);
                            return Progress::Done;
                        }
                    }
                },
            }
        }
    }
}

/// The time as answers carry it, made once a second.
fn date() -> HeaderValue {
    thread_local! {
        static DATE: RefCell<HeaderValue> = const { RefCell::new(HeaderValue::from_static("")) };
        static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let at = clock::lately();
    if UNTIL.get().is_none_or(|until| at >= until) {
        let now = SystemTime::now();
        let into_second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        UNTIL.set(Some(at + Duration::from_nanos(u64::from(1_000_000_000 - into_second))));
        // Invariant: letters, digits, blanks, colons and a comma.
        let made = HeaderValue::try_from(httpdate::fmt_http_date(now)).unwrap_or(HeaderValue::from_static(""));
        DATE.set(made);
    }
    DATE.with_borrow(Clone::clone)
}
