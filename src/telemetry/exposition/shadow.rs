//! The metrics of copies of requests, and of comparing their answers.

use std::sync::Arc;

use super::family::{Family, Kind, Labels, Series};
use crate::diff::Verdict;
use crate::telemetry::{DiffDrop, DiffFigures, ShadowResult, ShadowSnapshot};

pub(super) fn families(shadows: &[ShadowSnapshot], diffs: &DiffFigures) -> Vec<Family> {
    let mut families = Vec::from(of_copies(shadows));
    families.extend(of_diffs(shadows, diffs));
    families
}

fn of_copies(shadows: &[ShadowSnapshot]) -> [Family; 4] {
    [
        Family {
            name: "serin_shadow_total",
            help: "Copies of requests for a version, by what became of them.",
            kind: Kind::Counter,
            series: shadows
                .iter()
                .flat_map(|s| {
                    let each =
                        |what: ShadowResult| names(s).with("result", what.label()).count(s.results[what as usize]);
                    ShadowResult::ALL.map(each)
                })
                .collect(),
        },
        Family {
            name: "serin_shadow_duration_seconds",
            help: "From when a copy of a request was sent to the last byte of its answer.",
            kind: Kind::Histogram,
            series: shadows
                .iter()
                .flat_map(|s| s.arm.outcomes.iter().map(move |(outcome, durations)| (s, outcome, durations)))
                .map(|(s, outcome, durations)| names(s).with("code", outcome.label()).durations(durations.clone()))
                .collect(),
        },
        Family {
            name: "serin_shadow_paired_duration_seconds",
            help: "The requests whose copies are measured, as their clients were answered: from when all of one was sent on.",
            kind: Kind::Histogram,
            series: shadows
                .iter()
                .flat_map(|s| s.paired.outcomes.iter().map(move |(outcome, durations)| (s, outcome, durations)))
                .map(|(s, outcome, durations)| names(s).with("code", outcome.label()).durations(durations.clone()))
                .collect(),
        },
        Family {
            name: "serin_shadow_in_flight",
            help: "Copies of requests in flight, or waiting for the request's body.",
            kind: Kind::Gauge,
            series: shadows.iter().map(|s| names(s).count(s.in_flight)).collect(),
        },
    ]
}

fn of_diffs(shadows: &[ShadowSnapshot], diffs: &DiffFigures) -> [Family; 4] {
    let counts = diffs.read();
    let verdicts = |of: fn(&crate::telemetry::DiffCounts) -> [u64; Verdict::ALL.len()], known: &[Verdict]| {
        let mut series: Vec<Series> = Vec::new();
        for (route, found) in &counts {
            let each =
                |verdict: &Verdict| labels(route).with("verdict", verdict.label()).count(of(found)[*verdict as usize]);
            series.extend(known.iter().map(each));
        }
        series
    };
    [
        Family {
            name: "serin_diff_total",
            help: "Pairs of answers of old and new compared, by the verdict on the worst place in which they differed.",
            kind: Kind::Counter,
            series: verdicts(|found| found.pairs, &Verdict::ALL),
        },
        Family {
            name: "serin_diff_noise_total",
            help: "Pairs of answers of the old version alone compared, to know what is noise.",
            kind: Kind::Counter,
            series: counts.iter().map(|(route, found)| labels(route).count(found.noise_pairs)).collect(),
        },
        Family {
            name: "serin_diff_places",
            help: "Places in which answers of old and new have differed, by what is to be made of them.",
            kind: Kind::Gauge,
            // Of places without a difference nothing is known.
            series: verdicts(|found| found.places, &Verdict::ALL[..3]),
        },
        Family {
            name: "serin_diff_dropped_total",
            help: "Answers not compared that were to be, by why.",
            kind: Kind::Counter,
            series: shadows
                .iter()
                .filter(|s| s.diff_drops.iter().any(|count| *count > 0))
                .flat_map(|s| {
                    let service = Labels::one("service", Arc::clone(&s.arm.service));
                    DiffDrop::ALL
                        .map(|why| service.clone().with("reason", why.label()).count(s.diff_drops[why as usize]))
                })
                .collect(),
        },
    ]
}

fn names(s: &ShadowSnapshot) -> Labels {
    Labels::one("service", Arc::clone(&s.arm.service)).with("version", Arc::clone(&s.arm.version))
}

fn labels((service, route): &(Arc<str>, Arc<str>)) -> Labels {
    Labels::one("service", Arc::clone(service)).with("route", Arc::clone(route))
}
