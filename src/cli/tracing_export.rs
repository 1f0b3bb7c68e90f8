//! The exporter of spans, where this serin was built with one.

use std::io;

use crate::config::TracingSettings;
#[cfg(feature = "otlp")]
use crate::telemetry::otlp::{Exporter, Exporting};
use crate::telemetry::trace::Tracer;

/// A running exporter of spans.
#[derive(Debug)]
pub(super) struct Spans(#[cfg(feature = "otlp")] Exporter, #[cfg(not(feature = "otlp"))] std::convert::Infallible);

#[cfg(feature = "otlp")]
impl Spans {
    pub(super) fn start(settings: &TracingSettings) -> io::Result<Self> {
        let TracingSettings { host, port, path, sample, service_name } = settings.clone();
        Exporter::start(Exporting { host, port, path, sample, service_name }).map(Self)
    }

    pub(super) fn tracer(&self) -> Tracer {
        self.0.tracer()
    }

    /// Sends what is queued.
    pub(super) fn finish(self) {
        drop(self.0);
    }
}

#[cfg(not(feature = "otlp"))]
impl Spans {
    /// Never asked for: `config` gives no settings to a serin without an exporter.
    pub(super) fn start(_settings: &TracingSettings) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn tracer(&self) -> Tracer {
        match self.0 {}
    }

    pub(super) fn finish(self) {
        match self.0 {}
    }
}
