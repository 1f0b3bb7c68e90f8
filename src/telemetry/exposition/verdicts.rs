//! The metrics of verdicts.

use std::sync::Arc;

use super::family::{Family, Kind, Labels, Series};
use crate::telemetry::VerdictFigure;

pub(super) fn families(verdicts: &[VerdictFigure]) -> [Family; 2] {
    [
        Family {
            name: "serin_verdict",
            help: "What the judge says of a service's new version: 1 for its verdict, 0 for all others.",
            kind: Kind::Gauge,
            series: verdicts.iter().filter(|figure| figure.flag.is_none()).flat_map(series).collect(),
        },
        Family {
            name: "serin_variant_verdict",
            help: "What the judge says of a variant of the flag that a service is measured by: 1 for its verdict, 0 for all \
                   others.",
            kind: Kind::Gauge,
            series: verdicts.iter().filter(|figure| figure.flag.is_some()).flat_map(series).collect(),
        },
    ]
}

/// One for every word, so that a series does not vanish when the verdict changes.
fn series(figure: &VerdictFigure) -> impl Iterator<Item = Series> + '_ {
    figure.words.iter().map(|word| {
        let labels = Labels::one("service", Arc::clone(&figure.service));
        let labels = match &figure.flag {
            Some(flag) => labels.with("flag", Arc::clone(flag)).with("variant", Arc::clone(&figure.of)),
            None => labels.with("version", Arc::clone(&figure.of)),
        };
        labels.with("verdict", *word).count(u64::from(figure.verdict == *word))
    })
}
