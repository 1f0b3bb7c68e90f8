//! How much worse a new version may be.

use std::time::Duration;

use crate::stats::Alpha;

/// What a new version is measured by, and how much worse than the old one it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Gates {
    max_increase: Option<f64>,
    latency: Vec<LatencyGate>,
    alpha: Alpha,
}

/// How much slower a quantile may be: at most `max_ratio` times the old one's plus `slack`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyGate {
    quantile: f64,
    max_ratio: f64,
    slack: Duration,
}

/// Why something is no gate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GateError {
    /// The order of a quantile is out of bounds.
    #[error("{0} is no quantile to compare: expected a number from 0.001 to 0.9999")]
    Quantile(f64),
    /// A ratio is out of bounds.
    #[error("{0} is no ratio: expected a number from 1 to 100")]
    Ratio(f64),
    /// A slack is too long.
    #[error("a slack of {0:?} is too long: expected at most 1h")]
    Slack(Duration),
    /// An increase of failures is out of bounds.
    #[error("{0} is no increase of the failure rate: expected a number from 0 to 1")]
    Increase(f64),
    /// A quantile has two gates.
    #[error("quantile {0} has more than one gate")]
    Twice(f64),
    /// There is nothing to measure by.
    #[error("there is no gate: nothing to compare")]
    None,
    /// There are more gates than are taken.
    #[error("{0} latency gates are too many: expected at most {max}", max = Gates::MAX_LATENCY)]
    TooMany(usize),
}

impl Gates {
    /// Most gates for latency.
    pub const MAX_LATENCY: usize = 16;

    /// Gates that together are wrong with probability `alpha` at most. `max_increase`: by how much the failure rate may
    /// be higher, absolute, from 0 to 1; none: failures are not compared.
    ///
    /// # Errors
    /// If the increase is out of bounds, a quantile has two gates, or there is no gate or too many.
    pub fn new(max_increase: Option<f64>, latency: Vec<LatencyGate>, alpha: Alpha) -> Result<Self, GateError> {
        if let Some(increase) = max_increase.filter(|increase| !(0.0..=1.0).contains(increase)) {
            return Err(GateError::Increase(increase));
        }
        if latency.len() > Self::MAX_LATENCY {
            return Err(GateError::TooMany(latency.len()));
        }
        if max_increase.is_none() && latency.is_empty() {
            return Err(GateError::None);
        }
        for (index, gate) in latency.iter().enumerate() {
            let same = |other: &LatencyGate| other.quantile.total_cmp(&gate.quantile).is_eq();
            if latency[..index].iter().any(same) {
                return Err(GateError::Twice(gate.quantile));
            }
        }
        Ok(Self { max_increase, latency, alpha })
    }

    /// By how much the failure rate may be higher, absolute.
    #[must_use]
    pub fn max_increase(&self) -> Option<f64> {
        self.max_increase
    }

    /// How much slower which quantiles may be.
    #[must_use]
    pub fn latency(&self) -> &[LatencyGate] {
        &self.latency
    }

    /// How often the whole verdict may be wrong.
    #[must_use]
    pub fn alpha(&self) -> Alpha {
        self.alpha
    }

    /// The same gates for each of `comparisons` verdicts that together are wrong as often as one by these.
    #[must_use]
    pub fn among(self, comparisons: usize) -> Self {
        Self { alpha: self.alpha.split(comparisons), ..self }
    }

    /// How many metrics are compared; at least 1.
    #[must_use]
    pub fn metrics(&self) -> usize {
        usize::from(self.max_increase.is_some()) + self.latency.len()
    }
}

impl Default for Gates {
    /// Failures may increase by 0.2 points of a hundred, the median by a tenth and 2 ms, p99 by a fifth and 10 ms; wrong
    /// one time in twenty.
    fn default() -> Self {
        let gate =
            |quantile, max_ratio, slack| LatencyGate { quantile, max_ratio, slack: Duration::from_millis(slack) };
        Self { max_increase: Some(0.002), latency: vec![gate(0.5, 1.1, 2), gate(0.99, 1.2, 10)], alpha: Alpha::DEFAULT }
    }
}

impl LatencyGate {
    /// A gate for one quantile.
    ///
    /// # Errors
    /// If `quantile` is not from 0.001 to 0.9999, `max_ratio` not from 1 to 100, or `slack` longer than an hour.
    pub fn new(quantile: f64, max_ratio: f64, slack: Duration) -> Result<Self, GateError> {
        if !(0.001..=0.9999).contains(&quantile) {
            return Err(GateError::Quantile(quantile));
        }
        if !(1.0..=100.0).contains(&max_ratio) {
            return Err(GateError::Ratio(max_ratio));
        }
        if slack > Duration::from_hours(1) {
            return Err(GateError::Slack(slack));
        }
        Ok(Self { quantile, max_ratio, slack })
    }

    /// The order of the quantile: 0.99 for p99.
    #[must_use]
    pub fn quantile(&self) -> f64 {
        self.quantile
    }

    /// How many times the old one's it may be.
    #[must_use]
    pub fn max_ratio(&self) -> f64 {
        self.max_ratio
    }

    /// What it may be longer on top of that.
    #[must_use]
    pub fn slack(&self) -> Duration {
        self.slack
    }

    /// How the metric is called: `p50`, `p99.9`.
    #[must_use]
    pub fn name(&self) -> String {
        // Two digits are all that the bounds on the order allow but one: 0.99999 is not taken.
        let percent = format!("{:.4}", self.quantile * 100.0);
        format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
    }

    /// The longest that is allowed where the old one's is `old`; in seconds.
    pub(super) fn most(&self, old: f64) -> f64 {
        old * self.max_ratio + self.slack.as_secs_f64()
    }
}
