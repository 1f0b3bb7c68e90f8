//! Data and trailers that come, for whoever takes them.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame as BodyFrame;

use super::Connection;
use crate::wire::Broken;
use crate::wire::http2::error::{Fault, Reason};
use crate::wire::http2::frame;
use crate::wire::http2::head::Gathering;
use crate::wire::http2::slots::Key;
use crate::wire::http2::stream::Stream;

impl Connection {
    pub(super) fn trailers_came(&mut self, key: Key, gathering: Gathering, end: bool) -> Result<(), Fault> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        if stream.ended {
            return self.fail(key.id, Reason::STREAM_CLOSED);
        }
        match gathering.trailers() {
            Ok(trailers) if end && stream.left.is_none_or(|left| left == 0) => {
                if !stream.unwanted && !trailers.is_empty() {
                    stream.trailers = Some(trailers);
                }
                stream.ended = true;
                stream.wake();
                Ok(())
            }
            _ => self.fail(key.id, Reason::PROTOCOL_ERROR),
        }
    }

    pub(super) fn data_came(&mut self, id: u32, data: &[u8], padding: usize, end: bool) -> Result<(), Fault> {
        if data.is_empty() && !end {
            self.idle()?;
        } else {
            self.idle_frames = 0;
        }
        let length = data.len() + padding;
        if !self.window.take(length) {
            return Err(Fault::new(Reason::FLOW_CONTROL_ERROR, "more data comes than the connection's window allows"));
        }
        let is_server = self.is_server;
        let Some((key, stream)) = self.streams.find(id) else {
            self.used(length);
            return self.late(id);
        };
        let reason = if stream.ended {
            Some(Reason::STREAM_CLOSED)
        } else if !stream.window.take(length) {
            Some(Reason::FLOW_CONTROL_ERROR)
        } else if !(is_server || stream.answered) || !stream.count(data.len(), end) {
            Some(Reason::PROTOCOL_ERROR)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.used(length);
            return self.fail(id, reason);
        }
        // Padding is used as it comes. What nobody wants holds up its own stream and no other.
        let mut used = padding;
        if stream.unwanted {
            used += data.len();
        } else if !data.is_empty() {
            stream.push(data);
        }
        stream.ended = end;
        stream.wake();
        if used > 0 {
            if let Some(stream) = self.streams.get_mut(key)
                && let Some(more) = stream.window.used(padding)
            {
                frame::window_update(self.out.buffer(), id, more);
            }
            self.used(used);
        }
        Ok(())
    }

    /// A frame came for a stream that is not open.
    pub(super) fn late(&mut self, id: u32) -> Result<(), Fault> {
        self.unless_idle(id)?;
        self.idle()?;
        // It was on its way when this side ended the stream, or the other side has forgotten that it did.
        if !self.forgotten.contains(&id) {
            frame::reset(self.out.buffer(), id, Reason::STREAM_CLOSED);
            self.forget(id);
        }
        Ok(())
    }

    /// Refuses what came for a stream that was never open.
    pub(super) fn unless_idle(&self, id: u32) -> Result<(), Fault> {
        if id > self.last || id.is_multiple_of(2) {
            return Err(Fault::protocol("a frame came for a stream that nobody has opened"));
        }
        Ok(())
    }

    /// So many bytes of data were used.
    pub(super) fn used(&mut self, bytes: usize) {
        if let Some(more) = self.window.used(bytes) {
            frame::window_update(self.out.buffer(), 0, more);
            self.stir();
        }
    }

    /// The next of what came on a stream.
    pub fn poll_frame(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<Option<Result<BodyFrame<Bytes>, Broken>>> {
        let Some(stream) = self.streams.get_mut(key) else { return Poll::Ready(Some(Err(Broken))) };
        if stream.holds_back {
            stream.holds_back = false;
            self.invite(key.id);
            return self.poll_frame(key, cx);
        }
        if let Some(data) = stream.pop() {
            let more = stream.window.used(data.len()).filter(|_| !stream.ended);
            if let Some(more) = more {
                frame::window_update(self.out.buffer(), key.id, more);
                self.stir();
            }
            self.used(data.len());
            return Poll::Ready(Some(Ok(BodyFrame::data(data))));
        }
        if let Some(trailers) = stream.trailers.take() {
            return Poll::Ready(Some(Ok(BodyFrame::trailers(trailers))));
        }
        if stream.ended {
            return Poll::Ready(None);
        }
        if stream.lost.is_some() {
            return Poll::Ready(Some(Err(Broken)));
        }
        stream.watch(cx);
        Poll::Pending
    }

    /// Whether all that comes on a stream was taken.
    #[must_use]
    pub fn is_over(&self, key: Key) -> bool {
        self.streams.get(key).is_some_and(Stream::is_over)
    }

    /// Bytes of data still to be taken from a stream, where that is known.
    #[must_use]
    pub fn known_length(&self, key: Key) -> Option<u64> {
        self.streams.get(key).and_then(Stream::known_length)
    }

    /// Nobody takes any more of what comes on a stream.
    pub fn unwanted(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.unwanted = true;
            stream.holds_back = false;
            let kept = stream.discard();
            self.used(kept);
        }
    }
}
