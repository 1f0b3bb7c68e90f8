//! One place a version answers at, as one worker sees it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::cap::Cap;
use super::h1::H1;
use super::h2::H2;
use super::health::Witness;
use crate::plan::{Address, UpstreamTls};
use crate::tls::{Connector, Speaks};
use crate::wire::Socket;

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
    /// TLS on top of either.
    Tls(Arc<Secure>, Box<Self>),
}

/// How an upstream is spoken to by TLS.
#[derive(Debug)]
pub(super) struct Secure {
    connector: Arc<Connector>,
    /// The name that its certificate must have.
    name: ServerName<'static>,
    complained: Complaints,
}

/// Two are the same where the same handshake would be made.
impl PartialEq for Secure {
    fn eq(&self, other: &Self) -> bool {
        (&self.connector, &self.name) == (&other.connector, &other.name)
    }
}

impl Eq for Secure {}

impl Secure {
    /// TLS towards `address`, as its version's configuration says.
    pub(super) fn new(tls: &UpstreamTls, address: &Address) -> Option<Arc<Self>> {
        let connector = Arc::clone(tls.connector.as_ref()?);
        let name = connector.server_name().cloned().or_else(|| match address {
            Address::Ip(address) => Some(ServerName::from(address.ip())),
            Address::Name(name, _) => ServerName::try_from(name.to_string()).ok(),
            Address::Unix(_) => None,
        })?;
        Some(Arc::new(Self { connector, name, complained: Complaints::default() }))
    }

    async fn shake(&self, socket: Socket, speaks: Speaks) -> io::Result<Socket> {
        let connector = TlsConnector::from(Arc::clone(self.connector.config(speaks)));
        let connected = connector.connect(self.name.clone(), socket).await.and_then(|stream| {
            let agreed = stream.get_ref().1.alpn_protocol();
            // Without a word on it an upstream speaks HTTP/1.1 (RFC 9113, section 3.2).
            match (speaks, agreed) {
                (Speaks::H2, Some(b"h2")) | (Speaks::Http1, _) => Ok(Socket::tls(stream)),
                (Speaks::H2, _) => Err(io::Error::other("the upstream does not offer HTTP/2 (ALPN h2)")),
            }
        });
        if let Err(error) = &connected {
            // Nobody finds a wrong CA or name by a 502 alone.
            self.complained.say(|| tracing::warn!(name = ?self.name, %error, "no TLS with an upstream"));
        }
        connected
    }
}

/// Says something at most once in a while.
#[derive(Debug, Default)]
struct Complaints(AtomicU64);

impl Complaints {
    fn say(&self, what: impl FnOnce()) {
        const EVERY: u64 = 10;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let last = self.0.load(Ordering::Relaxed);
        if now >= last + EVERY && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            what();
        }
    }
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
            Self::Tls(_, carrier) => carrier.fmt(f),
        }
    }
}

impl Target {
    /// Opens a connection.
    ///
    /// # Errors
    /// As the system or TLS says; `TimedOut` after `limit`.
    pub(super) async fn connect(&self, limit: Duration) -> io::Result<Socket> {
        self.connect_for(Speaks::Http1, limit).await
    }

    /// Opens a connection to speak something else than HTTP/1.1.
    ///
    /// # Errors
    /// As the system or TLS says; `TimedOut` after `limit`.
    pub(super) async fn connect_for(&self, speaks: Speaks, limit: Duration) -> io::Result<Socket> {
        let connecting = async {
            match self {
                // Boxed, as it is large and everyone would carry the room for it.
                Self::Tls(secure, carrier) => {
                    Box::pin(async { secure.shake(carrier.connect_plain().await?, speaks).await }).await
                }
                plain => plain.connect_plain().await,
            }
        };
        tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Opens a connection without the TLS on top.
    async fn connect_plain(&self) -> io::Result<Socket> {
        let mut carrier = self;
        while let Self::Tls(_, inner) = carrier {
            carrier = inner;
        }
        match carrier {
            Self::Ip(address) => {
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                Ok(Socket::Tcp(socket))
            }
            Self::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
            Self::Tls(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether there is TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(..))
    }

    /// The same inside TLS, where there is any.
    pub(super) fn inside(self, secure: Option<Arc<Secure>>) -> Self {
        match secure {
            Some(secure) => Self::Tls(secure, Box::new(self)),
            None => self,
        }
    }
}
