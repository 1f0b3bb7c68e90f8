//! The judge's promises, by simulation, and `serin judge`.

mod command;
#[allow(unreachable_pub, reason = "a bench uses it, too")]
mod simulation;

use serin::judge::Outcome;
use simulation::{Shape, Version, alarms, gates, median, until};

fn version(shape: Shape, failure_rate: f64) -> Version {
    Version { shape, failure_rate }
}

/// Requests to new until "regressed" in this metric, the median of so many runs; slower than never where it is never said.
fn found(metric: &str, old: &Version, new: &Version, gates: &serin::judge::Gates, every: u64, most: u64) -> u64 {
    median(&until((Outcome::Regressed, Some(metric)), (old, new), gates, (every, most), 0..15)).unwrap_or(u64::MAX)
}

/// The full table is made by `cargo bench --bench judge`: 1,000 runs of 1,000,000 requests.
#[test]
fn two_versions_that_are_the_same_are_hardly_ever_told_apart_however_often_one_looks() {
    for (shape, rate) in [(Shape::log_normal(), 0.0), (Shape::bimodal(), 0.001), (Shape::heavy_tail(), 0.05)] {
        let alarms = alarms(&version(shape, rate), 20_000, 0..30);
        assert!(alarms.judge <= 1, "{alarms:?}");
    }
}

#[test]
fn looking_often_is_what_misleads_a_test_made_for_one_look() {
    let alarms = alarms(&version(Shape::log_normal(), 0.0), 20_000, 0..30);
    assert!(alarms.mann_whitney >= 4, "{alarms:?}");
}

#[test]
fn ten_times_the_failures_are_found_within_two_thousand_requests() {
    let [old, new] = [0.001, 0.01].map(|rate| version(Shape::log_normal(), rate));
    let found = found("failures", &old, &new, &gates(0.001, 1.1), 100, 4000);
    assert!(found <= 2000, "{found}");
}

#[test]
fn five_times_the_failures_are_found_within_ten_thousand_requests() {
    let [old, new] = [0.001, 0.005].map(|rate| version(Shape::log_normal(), rate));
    let found = found("failures", &old, &new, &gates(0.001, 1.1), 500, 20_000);
    assert!(found <= 10_000, "{found}");
}

#[test]
fn a_slower_median_is_found_within_a_thousand_requests() {
    let old = version(Shape::log_normal(), 0.0);
    let new = version(Shape::log_normal().times(1.2), 0.0);
    let found = found("p50", &old, &new, &gates(0.001, 1.05), 50, 2000);
    assert!(found <= 1000, "{found}");
}

#[test]
fn a_slower_tail_is_found_within_two_thousand_requests() {
    let old = version(Shape::log_normal(), 0.0);
    let new = version(Shape::log_normal().times(1.5), 0.0);
    let found = found("p99", &old, &new, &gates(0.001, 1.1), 50, 4000);
    assert!(found <= 2000, "{found}");
}

#[test]
fn three_of_a_hundred_requests_slower_are_found_within_ten_thousand() {
    let old = version(Shape::log_normal(), 0.0);
    let new = version(Shape::log_normal().one_in(33, 3.0), 0.0);
    let found = found("p99", &old, &new, &gates(0.001, 1.1), 500, 20_000);
    assert!(found <= 10_000, "{found}");
}
