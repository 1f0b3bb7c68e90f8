//! What goes to the client: heads and bodies, gathered so that a small response is one write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;
use tokio::io::AsyncWrite;

use crate::wire::http1::{Framing, chunk, chunk_start, last_chunk};
use crate::wire::{Socket, give_back_spare, take_spare};

/// Data up to this size is copied behind its head; more is written from where it is.
const COPIED: usize = 16 * 1024;
/// Bytes gathered before they are written.
const GATHERED: usize = 64 * 1024;

/// Bytes on their way to the client.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    gathered: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Written after them.
    data: Bytes,
    /// Written after that: the end of the chunk that `data` is.
    tail: &'static [u8],
}

impl Outbound {
    /// Where the next bytes are appended. There must be room: see [`Self::is_full`].
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.gathered.capacity() == 0 {
            self.gathered = take_spare();
        }
        &mut self.gathered
    }

    /// Appends a frame of a body.
    pub(super) fn frame(&mut self, frame: Frame<Bytes>, framing: Framing) {
        match frame.into_data() {
            Ok(data) if data.is_empty() || framing == Framing::Bodiless => {}
            Ok(data) => self.data(data, framing == Framing::Chunked),
            Err(other) => {
                if let (Ok(trailers), Framing::Chunked) = (other.into_trailers(), framing) {
                    self.end(framing, Some(&trailers));
                }
            }
        }
    }

    fn data(&mut self, data: Bytes, chunked: bool) {
        if data.len() <= COPIED {
            let buffer = self.buffer();
            if chunked {
                chunk(buffer, &data);
            } else {
                buffer.extend_from_slice(&data);
            }
            return;
        }
        if chunked {
            chunk_start(self.buffer(), data.len());
            self.tail = b"\r\n";
        }
        self.data = data;
    }

    /// Appends the end of a body.
    pub(super) fn end(&mut self, framing: Framing, trailers: Option<&HeaderMap>) {
        if framing == Framing::Chunked {
            last_chunk(self.buffer(), trailers);
        }
    }

    /// Whether it has to be written before anything is appended.
    pub(super) fn is_full(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty() || self.gathered.len() >= GATHERED
    }

    /// Whether everything is written.
    pub(super) fn is_empty(&self) -> bool {
        self.written == self.gathered.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Writes everything; says whether any byte moved before it had to wait.
    pub(super) fn poll_flush(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let rest = &self.gathered[self.written..];
            let length = if self.data.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *socket).poll_write(cx, rest))?
            } else if socket.is_write_vectored() {
                let slices = [IoSlice::new(rest), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *socket).poll_write_vectored(cx, &slices))?
            } else {
                let first = [rest, &self.data, self.tail].into_iter().find(|part| !part.is_empty());
                ready!(Pin::new(&mut *socket).poll_write(cx, first.unwrap_or_default()))?
            };
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *moved = true;
            self.advance(length);
        }
        self.written = 0;
        give_back_spare(std::mem::take(&mut self.gathered));
        ready!(Pin::new(socket).poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut length: usize) {
        let of_gathered = length.min(self.gathered.len() - self.written);
        self.written += of_gathered;
        length -= of_gathered;
        let of_data = length.min(self.data.len());
        self.data.advance(of_data);
        self.tail = &self.tail[length - of_data..];
    }
}
