//! Metrics of health.

use std::sync::Arc;

use super::family::{Family, Kind, Labels};
use crate::telemetry::health::HealthState;
use crate::telemetry::{CheckResult, Ejection};

pub(super) fn families(health: HealthState) -> [Family; 4] {
    let names = |service: Arc<str>, version: Arc<str>| Labels::one("service", service).with("version", version);
    [
        Family {
            name: "serin_effective_weight",
            help: "Share of a service's requests that a version gets now, 0 to 1: that of a version without a healthy \
                   address goes to the others.",
            kind: Kind::Gauge,
            series: health.effective.into_iter().map(|w| names(w.service, w.version).number(w.share)).collect(),
        },
        Family {
            name: "serin_upstream_address_up",
            help: "Whether an address is in use (1), or ejected or unhealthy (0).",
            kind: Kind::Gauge,
            series: health
                .addresses
                .into_iter()
                .map(|a| names(a.service, a.version).with("address", a.address).count(u64::from(a.up)))
                .collect(),
        },
        Family {
            name: "serin_upstream_ejections_total",
            help: "Addresses taken out of use, by why.",
            kind: Kind::Counter,
            series: health
                .ejections
                .into_iter()
                .flat_map(|((service, version), counts)| {
                    let labels = names(service, version);
                    Ejection::ALL.map(|why| labels.clone().with("reason", why.label()).count(counts[why as usize]))
                })
                .collect(),
        },
        Family {
            name: "serin_health_checks_total",
            help: "Health checks of addresses, by how they were answered.",
            kind: Kind::Counter,
            series: health
                .checks
                .into_iter()
                .flat_map(|((service, version), counts)| {
                    let labels = names(service, version);
                    CheckResult::ALL.map(|r| labels.clone().with("result", r.label()).count(counts[r as usize]))
                })
                .collect(),
        },
    ]
}
