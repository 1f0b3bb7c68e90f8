//! A connected stream socket of either family.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::tls::TlsSocket;

/// A connected TCP or unix stream socket, with or without TLS.
///
/// TLS may keep something of what was written until it is flushed, or the socket is read from; the others never do.
#[derive(Debug)]
pub enum Socket {
    /// TCP, with Nagle's algorithm off.
    Tcp(TcpStream),
    /// A unix stream socket.
    Unix(UnixStream),
    /// Either of them inside TLS. Boxed, as it is large and most connections have none.
    Tls(Box<TlsSocket>),
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddr {
    /// A TCP peer.
    Ip(SocketAddr),
    /// A process on this machine.
    Unix,
}

impl PeerAddr {
    /// The peer's address, IPv4-mapped ones as IPv4; `None` for a unix socket.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(addr) => Some(addr.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix => f.write_str("unix:"),
        }
    }
}

impl Socket {
    /// A connection whose handshake is over.
    #[must_use]
    pub fn tls(stream: impl Into<TlsStream<Self>>) -> Self {
        Self::Tls(Box::new(TlsSocket::new(stream.into())))
    }

    /// Resolves once the peer is known to be gone for good: it reset the connection or closed both directions.
    ///
    /// A peer that only shut down its sending side does not count. The future holds the socket open by a descriptor of
    /// its own, so drop both together.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn hung_up(&self) -> io::Result<impl Future<Output = ()> + use<>> {
        let watched = self.twin()?;
        Ok(async move {
            // Either the peer reset the connection, or the runtime is shutting down: the connection is over.
            let _ = match &watched {
                Self::Tcp(socket) => socket.ready(Interest::ERROR).await,
                Self::Unix(socket) => socket.ready(Interest::ERROR).await,
                // A twin is never inside TLS.
                Self::Tls(_) => return,
            };
        })
    }

    /// The same connection by another descriptor, without the TLS around it.
    fn twin(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => {
                let same = std::net::TcpStream::from(socket.as_fd().try_clone_to_owned()?);
                Self::Tcp(TcpStream::from_std(same)?)
            }
            Self::Unix(socket) => {
                let same = std::os::unix::net::UnixStream::from(socket.as_fd().try_clone_to_owned()?);
                Self::Unix(UnixStream::from_std(same)?)
            }
            Self::Tls(socket) => return socket.carrier().twin(),
        })
    }

    /// Makes closing it a reset, so that the peer cannot take an answer that was broken off for a whole one.
    pub fn abort_on_close(&mut self) {
        match self {
            Self::Tcp(socket) => {
                // Where it fails the peer is gone already.
                let _ = socket2::SockRef::from(&*socket).set_linger(Some(Duration::ZERO));
            }
            Self::Unix(_) => {}
            Self::Tls(socket) => socket.abort_on_close(),
        }
    }

    /// Whether the peer has neither closed the connection nor sent anything that was not read, as far as the runtime knows:
    /// without a system call where it knows of nothing. What is found is gone; the connection is of no use after that.
    pub fn is_quiet(&mut self) -> bool {
        let read = match self {
            Self::Tcp(socket) => socket.try_read(&mut [0]),
            Self::Unix(socket) => socket.try_read(&mut [0]),
            Self::Tls(socket) => return socket.is_quiet(),
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes what fits without waiting.
    ///
    /// # Errors
    /// As the system says; `WouldBlock` where nothing fits.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write(bytes),
            Self::Unix(socket) => socket.try_write(bytes),
            Self::Tls(socket) => socket.try_write(bytes),
        }
    }
}

/// What tokio's sockets of both families know of themselves.
trait Ready: AsFd {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Calls what says `WouldBlock` where the socket is not ready any more; not at all where it is known not to be.
    fn try_io(&self, interest: Interest, call: impl FnOnce() -> io::Result<()>) -> io::Result<()>;
}

macro_rules! tells_readiness {
    ($socket:ty) => {
        impl Ready for $socket {
            fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn try_io(&self, interest: Interest, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
                self.try_io(interest, call)
            }
        }
    };
}

tells_readiness!(TcpStream);
tells_readiness!(UnixStream);

/// Reads as tokio does, by the system call alone: libc's function is a place where a thread may be cancelled, and sees to that
/// before and after each call, which is two hundredths of what a small request costs.
fn poll_receive(socket: &impl Ready, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    let room = buf.initialize_unfilled();
    loop {
        ready!(socket.poll_read_ready(cx))?;
        match try_whole(socket, Interest::READABLE, room.len(), || {
            rustix::net::recv(socket, &mut *room, RecvFlags::empty()).map(|(read, _)| read)
        }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => {
                buf.advance(read?);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Writes likewise.
fn poll_send(socket: &impl Ready, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        let send = || rustix::net::send(socket, bytes, SendFlags::NOSIGNAL);
        match try_whole(socket, Interest::WRITABLE, bytes.len(), send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(socket.poll_write_ready(cx))?,
            written => return Poll::Ready(written),
        }
    }
}

/// Moves up to `length` bytes by `call`. Where some move and not all, no more can be moved before the system says so: the
/// runtime is told so right away, which saves asking the system.
fn try_whole(
    socket: &impl Ready,
    interest: Interest,
    length: usize,
    call: impl FnOnce() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    let mut moved = None;
    let tried = socket.try_io(interest, || {
        let count = call()?;
        moved = Some(count);
        if (1..length).contains(&count) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match moved {
        Some(count) => Ok(count),
        // Invariant: without an error something was moved, if only nothing.
        None => tried.map(|()| 0),
    }
}

macro_rules! each {
    ($self:ident, $socket:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
            Socket::Unix(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
            Socket::Tls(socket) => {
                let $socket = socket.stream();
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => poll_receive(socket, cx, buf),
            Self::Unix(socket) => poll_receive(socket, cx, buf),
            Self::Tls(socket) => socket.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => poll_send(socket, cx, buf),
            Self::Unix(socket) => poll_send(socket, cx, buf),
            Self::Tls(socket) => socket.stream().poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(socket) => socket.stream().poll_flush(cx),
            // Neither of these keeps anything.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => socket.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, socket => socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
