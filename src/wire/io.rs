//! A [`Socket`] as hyper wants one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Socket, with_scratch};

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

    /// The socket alone; of what was read before only what is not given out yet is lost.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        self.socket
    }
}

impl hyper::rt::Read for PlainIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.rewind.is_empty() {
            let length = cursor.remaining().min(this.rewind.len());
            cursor.put_slice(&this.rewind[..length]);
            this.rewind.drain(..length);
            if this.rewind.is_empty() {
                this.rewind = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        // Through the thread's buffer, as hyper's own is not initialised: the copy is cheaper than clearing it.
        with_scratch(|scratch| {
            let room = cursor.remaining().min(scratch.len());
            let mut buf = ReadBuf::new(&mut scratch[..room]);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut buf))?;
            cursor.put_slice(buf.filled());
            Poll::Ready(Ok(()))
        })
    }
}

impl hyper::rt::Write for PlainIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
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
