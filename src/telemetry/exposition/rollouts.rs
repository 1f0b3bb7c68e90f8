//! The metrics of rollouts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::family::{Family, Kind, Labels};
use crate::telemetry::RolloutFigure;

pub(super) fn families(
    rollouts: &[RolloutFigure],
    decisions: &BTreeMap<(String, &'static str), u64>,
    drill_seconds: &BTreeMap<String, f64>,
) -> [Family; 4] {
    let service = |name: &Arc<str>| Labels::one("service", Arc::clone(name));
    [
        Family {
            name: "serin_rollout_state",
            help: "Where a service's rollout stands: 1 for its state, 0 for all others.",
            kind: Kind::Gauge,
            series: rollouts
                .iter()
                .flat_map(|rollout| {
                    let one =
                        |state| service(&rollout.service).with("state", state).count(u64::from(rollout.state == state));
                    // Every state, so that a series does not vanish when a rollout leaves it.
                    rollout.states.iter().copied().map(one)
                })
                .collect(),
        },
        Family {
            name: "serin_rollout_step",
            help: "The step that a service's rollout is at, from 1; 0 where it is at none.",
            kind: Kind::Gauge,
            series: rollouts
                .iter()
                .map(|rollout| service(&rollout.service).count(rollout.step.unwrap_or(0) as u64))
                .collect(),
        },
        Family {
            name: "serin_rollout_decisions_total",
            help: "What was decided in rollouts, by people and by serin.",
            kind: Kind::Counter,
            series: decisions
                .iter()
                .map(|((name, decision), count)| {
                    Labels::one("service", name.as_str()).with("decision", *decision).count(*count)
                })
                .collect(),
        },
        Family {
            name: "serin_drill_rollback_seconds",
            help: "Seconds from the begin of a service's last rollback drill that was noticed until all went back.",
            kind: Kind::Gauge,
            series: drill_seconds
                .iter()
                .map(|(name, seconds)| Labels::one("service", name.as_str()).number(*seconds))
                .collect(),
        },
    ]
}
