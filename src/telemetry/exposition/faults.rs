//! The metrics of faults put in for drills.

use std::sync::Arc;

use super::family::{Family, Kind, Labels, unix_seconds};
use crate::telemetry::{FaultEnd, FaultKind, FaultSnapshot};

pub(super) fn families(faults: &[FaultSnapshot], ends: &[FaultEnd]) -> [Family; 4] {
    let each = |value: fn(Labels, &FaultSnapshot) -> super::family::Series| {
        faults.iter().map(|f| value(labels(&f.service, &f.version, &f.fault), f)).collect()
    };
    [
        Family {
            name: "serin_faults_injected_total",
            help: "Effects of drills that requests have met.",
            kind: Kind::Counter,
            series: faults
                .iter()
                .flat_map(|f| {
                    let labels = labels(&f.service, &f.version, &f.fault);
                    FaultKind::ALL
                        .map(|kind| labels.clone().with("kind", kind.label()).count(f.injected[kind as usize]))
                })
                .collect(),
        },
        Family {
            name: "serin_faults_active",
            help: "Requests under a fault of a drill.",
            kind: Kind::Gauge,
            series: each(|labels, f| labels.count(f.active)),
        },
        Family {
            name: "serin_faults_capped_total",
            help: "Requests that a fault left alone because as many as allowed were under it.",
            kind: Kind::Counter,
            series: each(|labels, f| labels.count(f.capped)),
        },
        Family {
            name: "serin_fault_end_timestamp_seconds",
            help: "When a fault of a drill in force stops by itself; absent where there is no drill.",
            kind: Kind::Gauge,
            series: ends
                .iter()
                .map(|end| labels(&end.service, &end.version, &end.fault).number(unix_seconds(end.until)))
                .collect(),
        },
    ]
}

fn labels(service: &Arc<str>, version: &Arc<str>, fault: &Arc<str>) -> Labels {
    Labels::one("service", Arc::clone(service)).with("version", Arc::clone(version)).with("fault", Arc::clone(fault))
}
