//! A small client for the admin API.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use tokio::net::{TcpStream, UnixStream};

use super::Global;
use crate::wire::{PlainIo, Socket};

/// Longest an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why the admin API gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("--admin {0}: expected http://HOST:PORT or unix:/PATH")]
    BadAddress(String),
    #[error("--token-file {file}: {reason}")]
    BadToken { file: String, reason: String },
    #[error(
        "no answer from {address}: {reason}\nIs `serin run` up, and is this its `admin` address? Name another with --admin."
    )]
    NoAnswer { address: String, reason: String },
    #[error("{status}: {detail}")]
    Refused { status: StatusCode, detail: String },
    #[error("the answer is not what was asked for: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("{0}")]
    Usage(String),
}

/// Where the admin API is, and with which token to ask.
pub(super) struct Client {
    address: Address,
    shown: String,
    token: Option<HeaderValue>,
    runtime: tokio::runtime::Runtime,
}

enum Address {
    Tcp(String),
    Unix(String),
}

impl Client {
    pub(super) fn new(global: &Global) -> Result<Self, ClientError> {
        let bad = || ClientError::BadAddress(global.admin.clone());
        let address = if let Some(path) = global.admin.strip_prefix("unix:") {
            Address::Unix(path.to_owned())
        } else {
            let authority = global.admin.strip_prefix("http://").ok_or_else(bad)?.trim_end_matches('/');
            let parsed: http::uri::Authority = authority.parse().map_err(|_| bad())?;
            let port = parsed.port_u16().unwrap_or(80);
            Address::Tcp(format!("{}:{port}", parsed.host()))
        };
        let token = global.token_file.as_deref().map(read_token).transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::NoAnswer { address: global.admin.clone(), reason: error.to_string() })?;
        Ok(Self { address, shown: global.admin.clone(), token, runtime })
    }

    pub(super) fn get(&self, path: &str) -> Result<Bytes, ClientError> {
        self.ask(Method::GET, path, Bytes::new())
    }

    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> Result<Bytes, ClientError> {
        self.ask(Method::POST, path, body.to_string().into())
    }

    pub(super) fn put(&self, path: &str, body: &serde_json::Value) -> Result<Bytes, ClientError> {
        self.ask(Method::PUT, path, body.to_string().into())
    }

    fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let no_answer = |reason: String| ClientError::NoAnswer { address: self.shown.clone(), reason };
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.exchange(method, path, body))
                .await
                .unwrap_or_else(|_| Err("it took too long".into()))
        });
        let (status, body) = answer.map_err(|error| no_answer(error.to_string()))?;
        if status.is_success() {
            return Ok(body);
        }
        let problem: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
        Err(ClientError::Refused { status, detail: detail.unwrap_or("no reason was given").to_owned() })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let (socket, host) = match &self.address {
            Address::Tcp(address) => (Socket::Tcp(TcpStream::connect(address).await?), address.as_str()),
            Address::Unix(path) => (Socket::Unix(UnixStream::connect(path).await?), "localhost"),
        };
        let (mut send, conn) = hyper::client::conn::http1::handshake(PlainIo::new(socket, Vec::new())).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let sending = send.send_request(request.body(Full::new(body))?);
        let receiving = async {
            let response = sending.await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
            Ok((status, body))
        };
        let mut receiving = std::pin::pin!(receiving);
        tokio::select! {
            answer = &mut receiving => return answer,
            ended = conn => ended?,
        }
        // The connection ended with the answer: what it brought is all there.
        receiving.await
    }
}

fn read_token(file: &Path) -> Result<HeaderValue, ClientError> {
    let bad = |reason: String| ClientError::BadToken { file: file.display().to_string(), reason };
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    HeaderValue::from_str(&format!("Bearer {}", text.trim())).map_err(|_| bad("not a token: one line of text".into()))
}

/// A segment of a path or a value of a query, percent-encoded but for what is always safe (RFC 3986, section 2.3).
pub(super) fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
