//! A small client for the admin API.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Global;
use super::print::complain;
use super::text::plain;
use crate::config;
use crate::tls::{CertificateFiles, ClientFiles, Connector, Material, Speaks};
use crate::wire::{PlainIo, Socket};

/// Longest an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often whoever waits for an answer is told that it does.
const TICK: Duration = Duration::from_millis(100);
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why the admin API gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("--admin {0}: expected http://HOST:PORT, https://HOST:PORT or unix:/PATH")]
    BadAddress(String),
    #[error(
        "--token-file {file}: {reason}\nExpected a file with the token alone; whoever runs this serin makes one with `serin token new`."
    )]
    BadToken { file: String, reason: String },
    #[error("{0}")]
    BadTls(String),
    #[error(
        "no answer from {address}: {reason}\nIs `serin run` up, and is this its `admin` address? Name another with --admin."
    )]
    NoAnswer { address: String, reason: String },
    #[error("{status}: {detail}{hint}")]
    Refused { status: StatusCode, detail: String, hint: String },
    #[error(
        "{address} answers {status}, and not as the admin API does{what}\nIs this a serin's `admin` address, and not a listener's or another program's? Name another with --admin."
    )]
    NotAdmin { address: String, status: StatusCode, what: &'static str },
    #[error(
        "the answer is not what was asked for: {0}\nIs --admin a serin's `admin` address, and that serin of about this version ({version})?",
        version = env!("CARGO_PKG_VERSION")
    )]
    Unreadable(#[from] serde_json::Error),
    #[error("{0}")]
    Usage(String),
}

/// Where the admin API is, and what is shown to it.
pub(super) struct Client {
    address: Address,
    shown: String,
    token: Option<HeaderValue>,
    /// The file that the token comes from.
    token_file: Option<PathBuf>,
    runtime: tokio::runtime::Runtime,
}

/// The names of the services there are.
#[derive(Deserialize)]
struct Services {
    services: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

enum Address {
    /// What to connect to, and what is asked for.
    Tcp(String, String),
    /// The same inside TLS, and the name that the certificate must have.
    Tls(String, String, Arc<Connector>, ServerName<'static>),
    Unix(String),
}

impl Client {
    pub(super) fn new(global: &Global) -> Result<Self, ClientError> {
        let bad = || ClientError::BadAddress(global.admin.clone());
        let address = if let Some(path) = global.admin.strip_prefix("unix:") {
            Address::Unix(path.to_owned())
        } else {
            let (secure, rest) = match (global.admin.strip_prefix("https://"), global.admin.strip_prefix("http://")) {
                (Some(rest), _) => (true, rest),
                (None, Some(rest)) => (false, rest),
                (None, None) => return Err(bad()),
            };
            let authority: http::uri::Authority = rest.trim_end_matches('/').parse().map_err(|_| bad())?;
            let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let to = format!("{}:{port}", authority.host());
            if secure {
                let name = bare(authority.host()).to_owned();
                let name = ServerName::try_from(name).map_err(|_| bad())?;
                Address::Tls(to, authority.to_string(), Arc::new(connector(global)?), name)
            } else {
                if global.ca_file.is_some() || global.client_certificate.is_some() {
                    let message = "--ca-file and --client-certificate are for TLS: expected --admin https://HOST:PORT";
                    return Err(ClientError::BadTls(message.to_owned()));
                }
                Address::Tcp(to, authority.to_string())
            }
        };
        let token = global.token_file.as_deref().map(read_token).transpose()?;
        if let (Some(_), Address::Tcp(_, host)) = (&token, &address)
            && !is_local(host)
        {
            complain(format_args!("warning: the token goes to {} in plain text: whoever listens has it", global.admin));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::NoAnswer { address: global.admin.clone(), reason: error.to_string() })?;
        Ok(Self { address, shown: global.admin.clone(), token, token_file: global.token_file.clone(), runtime })
    }

    pub(super) fn get(&self, path: &str) -> Result<Bytes, ClientError> {
        self.ask(Method::GET, path, Bytes::new())
    }

    /// The same where an answer may take as long as `patience`; `meanwhile` is called again and again until it is there.
    pub(super) fn get_slowly(
        &self,
        path: &str,
        patience: Duration,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Bytes, ClientError> {
        self.ask_slowly(Method::GET, path, Bytes::new(), patience, meanwhile)
    }

    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> Result<Bytes, ClientError> {
        self.ask(Method::POST, path, body.to_string().into())
    }

    pub(super) fn put(&self, path: &str, body: &serde_json::Value) -> Result<Bytes, ClientError> {
        self.ask(Method::PUT, path, body.to_string().into())
    }

    pub(super) fn delete(&self, path: &str) -> Result<Bytes, ClientError> {
        self.ask(Method::DELETE, path, Bytes::new())
    }

    fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        self.ask_slowly(method, path, body, PATIENCE, &mut || {})
    }

    fn ask_slowly(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Bytes, ClientError> {
        let (status, body) = self.answer(method, path, body, patience, meanwhile)?;
        if status.is_success() {
            return Ok(body);
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        // What a listener answers by itself says of which kind the trouble is; the admin API does not.
        let (detail, by_listener) = (problem["detail"].as_str(), problem["kind"].is_string());
        let Some(detail) = detail.filter(|_| !by_listener) else {
            let what = if by_listener { ": it is a listener for traffic." } else { "." };
            return Err(ClientError::NotAdmin { address: self.shown.clone(), status, what });
        };
        if status == StatusCode::NOT_FOUND
            && let Some(unknown) = self.unknown(path)
        {
            return Err(unknown);
        }
        Err(ClientError::Refused { status, detail: plain(detail), hint: self.hint(status) })
    }

    fn answer(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let answer = self.runtime.block_on(async {
            let mut exchange = std::pin::pin!(tokio::time::timeout(patience, self.exchange(method, path, body)));
            let mut ticks = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    answer = &mut exchange => return answer.unwrap_or_else(|_| Err("it took too long".into())),
                    _ = ticks.tick() => meanwhile(),
                }
            }
        });
        let no_answer = |reason| ClientError::NoAnswer { address: self.shown.clone(), reason };
        answer.map_err(|error| no_answer(error.to_string()))
    }

