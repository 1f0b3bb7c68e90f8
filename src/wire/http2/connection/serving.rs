//! What only a server's side does: requests in, answers out.

use std::time::Instant;

use http::header::{CONTENT_LENGTH, DATE, EXPECT};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Arrival, Bounds, Connection, MAX_ID, reason_of};
use crate::wire::http2::error::{Fault, Reason};
use crate::wire::http2::frame;
use crate::wire::http2::head::{Bad, Gathering, is_of_a_connection};
use crate::wire::http2::slots::Key;

/// Counts streams that came to nothing, so that who opens and resets them all the time is told to stop (CVE-2023-44487).
///
/// A bucket: each such stream takes something out, each that is answered puts something in, and so does time. People who leave and
/// callers who cancel stay far below it.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// Streams over and above what time has forgiven.
    level: f64,
    since: Option<Instant>,
    /// Streams that were reset before anybody has looked at them, since somebody did last.
    unseen: usize,
}

/// How often as many as may be unseen may come to nothing at once.
const BURST: usize = 8;

impl Resets {
    /// One more; `rate` are forgiven each second.
    pub(super) fn count(&mut self, rate: usize) -> Result<(), Fault> {
        let now = Instant::now();
        if let Some(since) = self.since.replace(now) {
            let forgiven = now.saturating_duration_since(since).as_secs_f64() * rate as f64;
            self.level = (self.level - forgiven).max(0.0);
        }
        self.level += 1.0;
        if self.level > (BURST * rate) as f64 { Err(TOO_MANY_RESETS) } else { Ok(()) }
    }

    fn answered(&mut self) {
        if self.level > 0.0 {
            self.level = (self.level - 1.0).max(0.0);
        }
    }
}

const TOO_MANY_RESETS: Fault = Fault::calm("streams are opened only to be reset");

impl Connection {
    /// A server's side.
    #[must_use]
    pub fn server(bounds: Bounds) -> Self {
        Self::new(true, bounds)
    }

    /// Whether a fault is that of a client which opens streams only to reset them.
    #[must_use]
    pub fn is_flood(fault: Fault) -> bool {
        fault == TOO_MANY_RESETS
    }

    pub(super) fn request_came(&mut self, id: u32, gathering: Gathering, end: bool) -> Result<(), Fault> {
        if let Some((key, _)) = self.streams.find(id) {
            return self.trailers_came(key, gathering, end);
        }
        if id.is_multiple_of(2) {
            return Err(Fault::protocol("a client opens a stream with an even number"));
        }
        if id <= self.last {
            return self.late(id);
        }
        self.last = id;
        if id > self.taken || self.streams.len() >= self.bounds.streams as usize {
            self.idle()?;
            frame::reset(self.out.buffer(), id, Reason::REFUSED_STREAM);
            self.forget(id);
            // A client may not have heard yet how many there may be.
            return if self.is_heard { self.resets.count(self.bounds.resets) } else { Ok(()) };
        }
        let (head, length) = match gathering.request(end) {
            Ok((head, length)) => (Some(head), length),
            Err(Bad::TooLarge) => (None, None),
            Err(bad @ Bad::Malformed(_)) => {
                self.malformed += 1;
                frame::reset(self.out.buffer(), id, reason_of(bad));
                self.forget(id);
                return self.resets.count(self.bounds.resets);
            }
        };
        let (key, stream) = self.streams.insert(id);
        stream.begin(self.bounds.stream_window, self.peer.window);
        stream.ended = end;
        stream.left = length.filter(|_| !end);
        if !end && let Some(head) = &head {
            let expects = head.headers.get(EXPECT);
            stream.holds_back = expects.is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        }
        self.arrived.push_back(Arrival { key, head, has_body: !end });
        Ok(())
    }

