//! The metrics of spans.

use super::family::{Family, Kind, Labels};
use crate::telemetry::WorkerSnapshot;

/// `exported`: spans that the collector has, and those lost on their way there; `None` where there is no tracing.
pub(super) fn families(workers: &[WorkerSnapshot], exported: Option<(u64, u64)>) -> [Family; 2] {
    let dropped: u64 = workers.iter().map(|worker| worker.spans_dropped).sum();
    let one = |value: Option<u64>| value.map(|value| Labels(Vec::new()).count(value)).into_iter().collect();
    [
        Family {
            name: "serin_spans_exported_total",
            help: "Spans that the collector took.",
            kind: Kind::Counter,
            series: one(exported.map(|(exported, _)| exported)),
        },
        Family {
            name: "serin_spans_dropped_total",
            help: "Spans lost: the queue was full, or the collector did not take them.",
            kind: Kind::Counter,
            series: one(exported.map(|(_, lost)| dropped + lost)),
        },
    ]
}
