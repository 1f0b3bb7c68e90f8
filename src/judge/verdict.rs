//! What the judge says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the evidence allows to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// New is worse than allowed.
    Regressed,
    /// New is shown to be within what is allowed.
    Healthy,
    /// Not enough evidence. Never a pass.
    Inconclusive,
}

impl Outcome {
    /// How it is written everywhere.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Healthy => "healthy",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// How new compares with old.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// `regressed` if one metric is, `healthy` if all are.
    pub verdict: Outcome,
    /// Why, in words.
    pub reason: String,
    /// In the order of the gates, failures first.
    pub metrics: Vec<MetricVerdict>,
}

/// How new compares with old in one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricVerdict {
    /// `failures`, the quantile of the latency (`p50`, `p99`, `p99.9`), or `diff`: in a rollout, how answers differ.
    pub metric: String,
    /// What can be said of it.
    pub verdict: Outcome,
    /// The old version's.
    pub old: Estimate,
    /// The new version's.
    pub new: Estimate,
    /// What estimates are counted in.
    pub unit: Unit,
    /// How much worse new may be.
    pub allowed: Allowed,
    /// The verdict in words.
    pub sentence: String,
    /// What could be true all the same, in words: "p99 of new is between 0.94 and 1.17 of old's".
    pub could_hide: String,
    /// About how many more requests new needs for a verdict, if old goes on as well and both stay as they look; absent
    /// where there is a verdict already, or too little to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_requests: Option<u64>,
}

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// A share of the requests, 0 to 1.
    Share,
    /// Seconds.
    Seconds,
}

/// What is known of one version's metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The likeliest value; nothing where there were no requests.
    pub estimate: Option<f64>,
    /// The true value is this or more.
    pub low: f64,
    /// The true value is this or less; nothing where no bound is known yet.
    pub high: Option<f64>,
    /// How many requests this is from; for latency, those in flight among them.
    pub n: u64,
}

/// How much worse new may be: at most `ratio` times the old one's plus `slack`, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Allowed {
    /// How many times the old one's.
    pub ratio: f64,
    /// What comes on top.
    pub slack: f64,
}

impl Verdict {
    /// The verdict over all metrics.
    pub(super) fn over(metrics: Vec<MetricVerdict>) -> Self {
        let any = |outcome| metrics.iter().any(|metric| metric.verdict == outcome);
        let verdict = if any(Outcome::Regressed) {
            Outcome::Regressed
        } else if metrics.is_empty() || any(Outcome::Inconclusive) {
            Outcome::Inconclusive
        } else {
            Outcome::Healthy
        };
        let saying = metrics.iter().filter(|metric| metric.verdict == verdict);
        let mut sentences: Vec<_> = saying.map(|metric| metric.sentence.as_str()).collect();
        // That there are no latencies yet is the same for each of their quantiles.
        sentences.dedup();
        let reason = sentences.join("; ");
        Self { verdict, reason, metrics }
    }

    /// The same over one metric more.
    #[must_use]
    pub fn with(mut self, metric: MetricVerdict) -> Self {
        self.metrics.push(metric);
        Self::over(self.metrics)
    }

    /// What could be true all the same, in words, for all metrics.
    #[must_use]
    pub fn could_hide(&self) -> String {
        self.metrics.iter().map(|metric| metric.could_hide.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// About how many more requests new needs until every metric has a verdict; `None` where all have one, or where for
    /// one there is too little to tell.
    #[must_use]
    pub fn more_requests(&self) -> Option<u64> {
        let open = self.metrics.iter().filter(|metric| metric.verdict == Outcome::Inconclusive);
        open.map(|metric| metric.more_requests).collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}
