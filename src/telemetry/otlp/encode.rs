//! Spans as OpenTelemetry knows them, with the attributes of its semantic conventions for HTTP servers
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>) and serin's own.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Method, Version};
use prost::Message;

use super::messages::{self, AnyValue, ERROR, Event, Export, KeyValue, Resource, ResourceSpans, SERVER, Scope};
use super::messages::{ScopeSpans, Status, Value};
use crate::telemetry::Outcome;
use crate::telemetry::trace::{Span, SpanEnd};

/// The body of one export.
pub(super) fn encode(spans: &[Span], service_name: &str) -> Vec<u8> {
    let version = || env!("CARGO_PKG_VERSION").to_owned();
    let resource = Resource {
        attributes: vec![text("service.name", service_name), text("service.version", env!("CARGO_PKG_VERSION"))],
    };
    let scope = Scope { name: "serin".to_owned(), version: version() };
    let spans = spans.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    Export { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }.encode_to_vec()
}

fn span(span: &Span) -> messages::Span {
    let first_byte = span
        .first_byte
        .map(|after| Event { time_unix_nano: nanos(span.start + after), name: "response head".to_owned() });
    messages::Span {
        trace_id: span.context.trace.bytes().into(),
        span_id: span.context.span.bytes().into(),
        trace_state: span.state.as_ref().map(lossy).unwrap_or_default(),
        parent_span_id: span.parent.map(|parent| parent.bytes().into()).unwrap_or_default(),
        name: method(&span.method).to_owned(),
        kind: SERVER,
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.start + span.duration),
        attributes: attributes(span),
        events: first_byte.into_iter().collect(),
        status: failure(span).map(|kind| Status { message: kind.to_owned(), code: ERROR }),
        flags: span.context.flags().into(),
    }
}

fn attributes(span: &Span) -> Vec<KeyValue> {
    let mut all = vec![
        text("http.request.method", method(&span.method)),
        text("url.scheme", span.scheme),
        text("url.path", &span.path),
        text("network.protocol.version", protocol(span.protocol)),
    ];
    if method(&span.method) == OTHER {
        all.push(text("http.request.method_original", span.method.as_str()));
    }
    if let Some(host) = &span.host {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().ok()),
            _ => (host.as_str(), None),
        };
        all.push(text("server.address", name));
        all.extend(port.map(|port| number("server.port", port.into())));
    }
    if let Some(client) = span.client {
        let ip = client.ip().to_canonical().to_string();
        all.extend([text("client.address", &ip), text("network.peer.address", &ip)]);
        all.push(number("network.peer.port", client.port().into()));
    }
    all.extend(span.user_agent.as_ref().map(|agent| text("user_agent.original", &lossy(agent))));
    all.extend(span.status.map(|status| number("http.response.status_code", status.into())));
    if let SpanEnd::Outcome(Outcome::Grpc(code)) = span.end {
        all.extend([text("rpc.system", "grpc"), number("rpc.grpc.status_code", code.into())]);
    }
    if let Some((service, version, why)) = &span.picked {
        all.extend([text("serin.service", service), text("serin.version", version), text("serin.why", why.label())]);
    }
    if span.tries > 1 {
        all.push(number("serin.tries", span.tries.into()));
    }
    all.extend(span.fault.as_deref().map(|fault| text("serin.fault", fault)));
    match (span.end, span.status) {
        // A status says of itself which error it is.
        (SpanEnd::Outcome(Outcome::Status(5..)), Some(status)) => all.push(text("error.type", &status.to_string())),
        _ => all.extend(failure(span).map(|kind| text("error.type", kind))),
    }
    all
}

/// What went wrong, where something did that is the server's fault and not the client's.
fn failure(span: &Span) -> Option<&'static str> {
    match span.end {
        SpanEnd::Outcome(outcome) => outcome.is_failure().then(|| outcome.label()),
        SpanEnd::Unrouted(kind) => span.status.is_some_and(|status| status >= 500).then_some(kind),
    }
}

/// What the conventions call a method that they do not know.
const OTHER: &str = "_OTHER";

fn method(method: &Method) -> &str {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::CONNECT,
        Method::TRACE,
    ];
    if KNOWN.contains(method) { method.as_str() } else { OTHER }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::Text(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::Number(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn lossy(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
