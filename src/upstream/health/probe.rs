//! One question to one address, on a connection of its own that is closed afterwards: an address that takes no new
//! connections is not well.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::task::JoinSet;

use crate::plan::{HealthCheck, Probe, Protocol};
use crate::tls::Speaks;
use crate::upstream::address::Target;
use crate::wire::PlainIo;
use crate::wire::grpc::{decode, encode};
use crate::wire::grpc_health::{CHECK, HealthCheckRequest, HealthCheckResponse, ServingStatus};

/// Most bytes of an answer's body that are read.
const MAX_ANSWER: usize = 64 * 1024;
/// Most bytes of an answer's head.
const MAX_HEAD: usize = 16 * 1024;
const AGENT: HeaderValue = HeaderValue::from_static("serin-health");

/// Asks `target`; `host` is what it is called where the check names no other.
///
/// # Errors
/// What is wrong with the answer, in a few words.
pub(super) async fn probe(
    target: &Target,
    host: &str,
    protocol: Protocol,
    check: &HealthCheck,
) -> Result<(), Arc<str>> {
    let asking = async {
        match &check.probe {
            Probe::Tcp => target.connect(check.timeout).await.map(drop).map_err(|error| error.to_string()),
            Probe::Http { path, host: named, expect } => {
                let response = get(target, named.as_deref().unwrap_or(host), path, protocol, check).await?;
                let status = response.as_u16();
                if expect.contains(&status) { Ok(()) } else { Err(format!("status {status}")) }
            }
            Probe::Grpc { host: named, service } => {
                grpc(target, named.as_deref().unwrap_or(host), service, check).await
            }
        }
    };
    match tokio::time::timeout(check.timeout, asking).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err("no answer in time".into()),
    }
}

/// The status of a `GET`.
async fn get(
    target: &Target,
    host: &str,
    path: &str,
    protocol: Protocol,
    check: &HealthCheck,
) -> Result<http::StatusCode, String> {
    let speaks = if protocol == Protocol::H2 { Speaks::H2 } else { Speaks::Http1 };
    let io = connect(target, speaks, check).await?;
    let request = Request::get(path).header(USER_AGENT, AGENT);
    if protocol == Protocol::H2 {
        let uri = uri(target, host, path)?;
        let request = request.uri(uri).body(Empty::<Bytes>::new()).map_err(said)?;
        let tasks = Tasks::default();
        let (mut send, conn) = http2::handshake(tasks.clone(), io).await.map_err(said)?;
        return with_connection(conn, async {
            let response = send.send_request(request).await.map_err(said)?;
            read(response).await.map(|(status, ..)| status)
        })
        .await;
    }
    let request = request.header(HOST, host).header("connection", "close").body(Empty::<Bytes>::new()).map_err(said)?;
    let (mut send, conn) = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(io).await.map_err(said)?;
    with_connection(conn, async {
        let response = send.send_request(request).await.map_err(said)?;
        // What the body says does not matter, and where it is too long or breaks off the status has been seen.
        let status = response.status();
        let _ = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok(status)
    })
    .await
}

/// The gRPC health checking protocol (`grpc.health.v1`).
async fn grpc(target: &Target, host: &str, service: &str, check: &HealthCheck) -> Result<(), String> {
    let io = connect(target, Speaks::H2, check).await?;
    let mut request = Request::new(Full::new(encode(&HealthCheckRequest { service: service.to_owned() })));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(target, host, CHECK)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, AGENT);
    let tasks = Tasks::default();
    let (mut send, conn) = http2::handshake(tasks.clone(), io).await.map_err(said)?;
    let (status, headers, body, trailers) = with_connection(conn, async {
        let response = send.send_request(request).await.map_err(said)?;
        read(response).await
    })
    .await?;
    if status != http::StatusCode::OK {
        return Err(format!("status {}", status.as_u16()));
    }
    // An answer without a body has its trailers in its head.
    let code = trailers.as_ref().unwrap_or(&headers).get("grpc-status").map(HeaderValue::as_bytes);
    match code {
        Some(b"0") => {}
        Some(code) => return Err(format!("grpc-status {}", String::from_utf8_lossy(code))),
        None => return Err("no grpc-status".to_owned()),
    }
    match serving(&body) {
        Some(SERVING) => Ok(()),
        Some(NOT_SERVING) => Err("NOT_SERVING".to_owned()),
        Some(SERVICE_UNKNOWN) => Err("SERVICE_UNKNOWN".to_owned()),
        Some(other) => Err(format!("serving status {other}")),
        None => Err("not a HealthCheckResponse".to_owned()),
    }
}

async fn connect(target: &Target, speaks: Speaks, check: &HealthCheck) -> Result<PlainIo, String> {
    let socket = target.connect_for(speaks, check.timeout).await.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => "no connection in time".to_owned(),
        _ => error.to_string(),
    })?;
    Ok(PlainIo::new(socket, Vec::new()))
}

/// Does `work` while the connection it needs is moved; the connection's own end matters only to the work.
async fn with_connection<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    let (mut connection, mut work) = (std::pin::pin!(connection), std::pin::pin!(work));
    tokio::select! {
        biased;
        done = &mut work => return done,
        _ = &mut connection => {}
    }
    work.await
}

type Whole = (http::StatusCode, HeaderMap, Bytes, Option<HeaderMap>);

async fn read(response: Response<Incoming>) -> Result<Whole, String> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
    let trailers = body.trailers().cloned();
    Ok((head.status, head.headers, body.to_bytes(), trailers))
}

fn uri(target: &Target, host: &str, path: &str) -> Result<Uri, String> {
    let authority: Authority = host.parse().map_err(|_| format!("`{host}` is no authority"))?;
    let scheme = if target.is_tls() { "https" } else { "http" };
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().map_err(|error| error.to_string())
}

/// An error with what lies behind it, which is where hyper says what happened.
fn said(error: impl std::error::Error) -> String {
    match error.source() {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

const SERVING: i32 = ServingStatus::Serving as i32;
const NOT_SERVING: i32 = ServingStatus::NotServing as i32;
const SERVICE_UNKNOWN: i32 = ServingStatus::ServiceUnknown as i32;

/// The serving status of a framed answer.
fn serving(framed: &[u8]) -> Option<i32> {
    decode::<HealthCheckResponse>(framed).ok().map(|answer| answer.status)
}

/// Runs hyper's tasks for one question; they end with it.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        let task = async move {
            future.await;
        };
        // A set is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serving_status_is_read_from_one_whole_uncompressed_message() {
        let answer = |status| encode(&HealthCheckResponse { status });
        assert_eq!(serving(&answer(1)), Some(SERVING));
        assert_eq!(serving(&answer(2)), Some(2));
        // Nothing at all is the first status, UNKNOWN.
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Some(0));
        for bad in [&b""[..], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 8], &[0, 0, 0, 0, 1, 8]] {
            assert_eq!(serving(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_question_is_framed_as_grpc_wants_it() {
        assert_eq!(encode(&HealthCheckRequest { service: "shop".to_owned() })[..], *b"\0\0\0\0\x06\x0a\x04shop");
    }
}
