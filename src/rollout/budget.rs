//! How fast a service uses up its error budget.
//!
//! The multi-window burn rate of Google's SRE workbook, chapter 5, "Alerting on SLOs": the share of failures over the
//! share that the objective allows, over a long window and over a twelfth of it. The long one says that it matters, the
//! short one that it is still so; only both together count.

use std::collections::VecDeque;
use std::time::Duration;

use crate::plan::ErrorBudget;

/// How many samples cover the long window: a twelfth of it is ten of them.
const SAMPLES: u32 = 120;

/// The service's requests over the last window, as sums at points in time.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    samples: VecDeque<Sample>,
    latest: Option<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    requests: u64,
    failures: u64,
}

/// How many times as fast as allowed the budget is used up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    /// Over the long window, or as much of it as is known.
    pub long: f64,
    /// Over a twelfth of it.
    pub short: f64,
    /// Requests of the long window.
    pub requests: u64,
}

impl Budget {
    /// Notes the sums of all requests and failures at a time that never goes back.
    pub fn note(&mut self, budget: &ErrorBudget, at: Duration, requests: u64, failures: u64) {
        let sample = Sample { at, requests, failures };
        self.latest = Some(sample);
        let due = |last: &Sample| at.saturating_sub(last.at) >= budget.window / SAMPLES;
        if self.samples.back().is_none_or(due) {
            self.samples.push_back(sample);
        }
        // The newest one that is older than the window is where it begins.
        while self.samples.get(1).is_some_and(|second| at.saturating_sub(second.at) >= budget.window) {
            self.samples.pop_front();
        }
    }

    /// The burn rates now; `None` before there are two samples.
    #[must_use]
    pub fn burn(&self, budget: &ErrorBudget) -> Option<Burn> {
        let (now, first) = (self.latest?, *self.samples.front()?);
        let short_begin = now.at.saturating_sub(budget.window / 12);
        let short = self.samples.iter().rev().find(|sample| sample.at <= short_begin).copied().unwrap_or(first);
        let allowed = 1.0 - budget.objective;
        let rate = |since: Sample| {
            let requests = now.requests.saturating_sub(since.requests);
            let failures = now.failures.saturating_sub(since.failures).min(requests);
            (failures as f64 / requests.max(1) as f64 / allowed, requests)
        };
        let (long, requests) = rate(first);
        Some(Burn { long, short: rate(short).0, requests })
    }

    /// Says so where the budget is used up too fast in both windows, and `min_requests` or more were asked.
    #[must_use]
    pub fn burning(&self, budget: &ErrorBudget, min_requests: u32) -> Option<String> {
        let burn = self.burn(budget)?;
        let too_fast = burn.long > budget.max_burn_rate && burn.short > budget.max_burn_rate;
        (too_fast && burn.requests >= u64::from(min_requests)).then(|| {
            format!(
                "the service uses up its error budget {:.1} times too fast over {:?} and {:.1} times over the last {:?}; {} \
                 is allowed",
                burn.long,
                budget.window,
                burn.short,
                budget.window / 12,
                budget.max_burn_rate
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: ErrorBudget = ErrorBudget { objective: 0.999, window: Duration::from_hours(1), max_burn_rate: 4.0 };

    /// A request each second; those of `fails` fail.
    fn after(seconds: u64, fails: impl Fn(u64) -> bool) -> Budget {
        let (mut budget, mut failures) = (Budget::default(), 0);
        for second in 0..=seconds {
            failures += u64::from(fails(second));
            budget.note(&BUDGET, Duration::from_secs(second), second, failures);
        }
        budget
    }

    #[test]
    fn a_steady_rate_of_failures_burns_by_its_ratio_to_what_is_allowed() {
        let burn = after(7_200, |second| second % 100 == 99).burn(&BUDGET).unwrap();
        assert!((burn.long - 10.0).abs() < 0.3 && (burn.short - 10.0).abs() < 1.0, "{burn:?}");
        assert!((3_600..3_700).contains(&burn.requests), "{burn:?}");
    }

    #[test]
    fn what_is_over_counts_in_the_long_window_only_and_so_not_at_all() {
        let budget = after(3_600, |second| (1_000..1_100).contains(&second));
        let burn = budget.burn(&BUDGET).unwrap();
        assert!(burn.long > 20.0 && burn.short < 1e-9, "{burn:?}");
        assert_eq!(budget.burning(&BUDGET, 1), None);
    }

    #[test]
    fn a_short_burst_counts_once_it_matters_in_the_long_window() {
        let since = |begin: u64| move |second: u64| second >= begin;
        assert_eq!(after(3_600, since(3_590)).burning(&BUDGET, 1), None, "10 of 3,600 are less than 4 times 0.1 %");
        let said = after(3_600, since(3_580)).burning(&BUDGET, 1).unwrap();
        assert!(said.contains("times too fast"), "{said}");
        assert_eq!(after(3_600, since(3_580)).burning(&BUDGET, 10_000), None, "too few requests");
    }

    #[test]
    fn no_more_is_kept_than_the_window_needs() {
        let budget = after(100_000, |_| false);
        assert!(budget.samples.len() <= SAMPLES as usize + 2, "{}", budget.samples.len());
        assert_eq!(Budget::default().burn(&BUDGET), None);
    }
}
