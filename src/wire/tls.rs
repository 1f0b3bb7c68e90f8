//! A socket inside TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::Socket;

/// A TLS connection of which the handshake is over, on either side.
#[derive(Debug)]
pub struct TlsSocket {
    stream: TlsStream<Socket>,
    /// It is reset when it is closed: the peer must not take what it got for whole.
    aborted: bool,
}

impl TlsSocket {
    pub(super) fn new(stream: TlsStream<Socket>) -> Self {
        Self { stream, aborted: false }
    }

    /// What carries it.
    pub(super) fn carrier(&self) -> &Socket {
        self.stream.get_ref().0
    }

    /// See [`Socket::abort_on_close`].
    pub(super) fn abort_on_close(&mut self) {
        self.aborted = true;
        self.stream.get_mut().0.abort_on_close();
    }

    pub(super) fn stream(&mut self) -> Pin<&mut TlsStream<Socket>> {
        Pin::new(&mut self.stream)
    }

    /// Reads, after trying to write what an earlier write has left behind: whoever waits for an answer must not have to
    /// know that a part of the question is still here.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stream.get_ref().1.wants_write() {
            // What is wrong with writing is for whoever writes; there may be something to read all the same.
            let _ = self.stream().poll_flush(cx);
        }
        match self.stream().poll_read(cx, buf) {
            // Requests say themselves where they end, so a client that just leaves is told from one that broke off. What
            // an upstream sends may end where its connection does: there the difference matters.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof && self.is_servers() => {
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }

    fn is_servers(&self) -> bool {
        matches!(self.stream, TlsStream::Server(_))
    }

    /// Writes what fits without waiting; what then is left behind goes with the next write, read or flush.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream().poll_write(&mut Context::from_waker(std::task::Waker::noop()), bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// See [`Socket::is_quiet`]. Tickets for later sessions may come at any time, and are no more than that.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut no_one = Context::from_waker(std::task::Waker::noop());
        self.poll_read(&mut no_one, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

impl Drop for TlsSocket {
    /// Says goodbye as far as that fits without waiting, so that the peer can tell the end from a connection that broke.
    fn drop(&mut self) {
        if self.aborted {
            return;
        }
        let (_, session) = self.stream.get_mut();
        session.send_close_notify();
        if !session.wants_write() {
            return;
        }
        // The peer may be gone: then nobody misses it.
        let _ = match &mut self.stream {
            TlsStream::Client(stream) => {
                let (socket, session) = stream.get_mut();
                session.write_tls(&mut Trying(socket))
            }
            TlsStream::Server(stream) => {
                let (socket, session) = stream.get_mut();
                session.write_tls(&mut Trying(socket))
            }
        };
    }
}

/// Writes without waiting.
struct Trying<'a>(&'a mut Socket);

impl io::Write for Trying<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
