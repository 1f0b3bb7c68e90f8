//! The metrics of the ledger.

use super::family::{Family, Kind, Labels};
use crate::telemetry::ledger::LedgerState;

/// Nothing where there is no ledger.
pub(super) fn families(ledger: &LedgerState) -> Vec<Family> {
    if !ledger.kept {
        return Vec::new();
    }
    let one = |value: u64| vec![Labels(Vec::new()).count(value)];
    vec![
        Family {
            name: "serin_ledger_entries_total",
            help: "Entries written to the ledger since the start.",
            kind: Kind::Counter,
            series: one(ledger.entries),
        },
        Family {
            name: "serin_ledger_write_failures_total",
            help: "Attempts to write to the ledger that failed.",
            kind: Kind::Counter,
            series: one(ledger.failures),
        },
        Family {
            name: "serin_ledger_healthy",
            help: "1 while the ledger can be written, 0 while it cannot: then nothing is widened.",
            kind: Kind::Gauge,
            series: one(u64::from(!ledger.failing)),
        },
        Family {
            name: "serin_ledger_waiting_changes",
            help: "Changes in force that wait to be written to the ledger.",
            kind: Kind::Gauge,
            series: one(ledger.waiting),
        },
        Family {
            name: "serin_ledger_append_duration_seconds",
            help: "From the first byte of an entry to its being on the disk.",
            kind: Kind::Histogram,
            series: vec![Labels(Vec::new()).durations(ledger.appends.clone())],
        },
    ]
}