    /// A stream was reset by the client.
    pub(super) fn reset_by_client(&mut self, key: Key) -> Result<(), Fault> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        let (taken_up, unanswered) = (stream.taken_up, !stream.answered);
        self.remove(key);
        if taken_up {
            self.gone.push(key);
        } else {
            self.resets.unseen += 1;
            if self.resets.unseen > self.bounds.resets {
                return Err(TOO_MANY_RESETS);
            }
        }
        if unanswered { self.resets.count(self.bounds.resets) } else { Ok(()) }
    }

    /// The next request that nobody has looked at.
    pub fn next_arrival(&mut self) -> Option<Arrival> {
        while let Some(arrival) = self.arrived.pop_front() {
            if let Some(stream) = self.streams.get_mut(arrival.key) {
                stream.taken_up = true;
                return Some(arrival);
            }
        }
        self.resets.unseen = 0;
        None
    }

    /// The next stream that ended though it was being answered: nobody waits for the answer any more.
    pub fn next_gone(&mut self) -> Option<Key> {
        self.gone.pop()
    }

    /// The next stream on which there may be sent again.
    pub fn next_resumed(&mut self) -> Option<Key> {
        self.resumed.pop_front()
    }

    /// Requests since this was asked last that were malformed and whose streams were reset.
    pub fn take_malformed(&mut self) -> u32 {
        std::mem::take(&mut self.malformed)
    }

    /// Whether a stream has something to send for which there is no credit.
    #[must_use]
    pub fn is_starved(&self, key: Key) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.starved)
    }

    /// Asks a client for the data it holds back (RFC 9110, section 10.1.1).
    pub(super) fn invite(&mut self, id: u32) {
        self.head_frame(id, false, |encoder, out| encoder.status(out, StatusCode::CONTINUE));
        self.stir();
    }

    /// Sends an answer's head. `date`: for an answer without one; `length`: of its body, for an answer that does not say; `end`: there
    /// is no body.
    pub fn answer(
        &mut self,
        key: Key,
        status: StatusCode,
        headers: &HeaderMap,
        date: &HeaderValue,
        length: Option<u64>,
        end: bool,
    ) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.answered = true;
        stream.holds_back = false;
        stream.finished = end;
        self.idle_frames = 0;
        self.head_frame(key.id, end, |encoder, out| {
            encoder.status(out, status);
            let mut length = length;
            let mut is_dated = false;
            for (name, value) in headers {
                if is_of_a_connection(name) {
                    continue;
                }
                is_dated |= *name == DATE;
                if *name == CONTENT_LENGTH {
                    length = None;
                }
                encoder.field(out, name, value);
            }
            if !is_dated {
                encoder.field(out, &DATE, date);
            }
            if let Some(length) = length {
                encoder.field(out, &CONTENT_LENGTH, &length.into());
            }
        });
    }

    /// A stream that is answered whole ends. What the client might still send on it is not wanted.
    pub fn close(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        self.resets.answered();
        if !stream.ended {
            // RFC 9113, section 8.1: the answer holds whatever the rest of the request says.
            frame::reset(self.out.buffer(), key.id, Reason::NO_ERROR);
            self.forget(key.id);
        }
        self.remove(key);
    }

    /// Ends a stream that cannot be answered, or not to the end.
    pub fn reset(&mut self, key: Key, reason: Reason) {
        if self.streams.get(key).is_some() {
            frame::reset(self.out.buffer(), key.id, reason);
            self.forget(key.id);
            self.remove(key);
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Some(stream) = self.streams.remove(key) {
            stream.wake();
            let kept = stream.discard();
            self.used(kept);
        }
    }

    /// Says that no more streams are wanted, and asks whether that was heard: those on their way until then are still taken (RFC 9113,
    /// section 6.8).
    pub fn begin_leaving(&mut self) {
        self.say_goodbye(MAX_ID, Reason::NO_ERROR);
        self.ping();
    }

    /// Says which stream was the last.
    pub fn leave(&mut self) {
        self.say_goodbye(self.last, Reason::NO_ERROR);
    }
}
