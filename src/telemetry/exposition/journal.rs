//! The metrics of the journal.

use std::sync::Arc;

use super::family::{Family, Kind, Labels, Series};
use crate::stats::Snapshot;
use crate::telemetry::JournalOf;

/// Nothing where no service has a journal.
pub(super) fn families((journals, commits): (Vec<JournalOf>, Snapshot)) -> Vec<Family> {
    if journals.is_empty() {
        return Vec::new();
    }
    let each = |value: fn(&JournalOf) -> u64| journals.iter().map(|of| labels(of, None).count(value(of))).collect();
    let by = |label: &'static str, values: fn(&JournalOf) -> &[(&'static str, u64)]| -> Vec<Series> {
        let one =
            move |of: &JournalOf, (value, count): &(&'static str, u64)| labels(of, Some((label, value))).count(*count);
        journals.iter().flat_map(|of| values(of).iter().map(move |value| one(of, value))).collect()
    };
    vec![
        Family {
            name: "serin_journal_entries",
            help: "Writes in the journal, by how far they got: waiting, inFlight, uncertain, pending, deadLetter.",
            kind: Kind::Gauge,
            series: by("state", |of| &of.states),
        },
        Family {
            name: "serin_journal_bytes",
            help: "Bytes of the writes in the journal.",
            kind: Kind::Gauge,
            series: each(|of| of.bytes),
        },
        Family {
            name: "serin_journal_oldest_seconds",
            help: "Age of the oldest write in the journal that is neither a dead letter nor stopped by one; 0 without one.",
            kind: Kind::Gauge,
            series: journals.iter().map(|of| labels(of, None).number(of.oldest.as_secs_f64())).collect(),
        },
        Family {
            name: "serin_journal_to_reconcile",
            help: "Keys that may differ between the two versions for good, and are listed for reconciliation.",
            kind: Kind::Gauge,
            series: each(|of| of.to_reconcile),
        },
        Family {
            name: "serin_journal_deliveries_total",
            help: "Writes delivered to the second version, and tries that failed.",
            kind: Kind::Counter,
            series: by("result", |of| &of.deliveries),
        },
        Family {
            name: "serin_journal_refused_total",
            help: "Writes that were refused, by why.",
            kind: Kind::Counter,
            series: by("reason", |of| &of.refused),
        },
        Family {
            name: "serin_journal_alone_total",
            help: "Writes that went to the authoritative version alone, for want of room or disk.",
            kind: Kind::Counter,
            series: each(|of| of.alone),
        },
        Family {
            name: "serin_journal_commit_seconds",
            help: "From giving the disk writes, as many as there were together, to their being on it.",
            kind: Kind::Histogram,
            series: vec![Labels(Vec::new()).durations(commits)],
        },
    ]
}

fn labels(of: &JournalOf, also: Option<(&'static str, &str)>) -> Labels {
    let service = ("service", Arc::clone(&of.service));
    Labels([service].into_iter().chain(also.map(|(name, value)| (name, value.into()))).collect())
}
