//! Opening connections to addresses.

use std::io;

use hyper::client::conn::{http1, http2};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::connections::{Executor, Sender};
use super::drive;
use crate::plan::{Address, Protocol, UpstreamSpec, UpstreamTls};
use crate::tls::Speaks;
use crate::wire::{PlainIo, Socket};

/// Most bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1024;

/// A connection to an address, on which its version's protocol is spoken.
pub(super) async fn connect(spec: &UpstreamSpec, address: &Address) -> Result<Sender, String> {
    let said = |error: hyper::Error| error.to_string();
    let socket = open(spec, address).await.map_err(|error| error.to_string())?;
    let io = PlainIo::new(socket, Vec::new());
    if spec.protocol == Protocol::H2 {
        let (sender, connection) = http2::handshake(Executor, io).await.map_err(said)?;
        drive(connection);
        return Ok(Sender::H2(sender));
    }
    let (sender, connection) = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(io).await.map_err(said)?;
    drive(connection);
    Ok(Sender::Http1(sender))
}

async fn open(spec: &UpstreamSpec, address: &Address) -> io::Result<Socket> {
    let socket = match address {
        Address::Ip(address) => tcp(TcpStream::connect(address).await?)?,
        Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
        Address::Name(name, port) => {
            let found: Vec<_> = lookup_host((&**name, *port)).await?.collect();
            // Any of them: a name's addresses are one version's.
            let chosen = found.get(fastrand::usize(..found.len().max(1)));
            let chosen = chosen.ok_or_else(|| io::Error::other(format!("{name} has no address")))?;
            tcp(TcpStream::connect(chosen).await?)?
        }
    };
    match &spec.tls {
        None => Ok(socket),
        Some(tls) => shake(tls, address, spec.protocol, socket).await,
    }
}

fn tcp(stream: TcpStream) -> io::Result<Socket> {
    stream.set_nodelay(true)?;
    Ok(Socket::Tcp(stream))
}

async fn shake(tls: &UpstreamTls, address: &Address, protocol: Protocol, socket: Socket) -> io::Result<Socket> {
    let connector = tls.connector.as_ref().ok_or_else(|| io::Error::other("its TLS files were not read"))?;
    let named = connector.server_name().cloned().or_else(|| match address {
        Address::Ip(address) => Some(ServerName::from(address.ip())),
        Address::Name(name, _) => ServerName::try_from(name.to_string()).ok(),
        Address::Unix(_) => None,
    });
    let name = named.ok_or_else(|| io::Error::other("there is no name for its certificate"))?;
    let speaks = if protocol == Protocol::H2 { Speaks::H2 } else { Speaks::Http1 };
    let stream = TlsConnector::from(connector.config(speaks).clone()).connect(name, socket).await?;
    let agreed = stream.get_ref().1.alpn_protocol();
    if speaks == Speaks::H2 && agreed != Some(b"h2") {
        return Err(io::Error::other("it does not offer HTTP/2 (ALPN h2)"));
    }
    Ok(Socket::tls(stream))
}
