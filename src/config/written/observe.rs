//! What is written down of every request.

use crate::config::read::{At, written};
use crate::config::values::{Collector, FilePath, LogFormat, Percent, Text};

written! {
    /// One line for every request.
    AccessLog {
        /// A file, or `-` for standard output.
        required "path" path: At<FilePath>,
        /// Default: json.
        optional "format" format: At<LogFormat>,
    }

    /// Spans of requests, exported by OTLP over HTTP.
    Tracing {
        /// The collector's base URL, such as `http://127.0.0.1:4318`; `/v1/traces` is put after it.
        required "otlp" otlp: At<Collector>,
        /// How many of the traces that begin here are recorded; of all others their `traceparent` says. Default: 1%.
        optional "sample" sample: At<Percent<0>>,
        /// `service.name` of the spans. Default: serin.
        optional "serviceName" service_name: At<Text>,
    }
}
