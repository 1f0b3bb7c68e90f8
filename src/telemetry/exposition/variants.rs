//! The metrics of requests by variant and in control arms, and of the tokens they show.

use std::sync::Arc;

use super::family::{Family, Kind, Labels};
use crate::telemetry::{ControlArmSnapshot, TokenResult, VariantSnapshot, WorkerSnapshot};

pub(super) fn families(
    variants: &[VariantSnapshot],
    control_arms: &[ControlArmSnapshot],
    workers: &[WorkerSnapshot],
) -> [Family; 3] {
    let tokens = TokenResult::ALL.map(|result| {
        let count: u64 = workers.iter().map(|worker| worker.tokens[result as usize]).sum();
        (result, count)
    });
    // Where no token was ever looked at, most likely none ever is.
    let any = tokens.iter().any(|(_, count)| *count > 0);
    [
        Family {
            name: "serin_variant_request_duration_seconds",
            help: "serin_request_duration_seconds by the variant of the flag that a service is measured by.",
            kind: Kind::Histogram,
            series: variants
                .iter()
                .flat_map(|v| v.figures.outcomes.iter().map(move |(outcome, durations)| (v, outcome, durations)))
                .map(|(v, outcome, durations)| {
                    let labels = Labels::one("service", Arc::clone(&v.service)).with("version", Arc::clone(&v.version));
                    let labels = labels.with("flag", Arc::clone(&v.flag)).with("variant", Arc::clone(&v.variant));
                    labels.with("code", outcome.label()).durations(durations.clone())
                })
                .collect(),
        },
        Family {
            name: "serin_control_arm_request_duration_seconds",
            help: "serin_request_duration_seconds of the requests of a version that a rollout compares its new version with.",
            kind: Kind::Histogram,
            series: control_arms
                .iter()
                .flat_map(|arm| arm.figures.outcomes.iter().map(move |(outcome, durations)| (arm, outcome, durations)))
                .map(|(arm, outcome, durations)| {
                    let labels = Labels::one("service", Arc::clone(&arm.service));
                    let labels = labels.with("version", Arc::clone(&arm.version)).with("code", outcome.label());
                    labels.durations(durations.clone())
                })
                .collect(),
        },
        Family {
            name: "serin_jwt_total",
            help: "Requests whose token was looked at because a flag's rule asked for a claim, by what came of it.",
            kind: Kind::Counter,
            series: tokens
                .into_iter()
                .filter(|_| any)
                .map(|(result, count)| Labels::one("result", result.label()).count(count))
                .collect(),
        },
    ]
}
