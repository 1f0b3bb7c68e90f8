use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::stats::{Alpha, Durations, Scale5, Snapshot};

fn counted(nanos: impl IntoIterator<Item = u64>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    nanos.into_iter().for_each(|nanos| snapshot.record_nanos(nanos));
    snapshot
}

/// `n` latencies spread evenly between 10 and 30 ms, times `factor`.
fn spread(n: u64, factor: f64) -> Snapshot {
    counted((0..n).map(|i| ((10e6 + 20e6 * i as f64 / n as f64) * factor) as u64))
}

fn metric<'a>(verdict: &'a Verdict, name: &str) -> &'a MetricVerdict {
    verdict.metrics.iter().find(|metric| metric.metric == name).unwrap()
}

/// Every number is one, every interval holds its estimate, and the whole goes through JSON and back.
fn assert_whole(verdict: &Verdict) {
    for metric in &verdict.metrics {
        for estimate in [metric.old, metric.new] {
            assert!(estimate.low.is_finite() && estimate.low >= 0.0, "{metric:?}");
            assert!(estimate.high.is_none_or(|high| high.is_finite() && high >= estimate.low), "{metric:?}");
            assert!(
                estimate
                    .estimate
                    .is_none_or(|value| { value >= estimate.low && estimate.high.is_none_or(|high| value <= high) }),
                "{metric:?}"
            );
        }
        let words = format!("{} {}", metric.sentence, metric.could_hide);
        assert!(!words.contains("NaN") && !words.contains("inf"), "{words}");
    }
    let json = serde_json::to_string(verdict).unwrap();
    let back: Verdict = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (back.verdict, &back.reason, back.metrics.len()),
        (verdict.verdict, &verdict.reason, verdict.metrics.len())
    );
}

/// Requests that failed among all, and their latencies.
fn arm() -> impl Strategy<Value = Arm> {
    let nanos = prop_oneof![(11u32..64, any::<u64>()).prop_map(|(s, f)| f >> s), Just(5_000_000u64), Just(0)];
    let few = vec(nanos, 0..40);
    (few, 0u64..9, 0u64..400, vec(any::<u32>(), 0..5), 0u64..5).prop_map(
        |(latencies, doublings, failures, ages, odd)| {
            let mut done = counted(latencies);
            (0..doublings).for_each(|_| done.merge(&done.clone()));
            let requests = done.count();
            let durations = Durations {
                done,
                waiting: counted(ages.iter().map(|age| u64::from(*age) * 16)),
                doubtful: odd,
                carried: counted(ages.iter().map(|age| u64::from(*age))),
                carried_done: odd,
                ..Durations::default()
            };
            Arm { requests, failures: failures.min(requests), durations }
        },
    )
}

