//! A [`Socket`] as hyper wants one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Socket, with_scratch};

/// Reads once from `socket`, shows `inspect` the bytes and passes on as many of them as it says.
///
/// The bytes travel through the thread's scratch buffer: a copy of a few hundred nanoseconds per 16 KiB buys that hyper
/// never sees a byte that was not looked at. End of stream is an empty slice.
///
/// # Errors
/// What the socket or `inspect` says.
pub fn poll_read_inspected(
    socket: &mut Socket,
    cx: &mut Context<'_>,
    cursor: &mut ReadBufCursor<'_>,
    inspect: impl FnOnce(&[u8]) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    with_scratch(|scratch| {
        let room = cursor.remaining().min(scratch.len());
        let mut buf = ReadBuf::new(&mut scratch[..room]);
        ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
        let pass = inspect(buf.filled())?;
        cursor.put_slice(&buf.filled()[..pass]);
        Poll::Ready(Ok(pass))
    })
}

/// A socket whose bytes nobody needs to look at: HTTP/2 frames are checked by the `h2` crate itself.
#[derive(Debug)]
pub struct PlainIo {
    socket: Socket,
    /// Bytes read before this was built, given out first.
    rewind: Vec<u8>,
}

impl PlainIo {
    /// Wraps a socket from which `rewind` was read already.
    #[must_use]
    pub fn new(socket: Socket, rewind: Vec<u8>) -> Self {
        Self { socket, rewind }
    }
}

/// Gives out bytes that were read earlier; whether there were any.
pub fn drain_rewind(rewind: &mut Vec<u8>, cursor: &mut ReadBufCursor<'_>) -> bool {
    if rewind.is_empty() {
        return false;
    }
    let room = cursor.remaining().min(rewind.len());
    cursor.put_slice(&rewind[..room]);
    rewind.drain(..room);
    if rewind.is_empty() {
        *rewind = Vec::new();
    }
    true
}

impl hyper::rt::Read for PlainIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if drain_rewind(&mut this.rewind, &mut cursor) {
            return Poll::Ready(Ok(()));
        }
        poll_read_inspected(&mut this.socket, cx, &mut cursor, |bytes| Ok(bytes.len())).map_ok(|_| ())
    }
}

impl hyper::rt::Write for PlainIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
