//! What the new version turns out to be like, and the plan by which it is rolled out.

use std::time::Duration;

use super::traffic::RATE;
use super::upstream::Profile;

/// How the new version behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A bit faster than the old one.
    Good,
    /// Under more load its slowest requests take three times as long, while the median hardly moves.
    Regression,
    /// Under more load one request in five fails.
    Errors,
}

/// The rollout of a demo, and when it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    /// How long old is alone before.
    pub(super) lead: Duration,
    pub(super) steps: [Step; 4],
    /// Requests that new must have answered in a step.
    pub(super) min_requests: u32,
}

/// A step of the rollout: new's weight in percent (old has the rest) and for how long at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) weight: u32,
    pub(super) bake: Duration,
}

/// The new version's weights.
const WEIGHTS: [u32; 4] = [5, 25, 50, 100];
/// The weight from which on the new version is under "more load".
const LOADED_FROM: u32 = 25;
/// How much later than its bake time a step may end: control looks four times a second.
const LATE: Duration = Duration::from_millis(350);
/// Shortest bake time.
const SHORTEST: Duration = Duration::from_millis(100);
/// Longest time without new, and at the first step of a version that will turn bad: long runs are for what follows.
const LONGEST_LEAD: Duration = Duration::from_secs(6);
const LONGEST_FIRST: Duration = Duration::from_secs(20);

const OLD: Profile = Profile { median: 0.03, spread: 0.35, tail_share: 0.002, tail_factor: 3.9, failure_share: 0.001 };
const GOOD: Profile = Profile { median: 0.026, spread: 0.33, ..OLD };
const REGRESSED: Profile = Profile { tail_share: 0.15, ..GOOD };
const FAILING: Profile = Profile { failure_share: 0.2, ..GOOD };

impl Scenario {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Regression => "regression",
            Self::Errors => "errors",
        }
    }

    /// What is about to happen, in a sentence.
    pub(super) fn story(self) -> &'static str {
        match self {
            Self::Good => "new is a bit faster than old; a rollout gives it all traffic in steps.",
            Self::Regression => {
                "a rollout widens new in steps; from 25 % on its slowest requests take 3 times as long."
            }
            Self::Errors => "a rollout widens new in steps; from 25 % on it fails one request in five.",
        }
    }

    /// The rollout for a demo that lasts `total`. A good version has come to its end by then; of a bad one nothing but
    /// the first step has a time, so that it is there when it turns bad.
    pub(super) fn script(self, total: Duration) -> Script {
        let lead = (total / 10).min(LONGEST_LEAD);
        let first = match self {
            Self::Good => (total.saturating_sub(lead) / 4).saturating_sub(LATE).max(SHORTEST),
            // A slower tail shows only after some hundred requests: most of the time is for those.
            Self::Regression | Self::Errors => (total / 6).min(LONGEST_FIRST).max(SHORTEST),
        };
        let later = if self == Self::Good { first } else { total };
        let bake = |index| if index == 0 { first } else { later };
        let steps = std::array::from_fn(|index| Step { weight: WEIGHTS[index], bake: bake(index) });
        // Half of what the first step is likely to see.
        let min_requests = RATE * f64::from(WEIGHTS[0]) / 100.0 * first.as_secs_f64() / 2.0;
        Script { lead, steps, min_requests: (min_requests as u32).max(1) }
    }

    /// How the old version behaves.
    pub(super) fn old() -> Profile {
        OLD
    }

    /// How the new version behaves before it has been under more load.
    pub(super) fn new_at_first() -> Profile {
        GOOD
    }

    /// How the new version behaves from a weight on. `None`: as before.
    pub(super) fn turns_bad_at(self, weight: u32) -> Option<Profile> {
        match self {
            Self::Regression if weight >= LOADED_FROM => Some(REGRESSED),
            Self::Errors if weight >= LOADED_FROM => Some(FAILING),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Scenario; 3] = [Scenario::Good, Scenario::Regression, Scenario::Errors];

    #[test]
    fn a_good_version_has_time_for_all_its_steps_and_a_bad_one_for_turning_bad() {
        for seconds in [3, 10, 60, 3600] {
            let total = Duration::from_secs(seconds);
            for scenario in ALL {
                let Script { lead, steps, min_requests } = scenario.script(total);
                assert_eq!(steps.map(|step| step.weight), [5, 25, 50, 100]);
                let needed = match scenario {
                    Scenario::Good => steps.iter().map(|step| step.bake + LATE).sum::<Duration>(),
                    _ => steps[0].bake + LATE,
                };
                assert!(lead + needed <= total, "{} in {seconds} s", scenario.name());
                let likely = RATE * 0.05 * steps[0].bake.as_secs_f64();
                assert!(min_requests >= 1 && f64::from(min_requests) <= likely / 2.0, "{min_requests} of {likely}");
            }
        }
        assert_eq!(Scenario::Good.script(Duration::from_millis(1)).steps[3].bake, SHORTEST, "no time is still some");
    }

    #[test]
    fn every_new_version_looks_well_at_a_small_weight() {
        for scenario in ALL {
            assert_eq!(scenario.turns_bad_at(5), None, "{}", scenario.name());
        }
        assert_eq!(ALL.map(|scenario| scenario.turns_bad_at(25).is_some()), [false, true, true]);
    }

    #[test]
    fn a_regression_triples_the_99th_percentile_and_leaves_the_median() {
        let quantile = |profile: Profile, q: f64| {
            let mut rng = fastrand::Rng::with_seed(7);
            let mut sampled: Vec<f64> = (0..100_000).map(|_| profile.next(&mut rng).after.as_secs_f64()).collect();
            sampled.sort_by(f64::total_cmp);
            sampled[(q * 100_000.0) as usize]
        };
        let worse = quantile(REGRESSED, 0.99) / quantile(GOOD, 0.99);
        assert!((2.5..3.5).contains(&worse), "{worse}");
        let median = quantile(REGRESSED, 0.5) / quantile(GOOD, 0.5);
        assert!((0.95..1.1).contains(&median), "{median}");
        assert!(quantile(GOOD, 0.99) < quantile(OLD, 0.99));
        assert!(quantile(GOOD, 0.5) < quantile(OLD, 0.5));
    }
}