#[test]
fn few_failures_are_not_healthy_beside_a_version_that_nobody_asked() {
    let new = Arm { requests: 7168, failures: 2, ..Arm::default() };
    let verdict = judge(&Arm::default(), &new, &Gates::default());
    assert_eq!(metric(&verdict, "failures").verdict, Outcome::Inconclusive);
    assert_eq!(verdict.reason.matches("old has no latencies yet").count(), 1, "{}", verdict.reason);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_figures_make_a_number_that_is_none(old in arm(), new in arm()) {
        assert_whole(&judge(&old, &new, &Gates::default()));
    }

    #[test]
    fn an_arm_without_requests_is_never_healthy(one in arm(), swapped in any::<bool>()) {
        let none = Arm::default();
        let (old, new) = if swapped { (&none, &one) } else { (&one, &none) };
        let verdict = judge(old, new, &Gates::default());
        prop_assert_eq!(verdict.verdict, Outcome::Inconclusive);
        prop_assert!(verdict.metrics.iter().all(|metric| metric.verdict != Outcome::Healthy));
    }

    #[test]
    fn more_failures_in_new_never_make_it_healthier(old in arm(), new in arm(), more in 1u64..200) {
        let worse = Arm { failures: (new.failures + more).min(new.requests), ..new.clone() };
        let rank = |new: &Arm| match metric(&judge(&old, new, &Gates::default()), "failures").verdict {
            Outcome::Healthy => 0,
            Outcome::Inconclusive => 1,
            Outcome::Regressed => 2,
        };
        prop_assert!(rank(&worse) >= rank(&new) || worse.failures == worse.requests);
    }

    #[test]
    fn requests_in_flight_never_make_new_healthier(old in arm(), new in arm(), ages in vec(any::<u32>(), 1..50)) {
        let mut hung = new.clone();
        hung.durations.waiting.merge(&counted(ages.iter().map(|age| u64::from(*age) * 64)));
        for (before, after) in
            judge(&old, &new, &Gates::default()).metrics.iter().zip(&judge(&old, &hung, &Gates::default()).metrics)
        {
            prop_assert!(after.verdict != Outcome::Healthy || before.verdict != Outcome::Inconclusive
                || after.metric == "failures" || new.durations.ranked().are_all_alike());
        }
    }

    #[test]
    fn the_order_in_which_figures_are_merged_changes_nothing(a in arm(), b in arm(), c in arm()) {
        let merged = |parts: [&Arm; 3]| parts.into_iter().fold(Arm::default(), |mut sum, arm| {
            sum.merge(arm);
            sum
        });
        prop_assert_eq!(merged([&a, &b, &c]), merged([&c, &a, &b]));
        let gates = Gates::default();
        prop_assert_eq!(judge(&merged([&a, &b, &c]), &a, &gates), judge(&merged([&b, &c, &a]), &a, &gates));
    }

    #[test]
    fn a_wider_gate_is_never_less_healthy(old in arm(), new in arm(), ratio in 1.0..3.0f64, wider in 1.0..2.0f64) {
        let outcome = |ratio: f64| {
            let gate = LatencyGate::new(0.9, ratio, std::time::Duration::ZERO).unwrap();
            judge(&old, &new, &Gates::new(None, vec![gate], Alpha::DEFAULT).unwrap()).verdict
        };
        let (narrow, wide) = (outcome(ratio), outcome(ratio * wider));
        prop_assert!(narrow != Outcome::Healthy || wide == Outcome::Healthy);
        prop_assert!(wide != Outcome::Regressed || narrow == Outcome::Regressed);
    }
}

#[test]
fn two_versions_alike_become_healthy_with_enough_requests() {
    let old = Arm::finished(10, spread(20_000, 1.0));
    let verdict = |n| judge(&old, &Arm::finished(n / 2000, spread(n, 1.0)), &Gates::default());
    assert_eq!(verdict(100).verdict, Outcome::Inconclusive);
    let enough = verdict(20_000);
    assert_eq!(enough.verdict, Outcome::Healthy, "{}", enough.reason);
    assert_whole(&enough);
}

#[test]
fn what_is_inconclusive_says_about_how_many_more_requests_would_tell() {
    let gates = Gates::default();
    let old = Arm::finished(20, spread(20_000, 1.0));
    let new = |n: u64| Arm::finished(n / 1000, spread(n, 1.0));
    let few = judge(&old, &new(1000), &gates);
    assert_eq!(few.verdict, Outcome::Inconclusive);
    let more = few.more_requests().unwrap();
    assert!((500..100_000).contains(&more), "{more}");
    // The promise is for an old version that goes on as well.
    let mut grown = old.clone();
    (0..more / 1000).for_each(|_| grown.merge(&old));
    let later = judge(&grown, &new(1000 + 2 * more), &gates);
    assert_eq!(later.verdict, Outcome::Healthy, "{}", later.reason);
}

#[test]
fn a_version_that_fails_more_is_regressed_and_the_sentence_says_by_how_much() {
    let old = Arm::finished(20, spread(20_000, 1.0));
    let verdict = judge(&old, &Arm::finished(100, spread(2000, 1.0)), &Gates::default());
    assert_eq!(verdict.verdict, Outcome::Regressed);
    let failures = metric(&verdict, "failures");
    assert_eq!(failures.verdict, Outcome::Regressed);
    assert_eq!(failures.new.estimate, Some(0.05));
    assert_eq!(verdict.reason, failures.sentence);
    assert!(
        failures.sentence.starts_with("new fails 5 % of its requests, old 0.1 %: at least "),
        "{}",
        failures.sentence
    );
}

