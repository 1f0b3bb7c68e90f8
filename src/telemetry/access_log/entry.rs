//! One line: what is in it and how it is written.

use std::fmt::{self, Display, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::telemetry::Why;
use crate::telemetry::trace::{SpanId, TraceId};

use super::Format;
use super::time::Rfc3339;

/// What the access log says about one request. The JSON object has these members, in camelCase and this order, with
/// `null` for what is absent and durations in seconds. As text:
///
/// `2026-11-21T11:09:00.123456Z 10.0.0.1:5123 "GET shop.example/cart HTTP/1.1" 200 2xx checkout/new key
/// duration=1.234ms firstByte=0.900ms in=0 out=512 tries=1 fault=- trace=- span=-`, with `-` for what is absent;
/// ` tls=TLSv1.3 clientCertificate=CN=ada` follows where there is either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the request's head came in; written in RFC 3339, UTC, to the microsecond.
    pub time: SystemTime,
    /// The peer; none on a unix socket.
    pub client: Option<SocketAddr>,
    /// The client's protocol, written as `HTTP/1.1`.
    pub protocol: http::Version,
    /// The method; none where the request could not be read.
    pub method: Option<http::Method>,
    /// The host asked for, as sent.
    pub host: Option<String>,
    /// The path as sent; with its query or without, as the worker decides.
    pub path: Option<String>,
    /// The status sent; none where the client got no answer.
    pub status: Option<u16>,
    /// The service; none where no route matched.
    pub service: Option<Arc<str>>,
    /// The version that answered; the one that failed last where none did.
    pub version: Option<Arc<str>>,
    /// Why that version.
    pub why: Option<Why>,
    /// The fault of a drill that struck it.
    pub fault: Option<Arc<str>>,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// The span that the upstream was told; none where serin passes on the one that came.
    pub span_id: Option<SpanId>,
    /// The label of the outcome or of the refusal.
    pub outcome: &'static str,
    /// From the request's head to the response's last byte.
    pub duration: Duration,
    /// From the request's head to the response's; none where there was no response.
    pub first_byte: Option<Duration>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// How often it was sent to a version.
    pub tries: u32,
    /// The version of TLS, such as `TLSv1.3`; none for plain HTTP.
    pub tls: Option<&'static str>,
    /// The subject of the client's verified certificate.
    pub client_certificate: Option<Arc<str>>,
}

impl Entry {
    /// Appends the line with its line end. Nothing the client sent can end a line early.
    pub(super) fn write(&self, format: Format, out: &mut Vec<u8>) {
        match format {
            // Invariant: a `Vec` takes everything, and an entry has no map whose keys could be refused.
            Format::Json => serde_json::to_writer(&mut *out, &Json::from(self)).expect("an entry is always JSON"),
            Format::Text => out.extend_from_slice(self.text().as_bytes()),
        }
        out.push(b'\n');
    }

    fn text(&self) -> String {
        let mut text = self.text_without_tls();
        if let Some(tls) = self.tls {
            // Writing to a string does not fail.
            let _ = write!(text, " tls={tls}");
        }
        if let Some(subject) = &self.client_certificate {
            let _ = write!(text, " clientCertificate={}", Escaped(subject));
        }
        text
    }

    fn text_without_tls(&self) -> String {
        format!(
            "{time} {client} \"{method} {host}{path} {protocol:?}\" {status} {outcome} {service}/{version} {why} \
             duration={duration} firstByte={first_byte} in={bytes_in} out={bytes_out} tries={tries} fault={fault} trace={trace} \
             span={span}",
            time = Rfc3339(self.time),
            client = OrDash(self.client),
            method = OrDash(self.method.as_ref().map(|method| Escaped(method.as_str()))),
            host = OrDash(self.host.as_deref().filter(|host| !host.is_empty()).map(Escaped)),
            path = self.path.as_deref().map(Escaped).unwrap_or_default(),
            protocol = self.protocol,
            status = OrDash(self.status),
            outcome = self.outcome,
            service = OrDash(self.service.as_deref().map(Escaped)),
            version = OrDash(self.version.as_deref().map(Escaped)),
            why = OrDash(self.why.map(Why::label)),
            duration = Milliseconds(self.duration),
            first_byte = OrDash(self.first_byte.map(Milliseconds)),
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            tries = self.tries,
            fault = OrDash(self.fault.as_deref().map(Escaped)),
            trace = OrDash(self.trace_id),
            span = OrDash(self.span_id),
        )
    }
}

/// A value or a dash.
struct OrDash<T>(Option<T>);

impl<T: Display> Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_char('-'),
        }
    }
}

/// Text without anything that could be taken for the line's own structure or move a terminal: white space, quotes,
/// backslashes, control and invisible characters are escaped as Rust's strings do.
#[derive(Default)]
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\'' => f.write_char(c)?,
                ' ' => f.write_str("\\u{20}")?,
                c => c.escape_debug().fmt(f)?,
            }
        }
        Ok(())
    }
}

struct Milliseconds(Duration);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}ms", self.0.as_secs_f64() * 1e3)
    }
}

/// An entry as its JSON object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    time: String,
    client: Option<SocketAddr>,
    protocol: String,
    method: Option<&'a str>,
    host: Option<&'a str>,
    path: Option<&'a str>,
    status: Option<u16>,
    service: Option<&'a str>,
    version: Option<&'a str>,
    why: Option<&'static str>,
    fault: Option<&'a str>,
    trace_id: Option<String>,
    span_id: Option<String>,
    outcome: &'static str,
    duration: f64,
    first_byte: Option<f64>,
    bytes_in: u64,
    bytes_out: u64,
    tries: u32,
    tls: Option<&'static str>,
    client_certificate: Option<&'a str>,
}

impl<'a> From<&'a Entry> for Json<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            time: Rfc3339(entry.time).to_string(),
            client: entry.client,
            protocol: format!("{:?}", entry.protocol),
            method: entry.method.as_ref().map(http::Method::as_str),
            host: entry.host.as_deref(),
            path: entry.path.as_deref(),
            status: entry.status,
            service: entry.service.as_deref(),
            version: entry.version.as_deref(),
            why: entry.why.map(Why::label),
            fault: entry.fault.as_deref(),
            trace_id: entry.trace_id.map(|id| id.to_string()),
            span_id: entry.span_id.map(|id| id.to_string()),
            outcome: entry.outcome,
            duration: entry.duration.as_secs_f64(),
            first_byte: entry.first_byte.map(|waited| waited.as_secs_f64()),
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
            tries: entry.tries,
            tls: entry.tls,
            client_certificate: entry.client_certificate.as_deref(),
        }
    }
}
