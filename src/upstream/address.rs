//! One place a version answers at, as one worker sees it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::cap::Cap;
use super::h1::H1;
use super::h2::H2;
use super::health::Witness;
use crate::wire::Socket;

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// An address with the connections this worker has to it.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it is, and who is told how requests there end.
    pub(super) witness: Witness,
    /// Requests sent and not yet answered whole.
    pub(super) pending: Cell<u32>,
    /// Unused HTTP/1.1 connections; the last used is taken first, so that the rest may grow old and be closed.
    #[expect(clippy::vec_box, reason = "a connection moves from here to the exchange and back, by its pointer")]
    pub(super) idle: RefCell<Vec<Box<H1>>>,
    /// The name it came from does not stand for it any more: connections are closed instead of kept.
    pub(super) gone: Cell<bool>,
    /// HTTP/2 connections.
    pub(super) h2: RefCell<Vec<H2>>,
    /// The bound on all of them.
    pub(super) cap: Rc<Cap>,
}

impl Endpoint {
    /// An address without connections; `most`: how many there may be.
    pub(super) fn new(witness: Witness, most: Option<u32>) -> Self {
        Self {
            witness,
            pending: Cell::new(0),
            idle: RefCell::default(),
            gone: Cell::new(false),
            h2: RefCell::default(),
            cap: Cap::new(most),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Target {
    /// Opens a connection.
    ///
    /// # Errors
    /// As the system says; `TimedOut` after `limit`.
    pub(super) async fn connect(&self, limit: Duration) -> io::Result<Socket> {
        let connecting = async {
            match self {
                Self::Ip(address) => {
                    let socket = TcpStream::connect(address).await?;
                    socket.set_nodelay(true)?;
                    Ok(Socket::Tcp(socket))
                }
                Self::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
            }
        };
        tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
