//! The metrics of events.

use super::family::{Family, Kind, Labels};
use crate::telemetry::EventFigures;

pub(super) fn families(events: &EventFigures) -> [Family; 3] {
    let one = |value: u64| vec![Labels(Vec::new()).count(value)];
    [
        Family {
            name: "serin_event_streams",
            help: "Clients of the admin API that are told of events as they happen.",
            kind: Kind::Gauge,
            series: one(events.streams()),
        },
        Family {
            name: "serin_event_streams_dropped_total",
            help: "Event streams that were ended because their client was too slow.",
            kind: Kind::Counter,
            series: one(events.dropped()),
        },
        Family {
            name: "serin_webhook_deliveries_total",
            help: "Events for the receivers of webhooks, by what became of them.",
            kind: Kind::Counter,
            series: events.deliveries().map(|(result, n)| Labels::one("result", result.label()).count(n)).collect(),
        },
    ]
}