#[test]
fn a_slower_version_is_regressed_at_the_quantiles_where_it_is() {
    let old = Arm::finished(0, spread(20_000, 1.0));
    let verdict = judge(&old, &Arm::finished(0, spread(5000, 2.0)), &Gates::default());
    assert_eq!(verdict.verdict, Outcome::Regressed);
    for name in ["p50", "p99"] {
        let quantile = metric(&verdict, name);
        assert_eq!(quantile.verdict, Outcome::Regressed);
        assert_eq!(quantile.more_requests, None);
        assert!(quantile.could_hide.contains(" of old's"), "{}", quantile.could_hide);
    }
}

#[test]
fn a_version_that_hangs_is_noticed_before_its_first_time_out() {
    let old = Arm::finished(0, spread(20_000, 1.0));
    let hung = Durations { waiting: counted([500_000_000; 60]), ..Durations::default() };
    let verdict = judge(&old, &Arm { requests: 0, failures: 0, durations: hung }, &Gates::default());
    assert_eq!(verdict.verdict, Outcome::Regressed, "{}", verdict.reason);
    assert_whole(&verdict);
}

/// The last row of the table: whatever the arms are made of, nothing here is shown to be well.
#[test]
fn degenerate_arms_are_inconclusive_or_regressed_and_never_healthy() {
    let many = 50_000;
    let sound = Arm::finished(0, spread(many, 1.0));
    let degenerate = [
        Arm::default(),
        Arm::finished(0, spread(1, 1.0)),
        Arm::finished(1, spread(1, 1.0)),
        Arm::finished(many, spread(many, 1.0)),
        Arm::finished(0, counted((0..many).map(|_| 0))),
        Arm::finished(0, counted((0..many).map(|_| 20_000_000))),
        Arm::finished(0, counted((0..many).map(|_| u64::MAX))),
        Arm { requests: 5, failures: 50, durations: Durations::default() },
    ];
    for (index, arm) in degenerate.iter().enumerate() {
        for (old, new) in [(arm, arm), (&sound, arm), (arm, &sound)] {
            let verdict = judge(old, new, &Gates::default());
            assert_ne!(verdict.verdict, Outcome::Healthy, "{index}: {}", verdict.reason);
            assert_whole(&verdict);
        }
    }
}

#[test]
fn the_longest_bucket_has_no_upper_end() {
    let longest = Durations::from(counted((0..10_000).map(|_| Scale5::MAX_NANOS)));
    assert!(longest.ranked().quantile(0.5, Alpha::DEFAULT).high.is_infinite());
}

#[test]
fn gates_out_of_bounds_are_told_apart() {
    use std::time::Duration;
    let gate = |quantile| LatencyGate::new(quantile, 1.1, Duration::ZERO).unwrap();
    assert_eq!(LatencyGate::new(1.0, 1.1, Duration::ZERO), Err(GateError::Quantile(1.0)));
    assert_eq!(LatencyGate::new(0.5, 0.9, Duration::ZERO), Err(GateError::Ratio(0.9)));
    let long = Duration::from_secs(3601);
    assert_eq!(LatencyGate::new(0.5, 1.0, long), Err(GateError::Slack(long)));
    assert!(matches!(LatencyGate::new(f64::NAN, 1.0, Duration::ZERO), Err(GateError::Quantile(_))));
    assert_eq!(Gates::new(None, vec![], Alpha::DEFAULT), Err(GateError::None));
    assert_eq!(Gates::new(Some(1.5), vec![], Alpha::DEFAULT), Err(GateError::Increase(1.5)));
    assert_eq!(Gates::new(None, vec![gate(0.5), gate(0.5)], Alpha::DEFAULT), Err(GateError::Twice(0.5)));
    assert_eq!(Gates::new(None, vec![gate(0.5); 17], Alpha::DEFAULT), Err(GateError::TooMany(17)));
    assert_eq!(
        [0.5, 0.9, 0.99, 0.999, 0.9999, 0.001].map(|q| gate(q).name()).join(" "),
        "p50 p90 p99 p99.9 p99.99 p0.1"
    );
}
