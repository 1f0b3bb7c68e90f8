//! What the new version turns out to be like, and which weights it is given when.

use std::time::Duration;

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

/// A part of the script: the new version's weight (the old one has the rest to 100) and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) weight: u32,
    pub(super) lasts: Duration,
}

/// The weight from which on the new version is under "more load".
const LOADED_FROM: u32 = 25;

const OLD: Profile = Profile { median: 0.012, spread: 0.35, tail_share: 0.004, tail_factor: 5.0, failure_share: 0.001 };
const GOOD: Profile = Profile { median: 0.0105, spread: 0.33, ..OLD };
const REGRESSED: Profile = Profile { tail_share: 0.05, ..GOOD };
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
            Self::Good => "new is a bit faster than old; it gets all traffic in steps.",
            Self::Regression => "from 25 % on, new's slowest requests take 3 times as long.",
            Self::Errors => "from 25 % on, new fails one request in five.",
        }
    }

    /// The steps, `total` long together. A bad version is not widened any further; its weight goes back to 0.
    pub(super) fn steps(self, total: Duration) -> Vec<Step> {
        let parts: &[(u32, u32)] = match self {
            Self::Good => &[(5, 1), (25, 1), (50, 1), (100, 1)],
            Self::Regression | Self::Errors => &[(5, 1), (25, 2), (0, 1)],
        };
        let sum: u32 = parts.iter().map(|(_, part)| part).sum();
        parts.iter().map(|&(weight, part)| Step { weight, lasts: total * part / sum }).collect()
    }

    /// How the old version behaves.
    pub(super) fn old() -> Profile {
        OLD
    }

    /// How the new version behaves at a weight.
    pub(super) fn new_at(self, weight: u32) -> Profile {
        match self {
            Self::Regression if weight >= LOADED_FROM => REGRESSED,
            Self::Errors if weight >= LOADED_FROM => FAILING,
            _ => GOOD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Scenario; 3] = [Scenario::Good, Scenario::Regression, Scenario::Errors];

    #[test]
    fn a_good_version_is_widened_to_everything_and_a_bad_one_goes_back_to_nothing() {
        let weights = |scenario: Scenario| -> Vec<u32> {
            scenario.steps(Duration::from_mins(1)).iter().map(|step| step.weight).collect()
        };
        assert_eq!(weights(Scenario::Good), [5, 25, 50, 100]);
        assert_eq!(weights(Scenario::Regression), [5, 25, 0]);
        assert_eq!(weights(Scenario::Errors), [5, 25, 0]);
    }

    #[test]
    fn the_steps_take_as_long_as_asked_for() {
        for scenario in ALL {
            for seconds in [3, 60, 3600] {
                let total: Duration = scenario.steps(Duration::from_secs(seconds)).iter().map(|step| step.lasts).sum();
                assert_eq!(total, Duration::from_secs(seconds), "{}", scenario.name());
            }
        }
    }

    #[test]
    fn every_new_version_looks_well_at_a_small_weight() {
        for scenario in ALL {
            assert_eq!(scenario.new_at(5), GOOD, "{}", scenario.name());
        }
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
