//! A client for a version's addresses, outside the request path.

mod connect;
mod connections;

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use rustls::AlertDescription as Alert;
use tokio::time::{Instant, timeout_at};

use crate::plan::{Address, Protocol, UpstreamSpec};
use connect::connect;
use connections::{Connections, Failed, Sender};

/// Speaks to versions as their `upstreams` say (HTTP/1.1, HTTP/2, TLS, unix sockets), and keeps connections for the next time.
/// Cloned freely, and shared by all clones; used within one runtime, whose end closes its connections.
#[derive(Debug, Clone, Default)]
pub struct Client(Arc<State>);

#[derive(Debug, Default)]
struct State {
    connections: Connections,
    /// So that the addresses of a version take turns.
    turn: AtomicUsize,
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing of the request was sent.
    #[error("not reached: {0}")]
    NotReached(String),
    /// It was sent, at least in part: it may have been done.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer's body is longer than was asked for.
    #[error("status {status}, and a body of more than {max} bytes")]
    TooLong {
        /// The status of the answer.
        status: StatusCode,
        /// As many as were asked for.
        max: usize,
    },
}

impl Client {
    /// Sends a request to one of a version's addresses. Its URI is path and query; `host` among the headers is kept, without one
    /// the address is named. The answer is whole, its body at most `max_body` bytes. Redirects are answers like any other.
    ///
    /// # Errors
    /// [`Unanswered`], after `limit` at the latest.
    pub async fn send(
        &self,
        spec: &UpstreamSpec,
        request: Request<Bytes>,
        limit: Duration,
        max_body: usize,
    ) -> Result<Response<Bytes>, Unanswered> {
        let end = Instant::now() + limit;
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let Some(address) = spec.addresses.get(turn % spec.addresses.len().max(1)) else {
            return Err(Unanswered::NotReached("it has no address".to_owned()));
        };
        let request = addressed(spec, address, request)?;
        let asking = async {
            let (sender, response) = self.ask(spec, address, request, end).await?;
            let (head, body) = response.into_parts();
            let body = whole(body, head.status, max_body).await?;
            // After anything but a whole answer its state is not known: dropping it closes it.
            self.0.connections.keep(spec, address, sender);
            Ok(Response::from_parts(head, body))
        };
        timeout_at(end, asking).await.unwrap_or_else(|_| Err(no_answer("none in time")))
    }

    /// Sends it on a connection that was kept, or, where those were closed meanwhile, on another.
    async fn ask(
        &self,
        spec: &UpstreamSpec,
        address: &Address,
        mut request: Request<Full<Bytes>>,
        end: Instant,
    ) -> Result<(Sender, Response<Incoming>), Unanswered> {
        loop {
            let kept = self.0.connections.take(spec, address);
            let is_fresh = kept.is_none();
            let mut sender = match kept {
                Some(kept) => kept,
                None => fresh(spec, address, end).await?,
            };
            match sender.send(request).await {
                Ok(response) => return Ok((sender, response)),
                Err(Failed::Unsent(back, _)) if !is_fresh => request = *back,
                Err(Failed::Unsent(_, error)) => return Err(Unanswered::NotReached(error.to_string())),
                // The other end refused the handshake: whatever was written after it, nobody has read.
                Err(Failed::Sent(error)) if is_fresh && is_handshake_refused(&error) => {
                    return Err(Unanswered::NotReached(in_full(&error)));
                }
                Err(Failed::Sent(error)) => return Err(no_answer(&error)),
            }
        }
    }
}

/// Whether the other end did not take this one's certificate, or the lack of one. Under TLS 1.3 it says so only after this one
/// thinks that all is well (RFC 8446, section 4.4.2.4).
fn is_handshake_refused(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let tls = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::AlertReceived(alert)) = tls else { return false };
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::HandshakeFailure
    )
}

/// The error with what caused it: hyper's own words do not say it.
fn in_full(error: &hyper::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// A new connection, a moment before `end` at the latest, so that it is told from an answer that is late.
async fn fresh(spec: &UpstreamSpec, address: &Address, end: Instant) -> Result<Sender, Unanswered> {
    let end = end.checked_sub(Duration::from_millis(1)).unwrap_or(end);
    match timeout_at(end, connect(spec, address)).await {
        Ok(connected) => connected.map_err(Unanswered::NotReached),
        Err(_) => Err(Unanswered::NotReached("no connection in time".to_owned())),
    }
}

/// The request as it is written to this address.
fn addressed(
    spec: &UpstreamSpec,
    address: &Address,
    request: Request<Bytes>,
) -> Result<Request<Full<Bytes>>, Unanswered> {
    let unfit = |error: String| Unanswered::NotReached(format!("the request cannot be written: {error}"));
    let mut request = request.map(Full::new);
    let host = match request.headers().get(HOST) {
        Some(host) => host.clone(),
        None => HeaderValue::try_from(address.to_string()).map_err(|error| unfit(error.to_string()))?,
    };
    if spec.protocol == Protocol::H2 {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let authority = Authority::try_from(host.as_bytes()).map_err(|error| unfit(error.to_string()))?;
        let scheme = if spec.tls.is_some() { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        *request.uri_mut() = uri.map_err(|error| unfit(error.to_string()))?;
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
    } else {
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().insert(HOST, host);
    }
    Ok(request)
}

async fn whole(body: Incoming, status: StatusCode, max: usize) -> Result<Bytes, Unanswered> {
    match Limited::new(body, max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Unanswered::TooLong { status, max }),
        Err(error) => Err(no_answer(&error)),
    }
}

fn no_answer(error: &(impl ToString + ?Sized)) -> Unanswered {
    Unanswered::NoAnswer(error.to_string())
}

/// Moves a connection for as long as it lives.
fn drive<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) {
    tokio::spawn(async move {
        // How it ended is seen by those who have a request on it.
        let _ = connection.await;
    });
}

#[cfg(test)]
mod tests;
