//! The protobuf format: `io.prometheus.client.MetricFamily`, as in `metrics.proto` of `prometheus/client_model`; the
//! parts of it that serin writes. Fields are optional as they are there, so that a 0 is said and not left out.

use prost::Message;

use crate::stats::{Scale5, Snapshot};

use super::classic_edges;
use super::family::{self, Kind, Value};

/// One metric with all its series.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub(super) r#type: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) metric: Vec<Metric>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(super) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(super) gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    pub(super) counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelPair {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) value: Option<String>,
}

/// `Gauge` and `Counter`, which have their value in common.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Number {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
    /// Classic buckets.
    #[prost(message, repeated, tag = "3")]
    pub(super) bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    pub(super) schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub(super) zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    pub(super) positive_span: Vec<BucketSpan>,
    /// Each native bucket's count as the difference to the one before it, the first's to 0.
    #[prost(sint64, repeated, tag = "13")]
    pub(super) positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(super) cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) upper_bound: Option<f64>,
}

/// A run of native buckets.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BucketSpan {
    /// The first span's first index; of the others, the gap to the span before.
    #[prost(sint32, optional, tag = "1")]
    pub(super) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) length: Option<u32>,
}

/// Gaps up to this long are written as empty buckets: that is shorter than another span.
const SHORT_GAP: i32 = 2;

/// Writes the families one after the other, each with its length before it.
pub(super) fn write(families: &[family::Family]) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families {
        // Invariant: a `Vec` grows, so there is always room to encode.
        message(family).encode_length_delimited(&mut out).expect("a vector takes everything");
    }
    out
}

fn message(family: &family::Family) -> MetricFamily {
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    MetricFamily {
        name: Some(family.name.to_owned()),
        help: Some(family.help.to_owned()),
        r#type: Some(kind.into()),
        metric: family.series.iter().map(|series| metric(family.kind, series)).collect(),
    }
}

fn metric(kind: Kind, series: &family::Series) -> Metric {
    let pair = |name: &str, value: &str| LabelPair { name: Some(name.to_owned()), value: Some(value.to_owned()) };
    let label = series.labels.iter().map(|(name, value)| pair(name, value)).collect();
    let mut metric = Metric { label, ..Metric::default() };
    match &series.value {
        Value::Histogram(durations) => metric.histogram = Some(histogram(durations)),
        Value::Number(number) if kind == Kind::Counter => metric.counter = Some(Number { value: Some(*number) }),
        Value::Number(number) => metric.gauge = Some(Number { value: Some(*number) }),
    }
    metric
}

fn histogram(durations: &Snapshot) -> Histogram {
    let classic = classic_edges().map(Scale5::upper).map(|edge| (edge, durations.count_at_most(edge)));
    let (positive_span, positive_delta) = native(durations);
    Histogram {
        sample_count: Some(durations.count()),
        sample_sum: Some(durations.sum_nanos() as f64 / 1e9),
        bucket: classic
            .chain([(f64::INFINITY, durations.count())])
            .map(|(edge, count)| Bucket { cumulative_count: Some(count), upper_bound: Some(edge) })
            .collect(),
        schema: Some(Scale5::SCHEMA),
        zero_threshold: Some(Scale5::ZERO_THRESHOLD),
        zero_count: Some(durations.zero_count()),
        positive_span,
        positive_delta,
    }
}

/// The native buckets as runs and differences.
#[expect(clippy::cast_possible_wrap, reason = "there are fewer than 2^12 buckets")]
fn native(durations: &Snapshot) -> (Vec<BucketSpan>, Vec<i64>) {
    let mut runs: Vec<(i32, Vec<u64>)> = Vec::new();
    for bucket in durations.buckets() {
        match runs.last_mut() {
            Some((start, counts)) if bucket.index - (*start + counts.len() as i32) <= SHORT_GAP => {
                counts.resize((bucket.index - *start) as usize, 0);
                counts.push(bucket.count);
            }
            _ => runs.push((bucket.index, vec![bucket.count])),
        }
    }
    let (mut spans, mut deltas) = (Vec::new(), Vec::new());
    // The first span's offset counts from index 0.
    let (mut end, mut before) = (0, 0_i64);
    for (start, counts) in runs {
        spans.push(BucketSpan { offset: Some(start - end), length: Some(counts.len() as u32) });
        end = start + counts.len() as i32;
        for count in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            deltas.push(count - before);
            before = count;
        }
    }
    (spans, deltas)
}
