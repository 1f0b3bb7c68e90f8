//! Data and header blocks on their way out, as far as the other side lets them.

use bytes::Bytes;
use http::HeaderMap;

use super::Connection;
use crate::wire::http2::error::{Fault, Reason};
use crate::wire::http2::frame::{self, DATA, END_STREAM, HEAD};
use crate::wire::http2::head;
use crate::wire::http2::hpack::Encoder;
use crate::wire::http2::outbound::COPIED;
use crate::wire::http2::settings::MAX_WINDOW;
use crate::wire::http2::slots::Key;

impl Connection {
    pub(super) fn credit_came(&mut self, id: u32, increment: u32) -> Result<(), Fault> {
        let grown = |credit: i64| {
            let credit = credit + i64::from(increment);
            (credit <= i64::from(MAX_WINDOW)).then_some(credit)
        };
        if id == 0 {
            if increment == 0 {
                return Err(Fault::protocol("a window opens by nothing"));
            }
            self.credit = grown(self.credit)
                .ok_or(Fault::new(Reason::FLOW_CONTROL_ERROR, "a window is larger than any may be"))?;
            for _ in 0..self.starved.len() {
                if let Some(key) = self.starved.pop_front() {
                    self.resume(key);
                }
            }
            return Ok(());
        }
        let Some((key, stream)) = self.streams.find(id) else {
            // Of one that has ended it means nothing, whoever ended it.
            return self.unless_idle(id);
        };
        match grown(stream.credit) {
            _ if increment == 0 => self.fail(id, Reason::PROTOCOL_ERROR),
            None => self.fail(id, Reason::FLOW_CONTROL_ERROR),
            Some(credit) => {
                stream.credit = credit;
                if stream.starved && credit > 0 {
                    self.resume(key);
                }
                Ok(())
            }
        }
    }

    /// There may be credit again for a stream.
    pub(super) fn resume(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.starved = false;
        if self.is_server {
            self.resumed.push_back(key);
        } else {
            stream.wake();
        }
    }

    /// Sends data on a stream, as much as may be; the rest stays in `data`, and whoever has it is told when there may be more. `end`:
    /// nothing follows it.
    pub fn send(&mut self, key: Key, data: &mut Bytes, end: bool) {
        let Self { streams, out, starved, peer, credit, .. } = self;
        let Some(stream) = streams.get_mut(key).filter(|stream| !stream.finished) else {
            data.clear();
            return;
        };
        self.idle_frames = 0;
        while !data.is_empty() || end {
            let may = (stream.credit.min(*credit).max(0) as usize).min(peer.frame);
            if may == 0 && !data.is_empty() {
                stream.starved = true;
                if stream.credit > 0 && !starved.contains(&key) {
                    starved.push_back(key);
                }
                return;
            }
            let piece = data.split_to(may.min(data.len()));
            // Invariant: no longer than a frame.
            let length = i64::from(piece.len() as u32);
            stream.credit -= length;
            *credit -= length;
            let last = end && data.is_empty();
            let flags = if last { END_STREAM } else { 0 };
            out.buffer().extend_from_slice(&frame::head(piece.len(), DATA, flags, key.id));
            if !piece.is_empty() {
                out.data(piece);
            }
            if last {
                stream.finished = true;
                return;
            }
        }
    }

    /// Sends all the data of a stream at once, which ends what this side sends on it; `false` where it is too much for that, and nothing
    /// was sent.
    #[must_use]
    pub fn send_whole(&mut self, key: Key, data: &[u8]) -> bool {
        let Self { streams, out, peer, credit, .. } = self;
        let Some(stream) = streams.get_mut(key).filter(|stream| !stream.finished) else { return false };
        let may = (stream.credit.min(*credit).max(0) as usize).min(peer.frame).min(COPIED);
        if data.len() > may {
            return false;
        }
        // Invariant: no longer than a frame.
        let length = i64::from(data.len() as u32);
        stream.credit -= length;
        *credit -= length;
        stream.finished = true;
        let out = out.buffer();
        out.extend_from_slice(&frame::head(data.len(), DATA, END_STREAM, key.id));
        out.extend_from_slice(data);
        self.idle_frames = 0;
        true
    }

    /// Sends trailers, which end what this side sends on a stream.
    pub fn send_trailers(&mut self, key: Key, trailers: &HeaderMap) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.finished) else { return };
        stream.finished = true;
        self.head_frame(key.id, true, |encoder, out| {
            for (name, value) in trailers.iter().filter(|(name, _)| !head::is_of_a_connection(name)) {
                encoder.field(out, name, value);
            }
        });
    }

    /// Writes a header block and the frames around it.
    pub(super) fn head_frame(&mut self, id: u32, end: bool, write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        let out = self.out.buffer();
        let start = out.len();
        out.extend_from_slice(&[0; HEAD]);
        self.encoder.begin(out);
        write(&mut self.encoder, out);
        frame::headers(out, start, id, end, self.peer.frame);
    }
}
