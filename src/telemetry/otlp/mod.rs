//! Spans on their way to a collector: OTLP over HTTP, protobuf
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), from a thread of its own.
//!
//! A collector that is slow or gone costs spans and nothing else: they are counted as dropped.

mod encode;
mod messages;
mod post;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::trace::{Span, SpanFigures, Tracer};
use crate::plan::Share;
use post::PostError;

/// Where spans go, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exporting {
    /// Host of the collector: a name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path that spans are posted to.
    pub path: String,
    /// How many of the traces that begin here are recorded.
    pub sample: Share,
    /// `service.name` of the resource.
    pub service_name: String,
}

/// After the first span the thread lets the queue fill for this long: spans go out together, and a worker that queues one
/// hardly ever has to wake the thread, which would cost it some microseconds.
const GATHER: Duration = Duration::from_millis(200);
/// Most spans of one export.
const BATCH: usize = 512;
/// Tries of one export, and the pause before the second; it doubles.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// How long the owner waits at the end for what is queued.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running exporter. Dropping it sends what is queued; it waits two seconds at most for that.
#[derive(Debug)]
pub struct Exporter {
    tracer: Tracer,
    thread: JoinHandle<()>,
    /// Disconnected when the thread has ended.
    ended: Receiver<Infallible>,
}

impl Exporter {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub fn start(to: Exporting) -> io::Result<Self> {
        let (tracer, spans) = Tracer::new(to.sample);
        let (alive, ended) = sync_channel(0);
        let sender = Sender { figures: Arc::clone(tracer.figures()), to, spans, failing: false };
        let thread = thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            let _alive = alive;
            sender.run();
        })?;
        Ok(Self { tracer, thread, ended })
    }

    /// An end of the queue for a worker to keep.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.tracer.figures().ending.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(PATIENCE) {
            tracing::warn!("the collector does not take the last spans in time; they are lost");
        }
    }
}

struct Sender {
    to: Exporting,
    spans: Receiver<Span>,
    figures: Arc<SpanFigures>,
    /// The last export failed, which has been said.
    failing: bool,
}

impl Sender {
    /// Sends until the owner ends it, and then what is queued.
    fn run(mut self) {
        loop {
            let is_last = self.is_ending();
            // Not a wait for a span alone: the owner may end this without one.
            let first = if is_last { self.spans.try_recv().ok() } else { self.spans.recv_timeout(GATHER).ok() };
            if let Some(first) = first {
                if !is_last {
                    thread::park_timeout(GATHER);
                }
                self.send_all(first);
            }
            if is_last {
                return;
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.figures.ending.load(Ordering::SeqCst)
    }

    fn send_all(&mut self, first: Span) {
        let mut batch = Vec::with_capacity(BATCH);
        batch.push(first);
        loop {
            batch.extend(self.spans.try_iter().take(BATCH - batch.len()));
            if batch.is_empty() {
                return;
            }
            self.export(&batch);
            batch.clear();
        }
    }

    fn export(&mut self, batch: &[Span]) {
        let body = encode::encode(batch, &self.to.service_name);
        let mut pause = PAUSE;
        for tried in 1..=TRIES {
            match post::post(&self.to, &body) {
                Ok(()) => {
                    self.figures.exported.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("the collector takes spans again");
                    }
                    return;
                }
                Err(error) if tried < TRIES && error.is_passing() && !self.is_ending() => {
                    thread::park_timeout(pause);
                    pause *= 2;
                }
                Err(error) => return self.lose(batch.len(), &error),
            }
        }
    }

    fn lose(&mut self, spans: usize, error: &PostError) {
        self.figures.lost.fetch_add(spans as u64, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            let Exporting { host, port, path, .. } = &self.to;
            tracing::warn!(%host, port, %path, %error, "the collector does not take spans; they are lost until it does");
        }
    }
}
