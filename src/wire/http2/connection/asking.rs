//! What only a client's side does: requests out, answers in.

use std::task::{Context, Poll};

use http::header::HOST;
use http::{Method, Request, Response, StatusCode};

use super::{Bounds, Connection, MAX_ID, reason_of};
use crate::wire::http2::PREFACE;
use crate::wire::http2::error::{Fault, Lost, Reason};
use crate::wire::http2::frame;
use crate::wire::http2::head::{Bad, Gathering, is_of_a_connection};
use crate::wire::http2::hpack::Encoder;
use crate::wire::http2::slots::Key;

/// Most interim answers before the final one.
const MAX_INTERIM: u8 = 32;

impl Connection {
    /// A client's side.
    #[must_use]
    pub fn client(bounds: Bounds) -> Self {
        let mut connection = Self::new(false, bounds);
        // The preface comes before the settings that are there already.
        connection.out.buffer().splice(..0, PREFACE.iter().copied());
        connection
    }

    /// How many streams may be open at a time, as far as the other side has said.
    #[must_use]
    pub fn takes(&self) -> u32 {
        let ends = self.is_left() || self.taken < MAX_ID || self.last >= MAX_ID - 2;
        if ends { 0 } else { self.peer.streams }
    }

    /// All there is to write is about to be.
    pub fn writes_now(&mut self) {
        self.written = self.last;
    }

    /// Opens a stream and sends a request's head on it, `Host` as `:authority`. `None` where no stream may be opened: nothing was sent.
    pub fn open<B>(&mut self, request: &Request<B>, https: bool, end: bool) -> Option<Key> {
        if self.streams.len() >= self.takes() as usize {
            return None;
        }
        let id = if self.last == 0 { 1 } else { self.last + 2 };
        self.last = id;
        let (key, stream) = self.streams.insert(id);
        stream.begin(self.bounds.stream_window, self.peer.window);
        stream.finished = end;
        stream.to_head = *request.method() == Method::HEAD;
        self.idle_frames = 0;
        self.head_frame(id, end, |encoder, out| {
            encoder.method(out, request.method());
            Encoder::scheme(out, https);
            if let Some(host) = request.headers().get(HOST) {
                encoder.authority(out, host.as_bytes());
            }
            encoder.path(out, request.uri().path_and_query().map_or("/", |target| target.as_str()));
            for (name, value) in request.headers() {
                if *name != HOST && !is_of_a_connection(name) {
                    encoder.field(out, name, value);
                }
            }
        });
        self.stir();
        Some(key)
    }

    pub(super) fn answer_came(&mut self, id: u32, gathering: Gathering, end: bool) -> Result<(), Fault> {
        let Some((key, stream)) = self.streams.find(id) else { return self.late(id) };
        if stream.answered {
            return self.trailers_came(key, gathering, end);
        }
        let (response, length) = match gathering.response() {
            Ok(found) => found,
            Err(bad) => return self.fail(id, reason_of(bad)),
        };
        let status = response.status();
        if status.is_informational() {
            stream.interim += 1;
            let is_right = !end && stream.interim <= MAX_INTERIM;
            return if is_right { Ok(()) } else { self.fail(id, Reason::PROTOCOL_ERROR) };
        }
        let bodiless = stream.to_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if end && !bodiless && length.is_some_and(|length| length > 0) {
            let bad = Bad::Malformed("there is no body though the content-length says so");
            return self.fail(id, reason_of(bad));
        }
        stream.left = if bodiless { Some(0) } else { length };
        stream.ended = end;
        stream.answered = true;
        stream.head = Some(response);
        stream.wake();
        Ok(())
    }

    /// A stream was reset by the server.
    pub(super) fn reset_by_server(&mut self, key: Key, reason: Reason) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.finished = true;
        // Whole answers stay so: the server needs no more of the request.
        if !stream.ended {
            let refused = reason == Reason::REFUSED_STREAM && !stream.answered;
            stream.lost = Some(if refused { Lost::Refused } else { Lost::Reset });
        }
        stream.wake();
    }

    /// The answer's head.
    pub fn poll_head(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Lost>> {
        let Some(stream) = self.streams.get_mut(key) else { return Poll::Ready(Err(Lost::Reset)) };
        if let Some(head) = stream.head.take() {
            return Poll::Ready(Ok(head));
        }
        if let Some(lost) = stream.lost {
            return Poll::Ready(Err(lost));
        }
        stream.watch(cx);
        Poll::Pending
    }

    /// Has this task woken when there is something new for a stream.
    pub fn watch(&mut self, key: Key, cx: &Context<'_>) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.watch(cx);
        }
    }

    /// Wakes whoever has streams: there is room to send.
    pub fn wake_all(&mut self) {
        self.streams.iter_mut().for_each(|(_, stream)| stream.wake());
    }

    /// A stream is not wanted any more, its answer taken or not.
    pub fn release(&mut self, key: Key, reason: Reason) {
        let Some(stream) = self.streams.get(key) else { return };
        let is_over = stream.ended && stream.finished;
        if !is_over && stream.lost.is_none() {
            frame::reset(self.out.buffer(), key.id, reason);
            self.forget(key.id);
            self.stir();
        }
        self.remove(key);
    }

    /// The connection is over: nothing more comes on any stream. What was never written the other side has not begun with.
    pub fn lose(&mut self, lost: Lost) {
        self.peer_takes = self.peer_takes.min(MAX_ID - 1);
        for (key, stream) in self.streams.iter_mut() {
            stream.finished = true;
            if !stream.ended && stream.lost.is_none() {
                stream.lost = Some(if key.id > self.written { Lost::Refused } else { lost });
            }
            stream.wake();
        }
    }

    /// The other side takes no more streams than those up to `last`.
    pub(super) fn left(&mut self, last: u32) {
        self.peer_takes = self.peer_takes.min(last).min(MAX_ID - 1);
        if self.is_server {
            return;
        }
        for (key, stream) in self.streams.iter_mut() {
            if key.id > last && !stream.ended && stream.lost.is_none() {
                stream.lost = Some(Lost::Refused);
                stream.finished = true;
                stream.wake();
            }
        }
    }

    /// Whether the other side takes no more streams.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.peer_takes < MAX_ID
    }

    /// Says that the connection is not needed any more.
    pub fn say_no_more(&mut self) {
        self.say_goodbye(0, Reason::NO_ERROR);
    }
}