    /// That there is no such service, where that is why there is nothing at `path`.
    fn unknown(&self, path: &str) -> Option<ClientError> {
        let rest = path.strip_prefix("/api/v1/services/")?;
        let asked = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let (status, body) = self.answer(Method::GET, "/api/v1/services", Bytes::new(), PATIENCE, &mut || {}).ok()?;
        let services: Services = serde_json::from_slice(&body).ok().filter(|_| status.is_success())?;
        let known = || services.services.iter().map(|service| service.name.as_str());
        (!known().any(|name| encode(name) == asked)).then(|| unknown_service(&decode(asked), known()))
    }

    /// What to do about a refusal, in a line of its own.
    fn hint(&self, status: StatusCode) -> String {
        let file = self.token_file.as_ref().map(|file| file.display());
        match (status, file) {
            (StatusCode::UNAUTHORIZED, None) => {
                "\nShow a token with --token-file FILE or SERIN_TOKEN_FILE; whoever runs this serin makes one with \
                 `serin token new`."
                    .to_owned()
            }
            (StatusCode::UNAUTHORIZED, Some(file)) => {
                format!(
                    "\nThe token in {file} is not, or not any more, one that this serin knows: ask whoever runs it."
                )
            }
            (StatusCode::FORBIDDEN, Some(file)) => {
                format!(
                    "\nThe token in {file} is known, and its role does not suffice: show another, or ask whoever runs it."
                )
            }
            (StatusCode::TOO_MANY_REQUESTS, _) => {
                "\nWait a minute, and look whether the token is the right one.".to_owned()
            }
            _ => String::new(),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let (socket, host) = match &self.address {
            Address::Tcp(address, host) => (Socket::Tcp(TcpStream::connect(address).await?), host.as_str()),
            Address::Tls(address, host, connector, name) => {
                let socket = Socket::Tcp(TcpStream::connect(address).await?);
                let connector = TlsConnector::from(Arc::clone(connector.config(Speaks::Http1)));
                let connected = connector.connect(name.clone(), socket).await;
                (Socket::tls(connected.map_err(|error| format!("no TLS: {error}"))?), host.as_str())
            }
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

/// That there is no such service, with what helps.
pub(super) fn unknown_service<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> ClientError {
    let meant = config::did_you_mean(name, known.clone()).map(|meant| format!("; {meant}")).unwrap_or_default();
    let known: Vec<_> = known.collect();
    let there = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    ClientError::Usage(format!("there is no service `{name}`; there are: {there}{meant}"))
}

/// What the files named on the command line make of a connection.
fn connector(global: &Global) -> Result<Connector, ClientError> {
    let certificate = match (&global.client_certificate, &global.client_key) {
        (Some(certificate), Some(key)) => {
            warn_of_readers(key, "--client-key");
            Some(CertificateFiles { certificate: certificate.clone(), key: key.clone() })
        }
        // clap has both or none.
        _ => None,
    };
    let files = ClientFiles { ca: global.ca_file.clone(), server_name: None, certificate };
    let mut material = Material::default();
    for path in files.paths() {
        let content = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"));
        material.insert(path.clone(), content);
    }
    Connector::new(&files, &material).map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        ClientError::BadTls(faults.join("\n"))
    })
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// Whether what is sent there stays on this machine.
fn is_local(authority: &str) -> bool {
    let host = authority.parse().map(|authority: http::uri::Authority| bare(authority.host()).to_owned());
    host.is_ok_and(|host| host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback()))
}

fn read_token(file: &Path) -> Result<HeaderValue, ClientError> {
    let bad = |reason: String| ClientError::BadToken { file: file.display().to_string(), reason };
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    warn_of_readers(file, "--token-file");
    let token = text.trim();
    if token.is_empty() {
        return Err(bad("the file is empty".into()));
    }
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| bad("not a token: one line of text".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Says so where others than its owner can read a secret.
fn warn_of_readers(file: &Path, option: &str) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).map_or(0, |found| found.permissions().mode());
    if mode & 0o077 != 0 {
        let file = file.display();
        complain(format_args!(
            "warning: {option} {file}: others can read it (mode {:03o}): chmod 600 {file}",
            mode & 0o777
        ));
    }
}

/// The text of a segment that [`encode`] made.
fn decode(segment: &str) -> String {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        if byte == b'%' {
            let both = digit(bytes.next()).zip(digit(bytes.next()));
            decoded.extend(both.map(|(high, low)| (high * 16 + low) as u8));
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        for text in ["checkout", "a b/c?d%e", "größe", ""] {
            assert_eq!(decode(&encode(text)), text);
        }
        assert_eq!(encode("a b/c"), "a%20b%2Fc");
    }

    #[test]
    fn an_unknown_service_is_answered_with_the_nearest_and_with_all() {
        let said = |name: &str, known: &[&str]| unknown_service(name, known.iter().copied()).to_string();
        let known = ["checkout", "search"];
        let nearest = "there is no service `chekcout`; there are: checkout, search; did you mean `checkout`?";
        assert_eq!(said("chekcout", &known), nearest);
        assert_eq!(said("cart", &known), "there is no service `cart`; there are: checkout, search");
        assert_eq!(said("cart", &[]), "there is no service `cart`; there are: none");
    }
}
