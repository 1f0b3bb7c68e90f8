//! Messages on their way out: heads and bodies, gathered so that a small one is one write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::encode::{chunk, chunk_start, last_chunk};
use crate::wire::{Socket, give_back_spare, take_spare};

/// Data up to this size is copied behind what is before it; more is written from where it is.
const COPIED: usize = 16 * 1024;
/// Bytes gathered before they are written.
const GATHERED: usize = 64 * 1024;

/// Bytes on their way to a peer.
#[derive(Debug, Default)]
pub struct Outbound {
    /// The thread's spare buffer, while there is something in it: nearly always all is written at once.
    gathered: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Written after them.
    data: Bytes,
    /// Written after that: the end of the chunk that `data` is.
    tail: &'static [u8],
    /// The socket may have kept some of what was written.
    unflushed: bool,
}

impl Outbound {
    /// Where the next bytes are appended. There must be room: see [`Self::is_full`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.gathered.capacity() == 0 {
            self.gathered = take_spare();
        }
        &mut self.gathered
    }

    /// Appends a piece of a body, as a chunk where it goes in chunks. There must be room.
    pub fn piece(&mut self, data: Bytes, chunked: bool) {
        if data.is_empty() {
            return;
        }
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

    /// Appends the end of a body in chunks. There must be room.
    pub fn last_chunk(&mut self, trailers: Option<&HeaderMap>) {
        last_chunk(self.buffer(), trailers);
    }

    /// Whether it has to be written before anything is appended.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty() || self.gathered.len() >= GATHERED
    }

    /// Whether everything has left.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.is_empty() && !self.unflushed
    }

    /// Whether everything is written.
    fn is_empty(&self) -> bool {
        self.written == self.gathered.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Writes everything; says in `moved` whether any byte moved before it had to wait or failed.
    ///
    /// # Errors
    /// As the system says.
    pub fn poll_flush(&mut self, socket: &mut Socket, cx: &mut Context<'_>, moved: &mut bool) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let rest = &self.gathered[self.written..];
            let length = if self.data.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *socket).poll_write(cx, rest))?
            } else {
                let slices = [IoSlice::new(rest), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *socket).poll_write_vectored(cx, &slices))?
            };
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *moved = true;
            self.unflushed = true;
            self.advance(length);
        }
        if self.gathered.capacity() > 0 {
            self.written = 0;
            give_back_spare(std::mem::take(&mut self.gathered));
        }
        ready!(Pin::new(socket).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut length: usize) {
        let of_gathered = length.min(self.gathered.len() - self.written);
        self.written += of_gathered;
        length -= of_gathered;
        let of_data = length.min(self.data.len());
        self.data.advance(of_data);
        if self.data.is_empty() {
            // It may be the last to hold a large read.
            self.data = Bytes::new();
        }
        self.tail = &self.tail[length - of_data..];
    }
}
