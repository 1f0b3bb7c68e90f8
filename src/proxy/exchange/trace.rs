//! The trace a request belongs to: read from its `traceparent`, begun here where it has none, and passed on with the span of
//! this exchange in it.
//!
//! While tracing is off nothing is changed; the headers pass as they came. A trace that is not recorded and was begun by
//! somebody else passes as it came, too.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request};

use super::log::LogLine;
use crate::plan::{Service, Version};
use crate::proxy::client::Client;
use crate::proxy::worker::Worker;
use crate::telemetry::trace::{Span, SpanEnd, SpanId, TraceContext, TraceId, Tracer};
use crate::telemetry::{Outcome, Why, WorkerCell};
use crate::wire::PeerAddr;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What is passed on in the place of what came.
#[derive(Debug)]
pub(super) struct Trace {
    traceparent: HeaderValue,
    /// The trace begins here: a `tracestate` belongs to another.
    begins: bool,
    /// Where the trace is recorded.
    span: Option<Box<SpanLine>>,
}

/// A span in the making.
#[derive(Debug)]
pub(super) struct SpanLine {
    span: Span,
    /// When the request came.
    started: Instant,
    tracer: Tracer,
    cell: Arc<WorkerCell>,
}

/// Finds or begins the trace of a request that has just come, and notes it in its log line. `None` where the headers pass
/// as they came.
pub(super) fn begin(
    worker: &Worker,
    client: &Client,
    parts: &request::Parts,
    started: Instant,
    log: Option<&mut LogLine>,
) -> Option<Trace> {
    let Some(tracer) = &worker.shared.tracer else {
        if let Some(log) = log
            && let Some(context) = incoming(&parts.headers)
        {
            log.trace(context.trace, None);
        }
        return None;
    };
    let parent = incoming(&parts.headers);
    let context = match parent {
        Some(parent) if !parent.is_sampled() => {
            if let Some(log) = log {
                log.trace(parent.trace, None);
            }
            return None;
        }
        Some(parent) => parent.child(SpanId::from_random(worker.rng.borrow_mut().u64(..))),
        None => {
            let rng = &mut worker.rng.borrow_mut();
            let trace = TraceId::from_random(rng.u128(..));
            TraceContext::root(trace, SpanId::from_random(rng.u64(..)), tracer.samples(trace))
        }
    };
    if let Some(log) = log {
        log.trace(context.trace, Some(context.span));
    }
    let span = context.is_sampled().then(|| {
        let span = span(context, parent, client, parts);
        Box::new(SpanLine { span, started, tracer: tracer.clone(), cell: Arc::clone(&worker.cell) })
    });
    // Invariant: a context's text is hexadecimal digits and dashes.
    let traceparent = HeaderValue::try_from(context.to_string()).ok()?;
    Some(Trace { traceparent, begins: parent.is_none(), span })
}

/// What the one `traceparent` of a request says.
fn incoming(headers: &HeaderMap) -> Option<TraceContext> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let first = lines.next()?;
    lines.next().is_none().then(|| TraceContext::parse(first.as_bytes()))?
}

fn span(context: TraceContext, parent: Option<TraceContext>, client: &Client, parts: &request::Parts) -> Span {
    let headers = &parts.headers;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let authority = parts.uri.authority().map(|authority| authority.as_str().to_owned());
    let state = headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b',');
    Span {
        context,
        parent: parent.map(|parent| parent.span),
        state: HeaderValue::from_bytes(&state).ok().filter(|state| parent.is_some() && !state.is_empty()),
        start: SystemTime::now(),
        duration: Duration::ZERO,
        first_byte: None,
        protocol: parts.version,
        scheme: if client.secured.is_some() { "https" } else { "http" },
        method: parts.method.clone(),
        host: authority.or_else(|| headers.get(header::HOST).map(text)),
        path: parts.uri.path().to_owned(),
        client: match client.peer {
            PeerAddr::Ip(address) => Some(address),
            PeerAddr::Unix => None,
        },
        user_agent: headers.get(header::USER_AGENT).cloned(),
        status: None,
        picked: None,
        tries: 0,
        fault: None,
        end: SpanEnd::Unrouted(""),
    }
}

impl Trace {
    /// Puts the span of this exchange in the place of the one that asks; gives what is to be recorded.
    pub(super) fn pass_on(self, headers: &mut HeaderMap) -> Option<Box<SpanLine>> {
        headers.insert(TRACEPARENT, self.traceparent);
        if self.begins {
            headers.remove(TRACESTATE);
        }
        self.span
    }

    /// serin has answered a request that reached no version.
    pub(super) fn unrouted(self, status: StatusCode, kind: &'static str) {
        if let Some(line) = self.span {
            line.unrouted(status, kind);
        }
    }
}

impl SpanLine {
    /// The request goes to a version: the one that was picked, or the next one tried.
    pub(super) fn picked(&mut self, service: &Service, version: &Version, why: Why) {
        self.span.picked = Some((Arc::clone(&service.name), Arc::clone(&version.name), why));
        self.span.tries += 1;
    }

    /// The request is sent again, to this version.
    pub(super) fn sent_again(&mut self, service: &Service, version: &Version) {
        let why = match &self.span.picked {
            Some((_, before, why)) if *before == version.name => *why,
            _ => Why::Fallback,
        };
        self.picked(service, version, why);
    }

    /// A drill strikes the request.
    pub(super) fn fault(&mut self, name: &Arc<str>) {
        self.span.fault = Some(Arc::clone(name));
    }

    /// The response's head goes to the client.
    pub(super) fn head(&mut self, status: StatusCode, now: Instant) {
        self.span.status = Some(status.as_u16());
        self.span.first_byte = Some(now.saturating_duration_since(self.started));
    }

    /// serin has answered in the place of any version.
    pub(super) fn unrouted(mut self, status: StatusCode, kind: &'static str) {
        let now = Instant::now();
        self.head(status, now);
        self.send(SpanEnd::Unrouted(kind), now);
    }

    /// The exchange is over.
    pub(super) fn finish(self, outcome: Outcome, now: Instant) {
        self.send(SpanEnd::Outcome(outcome), now);
    }

    fn send(mut self, end: SpanEnd, now: Instant) {
        self.span.end = end;
        self.span.duration = now.saturating_duration_since(self.started);
        if !self.tracer.send(self.span) {
            self.cell.span_dropped();
        }
    }
}
