//! The metrics of flags and the flag API.

use super::family::{Family, Kind, Labels};
use crate::telemetry::{FlagCount, OfrepCell};

pub(super) fn families(counts: Vec<FlagCount>, api: Option<&OfrepCell>) -> [Family; 3] {
    let of_request = |(kind, code, count): (crate::telemetry::OfrepKind, u16, u64)| {
        Labels::one("kind", kind.label()).with("code", code.to_string()).count(count)
    };
    [
        Family {
            name: "serin_flag_evaluations_total",
            help: "Evaluations of flags, by variant (empty: none) and reason.",
            kind: Kind::Counter,
            series: counts
                .into_iter()
                .map(|FlagCount { flag, variant, because, count }| {
                    Labels::one("flag", flag).with("variant", variant).with("reason", because.label()).count(count)
                })
                .collect(),
        },
        Family {
            name: "serin_ofrep_requests_total",
            help: "Requests to the flag API, by what they were for and HTTP status.",
            kind: Kind::Counter,
            series: api.iter().flat_map(|api| api.requests()).map(of_request).collect(),
        },
        Family {
            name: "serin_ofrep_event_streams",
            help: "Clients of the flag API that wait to be told of changes.",
            kind: Kind::Gauge,
            series: api.map(|api| Labels(Vec::new()).count(api.open_event_streams())).into_iter().collect(),
        },
    ]
}
