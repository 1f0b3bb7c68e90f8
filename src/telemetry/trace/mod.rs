//! Spans: what they say, and the queue they go through.
//!
//! A worker fills a plain [`Span`] for requests of sampled traces and hands it to a bounded queue, never waiting: where
//! that is full the span is dropped and the worker counts it. What is done with spans happens elsewhere.

mod context;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, Version};

pub use context::{SpanId, TraceContext, TraceId};

use super::{Outcome, Why};
use crate::plan::Share;

/// What became of one request, for the trace it belongs to.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace and this span.
    pub context: TraceContext,
    /// The span of whoever asked; none where the trace begins here.
    pub parent: Option<SpanId>,
    /// `tracestate`, as it came.
    pub state: Option<HeaderValue>,
    /// When the request's head came in.
    pub start: SystemTime,
    /// From then to the response's last byte.
    pub duration: Duration,
    /// From then to the response's head; none where there was no response.
    pub first_byte: Option<Duration>,
    /// The client's protocol.
    pub protocol: Version,
    /// `http` or `https`, as the client asked.
    pub scheme: &'static str,
    /// The method.
    pub method: Method,
    /// The host asked for, as sent.
    pub host: Option<String>,
    /// The path, without its query: that holds what people would not want to find in a trace.
    pub path: String,
    /// The peer; none on a unix socket.
    pub client: Option<SocketAddr>,
    /// What the client says it is.
    pub user_agent: Option<HeaderValue>,
    /// The status sent; none where the client got no answer.
    pub status: Option<u16>,
    /// What was picked: service, version and why. None where no route matched.
    pub picked: Option<(Arc<str>, Arc<str>, Why)>,
    /// How often it was sent, or would have been but for a drill.
    pub tries: u32,
    /// The fault of a drill that struck it.
    pub fault: Option<Arc<str>>,
    /// How it ended.
    pub end: SpanEnd,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanEnd {
    /// With a version.
    Outcome(Outcome),
    /// Without reaching one: the label of the refusal, or `redirect`.
    Unrouted(&'static str),
}

/// Spans that may wait: a second of a hundred thousand requests a second, sampled at 8 %.
const QUEUE: usize = 8192;

/// A worker's end of the queue, and how it decides what is recorded.
#[derive(Debug, Clone)]
pub struct Tracer {
    queue: SyncSender<Span>,
    share: Share,
    figures: Arc<SpanFigures>,
}

/// What became of spans that were queued.
#[derive(Debug, Default)]
pub struct SpanFigures {
    pub(super) exported: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) ending: AtomicBool,
}

impl Tracer {
    /// The two ends of a queue; of traces that begin here `share` is recorded.
    #[must_use]
    pub fn new(share: Share) -> (Self, Receiver<Span>) {
        let (queue, spans) = sync_channel(QUEUE);
        (Self { queue, share, figures: Arc::default() }, spans)
    }

    /// Whether a trace that begins here is recorded.
    #[must_use]
    pub fn samples(&self, trace: TraceId) -> bool {
        self.share.holds(trace.lot())
    }

    /// Queues a span. Never blocks: `false` if it was dropped, because the queue is full or nobody takes spans any more.
    #[must_use = "a dropped span is to be counted"]
    pub fn send(&self, span: Span) -> bool {
        !self.figures.ending.load(Ordering::Relaxed) && self.queue.try_send(span).is_ok()
    }

    /// What became of the spans.
    #[must_use]
    pub fn figures(&self) -> &Arc<SpanFigures> {
        &self.figures
    }
}
