//! Listening sockets, one per worker.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket as Socket2, Type};

use crate::config::Bind;
use crate::wire::{PeerAddr, Socket};

/// Connections the kernel keeps for a worker that is busy.
const BACKLOG: i32 = 4096;

/// A listening address that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The address as configured.
    pub address: String,
    /// What the system said.
    pub source: io::Error,
}

/// A bound address: one listening socket for each worker.
#[derive(Debug)]
pub struct Bound {
    /// The address in use, with the port the system chose where 0 was asked for.
    pub address: Bind,
    pub(super) sockets: Vec<StdListener>,
}

/// A listening socket, not yet in any runtime.
#[derive(Debug)]
pub(super) enum StdListener {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener),
}

impl Bound {
    /// Binds `address` once for each of `workers`. TCP sockets share the port by `SO_REUSEPORT`, so that the kernel
    /// spreads connections; a unix socket is one queue that all workers take from.
    ///
    /// # Errors
    /// [`ListenError`] as the system says.
    pub fn new(address: &Bind, workers: usize) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address: address.to_string(), source };
        match address {
            Bind::Tcp(wanted) => unshared(*wanted).and_then(|free| bind_tcp(free, workers)).map_err(failed),
            Bind::Unix(path) => bind_unix(path, workers).map_err(failed),
        }
    }

    /// The same for an address whose port this process listens on already at another: `0.0.0.0:80` before `127.0.0.1:80`
    /// is closed.
    ///
    /// # Errors
    /// [`ListenError`] as the system says.
    pub fn beside_own(address: &Bind, workers: usize) -> Result<Self, ListenError> {
        match address {
            Bind::Tcp(wanted) => {
                bind_tcp(*wanted, workers).map_err(|source| ListenError { address: address.to_string(), source })
            }
            Bind::Unix(_) => Self::new(address, workers),
        }
    }
}

/// An address that no other process listens on, with a port where 0 was asked for. `SO_REUSEPORT` would let two processes
/// of one user share a port and each get half of the requests, so the port is asked for without it first.
fn unshared(wanted: SocketAddr) -> io::Result<SocketAddr> {
    Ok(tcp_socket(wanted, false)?.local_addr()?.as_socket().unwrap_or(wanted))
}

fn bind_tcp(mut address: SocketAddr, workers: usize) -> io::Result<Bound> {
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = tcp_socket(address, true)?;
        socket.listen(BACKLOG)?;
        let listener = std::net::TcpListener::from(socket);
        address = listener.local_addr()?;
        sockets.push(StdListener::Tcp(listener));
    }
    Ok(Bound { address: Bind::Tcp(address), sockets })
}

fn tcp_socket(address: SocketAddr, share: bool) -> io::Result<Socket2> {
    let socket = Socket2::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(path: &Path, workers: usize) -> io::Result<Bound> {
    remove_stale_socket(path)?;
    let first = StdUnixListener::bind(path)?;
    first.set_nonblocking(true)?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(StdListener::Unix(first.try_clone()?));
    }
    sockets.push(StdListener::Unix(first));
    Ok(Bound { address: Bind::Unix(PathBuf::from(path)), sockets })
}

/// Removes a socket file that nobody listens on any more, as a killed process leaves it.
///
/// # Errors
/// As the system says.
pub fn remove_stale_socket(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && StdUnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// A listening socket in a worker's runtime.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listener {
    pub(super) fn new(socket: StdListener) -> io::Result<Self> {
        match socket {
            StdListener::Tcp(socket) => tokio::net::TcpListener::from_std(socket).map(Self::Tcp),
            StdListener::Unix(socket) => tokio::net::UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    /// The port it listens on; `None` for a unix socket.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok().map(|address| address.port()),
            Self::Unix(_) => None,
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, PeerAddr)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(stream), PeerAddr::Ip(peer)))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Socket::Unix(stream), PeerAddr::Unix))
            }
        }
    }

    /// Stops listening after handing over every connection that waits to be accepted, however the runtime would have
    /// portioned them out.
    pub(super) fn accept_waiting(self, mut each: impl FnMut(Socket, PeerAddr)) -> io::Result<()> {
        let socket = match self {
            Self::Tcp(socket) => StdListener::Tcp(socket.into_std()?),
            Self::Unix(socket) => StdListener::Unix(socket.into_std()?),
        };
        loop {
            match socket.accept() {
                Ok((stream, peer)) => each(stream, peer),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    // One client less; the next may still be there.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl StdListener {
    /// A connection that waits already; `WouldBlock` where none does.
    fn accept(&self) -> io::Result<(Socket, PeerAddr)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(tokio::net::TcpStream::from_std(stream)?), PeerAddr::Ip(peer)))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Socket::Unix(tokio::net::UnixStream::from_std(stream)?), PeerAddr::Unix))
            }
        }
    }
}
