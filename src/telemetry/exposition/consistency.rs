//! The metrics of whether both sides of migrations agree.

use std::sync::Arc;

use super::family::{Family, Kind, Labels};
use crate::telemetry::ConsistencyFigure;

pub(super) fn families(figures: &[ConsistencyFigure]) -> [Family; 6] {
    let service = |one: &ConsistencyFigure| Labels::one("service", Arc::clone(&one.service));
    let gauge = |name, help, of: fn(&ConsistencyFigure) -> Option<f64>| Family {
        name,
        help,
        kind: Kind::Gauge,
        series: figures.iter().filter_map(|one| Some(service(one).number(of(one)?))).collect(),
    };
    let counter = |name, help, of: fn(&ConsistencyFigure) -> &[(&'static str, u64)]| Family {
        name,
        help,
        kind: Kind::Counter,
        series: figures
            .iter()
            .flat_map(|one| of(one).iter().map(|(result, count)| service(one).with("result", *result).count(*count)))
            .collect(),
    };
    [
        gauge(
            "serin_consistency_ratio",
            "Share of looks at keys of a migration that found both versions the same, since the evidence began.",
            |one| one.estimate,
        ),
        gauge(
            "serin_consistency_ratio_low",
            "The share of keys that are the same is at least this, with 95 % over all looks together.",
            |one| Some(one.low),
        ),
        gauge("serin_consistency_ratio_high", "And at most this.", |one| Some(one.high)),
        gauge("serin_consistency_keys", "Different keys looked at since the evidence began.", |one| {
            Some(one.keys as f64)
        }),
        counter(
            "serin_consistency_looks_total",
            "Looks of the verification by what they found: agreed, disagreed, busy, failed.",
            |one| &one.looks,
        ),
        counter(
            "serin_reconcile_keys_total",
            "Keys of reconciliations by what was found of them, and of those that disagreed, whether they were repaired.",
            |one| &one.counts,
        ),
    ]
}
