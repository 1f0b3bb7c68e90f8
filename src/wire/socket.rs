//! A connected stream socket of either family.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected TCP or unix stream socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP, with Nagle's algorithm off.
    Tcp(TcpStream),
    /// A unix stream socket.
    Unix(UnixStream),
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
    /// Resolves once the peer is known to be gone for good: it reset the connection or closed both directions.
    ///
    /// A peer that only shut down its sending side does not count. The future holds the socket open by a descriptor of
    /// its own, so drop both together.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn hung_up(&self) -> io::Result<impl Future<Output = ()> + use<>> {
        let watched = match self {
            Self::Tcp(socket) => {
                let same = std::net::TcpStream::from(socket.as_fd().try_clone_to_owned()?);
                Self::Tcp(TcpStream::from_std(same)?)
            }
            Self::Unix(socket) => {
                let same = std::os::unix::net::UnixStream::from(socket.as_fd().try_clone_to_owned()?);
                Self::Unix(UnixStream::from_std(same)?)
            }
        };
        Ok(async move {
            // Either the peer reset the connection, or the runtime is shutting down: the connection is over.
            let _ = match &watched {
                Self::Tcp(socket) => socket.ready(Interest::ERROR).await,
                Self::Unix(socket) => socket.ready(Interest::ERROR).await,
            };
        })
    }

    /// Makes closing it a reset, so that the peer cannot take an answer that was broken off for a whole one.
    pub fn abort_on_close(&self) {
        if let Self::Tcp(socket) = self {
            // Where it fails the peer is gone already.
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    /// Whether the peer has neither closed the connection nor sent anything that was not read, as far as the runtime knows:
    /// without a system call where it knows of nothing. What is found is gone; the connection is of no use after that.
    pub fn is_quiet(&mut self) -> bool {
        let read = match self {
            Self::Tcp(socket) => socket.try_read(&mut [0]),
            Self::Unix(socket) => socket.try_read(&mut [0]),
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes what fits without waiting.
    ///
    /// # Errors
    /// As the system says; `WouldBlock` where nothing fits.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write(bytes),
            Self::Unix(socket) => socket.try_write(bytes),
        }
    }
}

macro_rules! each {
    ($self:ident, $socket:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, socket => Pin::new(socket).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Neither kind buffers.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, socket => Pin::new(socket).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
