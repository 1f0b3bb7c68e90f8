//! The access-log line of one exchange, built only where the log is on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{StatusCode, header, request};

use crate::plan::{Service, Version};
use crate::proxy::client::Client;
use crate::proxy::worker::Worker;
use crate::telemetry::access_log::{AccessLogSender, Entry};
use crate::telemetry::trace::{SpanId, TraceId};
use crate::telemetry::{Why, WorkerCell};
use crate::upstream::BodyWatch;
use crate::wire::PeerAddr;

/// A line in the making.
#[derive(Debug)]
pub(super) struct LogLine {
    entry: Entry,
    /// When the request came.
    started: Instant,
    body: Option<Rc<BodyWatch>>,
    sender: AccessLogSender,
    cell: Arc<WorkerCell>,
}

impl LogLine {
    /// The line of a request that has just come; `None` where no log is kept. Queries are left out: they hold what
    /// people would not want to find in a log.
    pub(super) fn begin(
        worker: &Worker,
        client: &Client,
        parts: &request::Parts,
        started: Instant,
    ) -> Option<Box<Self>> {
        let sender = worker.shared.access_log.clone()?;
        let host = parts.uri.authority().map(|authority| authority.as_str().to_owned()).or_else(|| {
            let host = parts.headers.get(header::HOST)?;
            Some(String::from_utf8_lossy(host.as_bytes()).into_owned())
        });
        let entry = Entry {
            time: SystemTime::now(),
            client: match client.peer {
                PeerAddr::Ip(address) => Some(address),
                PeerAddr::Unix => None,
            },
            protocol: parts.version,
            method: Some(parts.method.clone()),
            host,
            path: Some(parts.uri.path().to_owned()),
            status: None,
            service: None,
            version: None,
            why: None,
            fault: None,
            trace_id: None,
            span_id: None,
            outcome: "",
            duration: Duration::ZERO,
            first_byte: None,
            bytes_in: 0,
            bytes_out: 0,
            tries: 0,
            tls: client.secured.as_ref().map(|secured| secured.version),
            client_certificate: client.identity().map(|identity| Arc::clone(identity.subject())),
        };
        Some(Box::new(Self { entry, started, body: None, sender, cell: Arc::clone(&worker.cell) }))
    }

    /// The request goes to a version: the one that was picked, or the next one tried.
    pub(super) fn picked(&mut self, service: &Service, version: &Version, why: Why) {
        self.entry.service = Some(Arc::clone(&service.name));
        self.entry.version = Some(Arc::clone(&version.name));
        self.entry.why = Some(why);
        self.entry.tries += 1;
    }

    /// The request is sent again, to this version.
    pub(super) fn sent_again(&mut self, service: &Service, version: &Version) {
        let same = self.entry.version.as_ref().is_some_and(|name| *name == version.name);
        self.picked(service, version, self.entry.why.filter(|_| same).unwrap_or(Why::Fallback));
    }

    /// A drill strikes the request.
    pub(super) fn fault(&mut self, name: &Arc<str>) {
        self.entry.fault = Some(Arc::clone(name));
    }

    /// The request belongs to a trace; `span`: what the upstream is told.
    pub(super) fn trace(&mut self, trace: TraceId, span: Option<SpanId>) {
        self.entry.trace_id = Some(trace);
        self.entry.span_id = span;
    }

    /// The request has a body.
    pub(super) fn body(&mut self, body: Rc<BodyWatch>) {
        self.body = Some(body);
    }

    /// The response's head goes to the client.
    pub(super) fn head(&mut self, status: StatusCode, now: Instant) {
        self.entry.status = Some(status.as_u16());
        self.entry.first_byte = Some(now.saturating_duration_since(self.started));
    }

    /// Bytes of the response's body go to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.entry.bytes_out += bytes as u64;
    }

    /// The exchange is over.
    pub(super) fn write(mut self, outcome: &'static str, now: Instant) {
        self.entry.outcome = outcome;
        self.entry.duration = now.saturating_duration_since(self.started);
        self.entry.bytes_in = self.body.map_or(0, |body| body.bytes());
        if !self.sender.send(self.entry) {
            self.cell.access_log_dropped();
        }
    }

    /// serin has answered a request that reached no version.
    pub(super) fn unrouted(mut self, status: StatusCode, kind: &'static str) {
        let now = Instant::now();
        self.head(status, now);
        self.write(kind, now);
    }
}
