//! After a version was withdrawn: whether the service is as it was before.

use crate::plan::RolloutPlan;
use crate::stats::Snapshot;

/// Figures of requests over some time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Range {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// How long they took.
    pub durations: Snapshot,
}

/// What is seen after the version was withdrawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Aftermath {
    /// Requests that its weight or keys brought to it since.
    pub picks: u64,
    /// Requests that it still works on.
    pub in_flight: u64,
    /// Whether failures and latency are back within the earlier range. `None`: too few requests to say.
    pub back: Option<bool>,
    /// The figures, as a person would say them.
    pub sentence: String,
}

/// Requests after which something can be said.
const ENOUGH: u64 = 100;

impl Aftermath {
    /// Whether all is as it was before.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.picks == 0 && self.in_flight == 0 && self.back == Some(true)
    }

    /// What is seen: `earlier` is `from` before, `since` the whole service now. The earlier range is what was, and what the
    /// plan's gates allow on top of it.
    #[must_use]
    pub fn new(plan: &RolloutPlan, picks: u64, in_flight: u64, earlier: &Range, since: &Range) -> Self {
        let rate = |range: &Range| range.failures as f64 / range.requests.max(1) as f64;
        let p99 = |range: &Range| range.durations.quantile(0.99);
        let gate = plan.gates.latency.iter().max_by(|one, other| one.quantile.total_cmp(&other.quantile));
        let (ratio, slack) = gate.map_or((1.2, 0.01), |gate| (gate.max_ratio, gate.slack.as_secs_f64()));
        let most_failures = rate(earlier) + plan.gates.max_failure_increase;
        let most_p99 = p99(earlier).map(|p99| p99.high * ratio + slack);
        let failures_back = rate(since) <= most_failures;
        // Where nothing is known of before, nothing can be said against it.
        let p99_back = most_p99.is_none_or(|most| p99(since).is_none_or(|p99| p99.low <= most));
        let back = (since.requests >= ENOUGH).then_some(failures_back && p99_back);
        let milliseconds = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |s| format!("{:.1} ms", s * 1e3));
        let sentence = format!(
            "{picks} picks since, {in_flight} in flight; of {} requests since {:.2}% failed (at most {:.2}% by the earlier \
             range), p99 {} (at most {})",
            since.requests,
            rate(since) * 100.0,
            most_failures * 100.0,
            milliseconds(p99(since).map(|p99| p99.value)),
            milliseconds(most_p99),
        );
        Self { picks, in_flight, back, sentence }
    }
}
