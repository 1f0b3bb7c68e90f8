//! One try: a POST over HTTP/1.1 on a connection of its own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::WebhookSettings;
use crate::plan::Address;
use crate::tls::Speaks;
use crate::wire::{PlainIo, Socket};

/// Most bytes of an answer's head. Its body is not read.
const MAX_HEAD: usize = 16 * 1024;
const AGENT: &str = concat!("serin/", env!("CARGO_PKG_VERSION"));

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("its answer is not HTTP: {0}")]
    NotHttp(String),
    #[error("it answered {status}")]
    Refused { status: StatusCode, retry_after: Option<Duration> },
    /// The specification's way to say that nothing more is wanted.
    #[error("it answered 410: it wants no more events")]
    Gone,
    #[error("its secret is not known")]
    NoSecret,
}

impl PostError {
    /// When the receiver asks to be tried again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Posts `body` under `id`, signed at `now`, in seconds since 1970; returns once the receiver says that it has it.
pub(super) async fn post(hook: &WebhookSettings, id: &str, body: &Bytes, now: u64) -> Result<(), PostError> {
    let secret = hook.secret.as_ref().ok_or(PostError::NoSecret)?;
    let request = Request::post(&hook.target)
        .header(HOST, host(hook))
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close")
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", secret.sign(id, now, body))
        .body(Full::new(body.clone()))
        .map_err(|error| PostError::NotHttp(error.to_string()))?;
    let asking = async {
        let socket = connect(hook).await.map_err(PostError::Connect)?;
        let (status, headers) = ask(socket, request).await?;
        match status {
            StatusCode::GONE => Err(PostError::Gone),
            status if status.is_success() => Ok(()),
            status => Err(PostError::Refused { status, retry_after: retry_after(&headers) }),
        }
    };
    tokio::time::timeout(hook.timeout, asking).await.unwrap_or(Err(PostError::TimedOut(hook.timeout)))
}

async fn connect(hook: &WebhookSettings) -> io::Result<Socket> {
    let stream = match &hook.address {
        Address::Ip(address) => TcpStream::connect(address).await?,
        Address::Name(name, port) => TcpStream::connect((&**name, *port)).await?,
        Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    stream.set_nodelay(true)?;
    let Some(tls) = &hook.tls else { return Ok(Socket::Tcp(stream)) };
    let connector = tls.connector.as_ref().ok_or_else(|| io::Error::other("its CA is not known"))?;
    let name = match &hook.address {
        Address::Name(name, _) => ServerName::try_from(name.to_string()).map_err(io::Error::other)?,
        Address::Ip(address) => ServerName::from(address.ip()),
        Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let connector = TlsConnector::from(connector.config(Speaks::Http1).clone());
    Ok(Socket::tls(connector.connect(name, Socket::Tcp(stream)).await?))
}

/// Status and head of the answer; the connection is closed then, whatever else it would have said.
async fn ask(socket: Socket, request: Request<Full<Bytes>>) -> Result<(StatusCode, HeaderMap), PostError> {
    let said = |error: hyper::Error| PostError::NotHttp(error.to_string());
    let io = PlainIo::new(socket, Vec::new());
    let (mut send, connection) = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(io).await.map_err(said)?;
    let (mut connection, mut answer) = (std::pin::pin!(connection), std::pin::pin!(send.send_request(request)));
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        // Its own end matters only to the answer.
        _ = &mut connection => answer.await,
    };
    let (head, _) = answered.map_err(said)?.into_parts();
    Ok((head.status, head.headers))
}

/// The seconds of a `Retry-After`; a date is left aside.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn host(hook: &WebhookSettings) -> String {
    let (text, usual) = (hook.address.to_string(), if hook.tls.is_some() { ":443" } else { ":80" });
    text.strip_suffix(usual).map_or_else(|| text.clone(), str::to_owned)
}

/// The receiver as it may be shown: its path may be known to few.
pub(super) fn shown(hook: &WebhookSettings) -> String {
    format!("{}://{}", if hook.tls.is_some() { "https" } else { "http" }, host(hook))
}
