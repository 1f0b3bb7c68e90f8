//! The metrics of migrations.

use std::sync::Arc;

use super::family::{Family, Kind, Labels};
use crate::telemetry::{CallerCount, MigrationFigure, MigrationSnapshot, WriteResult};

pub(super) fn families(migrations: &[MigrationSnapshot], figures: &[MigrationFigure]) -> [Family; 3] {
    let service = |name: &Arc<str>| Labels::one("service", Arc::clone(name));
    [
        Family {
            name: "serin_migration_stage",
            help: "The stage of a service's migration: 1 for it, 0 for all others.",
            kind: Kind::Gauge,
            series: figures
                .iter()
                .flat_map(|figure| {
                    let one =
                        |stage| service(&figure.service).with("stage", stage).count(u64::from(figure.stage == stage));
                    // Every stage, so that a series does not vanish when a migration moves on.
                    figure.stages.iter().copied().map(one)
                })
                .collect(),
        },
        Family {
            name: "serin_migration_share",
            help: "The share of keys that are in the stage, 0 to 1; all others are in the one before.",
            kind: Kind::Gauge,
            series: figures.iter().map(|figure| service(&figure.service).number(figure.share)).collect(),
        },
        Family {
            name: "serin_migration_writes_total",
            help: "Writes to two versions by what became of them at the authoritative one, and what was refused because \
                   it cannot be such a write.",
            kind: Kind::Counter,
            series: migrations
                .iter()
                .flat_map(|m| {
                    WriteResult::ALL.map(|result| {
                        service(&m.service).with("result", result.label()).count(m.writes[result as usize])
                    })
                })
                .collect(),
        },
    ]
}

/// Who still calls versions whose end is announced.
pub(super) fn callers(counts: Vec<CallerCount>) -> Family {
    Family {
        name: "serin_deprecated_requests_total",
        help: "Requests to versions whose end is announced, by who sends them.",
        kind: Kind::Counter,
        series: counts
            .into_iter()
            .map(|CallerCount { service, version, caller, requests }| {
                Labels::one("service", service).with("version", version).with("client", caller).count(requests)
            })
            .collect(),
    }
}
