use proptest::prelude::*;

use super::*;

/// Hits, then trials.
fn trials() -> impl Strategy<Value = (u64, u64)> {
    let magnitude = (0u32..63, any::<u64>()).prop_map(|(shift, fill)| fill >> shift);
    (magnitude, 0.0..=1.0f64).prop_map(|(trials, share)| ((trials as f64 * share * share) as u64, trials))
}

fn alpha() -> impl Strategy<Value = Alpha> {
    (1u32..9).prop_map(|digits| Alpha::new(0.5 * 0.1f64.powi(digits as i32)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_interval_holds_its_estimate_and_lies_within_zero_and_one((hits, trials) in trials(), alpha in alpha()) {
        let rate = Rate::new(hits, trials);
        let interval = rate.interval(alpha);
        let estimate = rate.estimate().unwrap_or(0.5);
        prop_assert!(0.0 <= interval.low && interval.low <= estimate, "{interval:?} {estimate}");
        prop_assert!(estimate <= interval.high && interval.high <= 1.0, "{interval:?} {estimate}");
    }

    #[test]
    fn a_difference_holds_its_estimate_and_turns_around_with_its_sides(a in trials(), b in trials(), alpha in alpha()) {
        let (a, b) = (Rate::new(a.0, a.1), Rate::new(b.0, b.1));
        let (there, back) = (a.difference(&b, alpha), b.difference(&a, alpha));
        let estimate = a.estimate().zip(b.estimate()).map_or(0.0, |(a, b)| b - a);
        prop_assert!(-1.0 <= there.low && there.low <= estimate && estimate <= there.high && there.high <= 1.0, "{there:?} {estimate}");
        prop_assert!((there.low + back.high).abs() < 1e-5 && (there.high + back.low).abs() < 1e-5, "{there:?} {back:?}");
    }

    #[test]
    fn exceeding_is_what_the_difference_says(a in trials(), b in trials(), slack in 0.0..0.1f64) {
        let (a, b) = (Rate::new(a.0, a.1), Rate::new(b.0, b.1));
        let low = a.difference(&b, Alpha::DEFAULT).low;
        // Not where rounding decides.
        prop_assume!((low - slack).abs() > 1e-9);
        prop_assert_eq!(a.is_exceeded_by(&b, slack, Alpha::DEFAULT), low > slack);
    }

    #[test]
    fn more_hits_only_raise_the_ends(trials in 1u64..100_000, hits in 0u64..100_000, more in 1u64..100) {
        let hits = hits.min(trials);
        let fewer = Rate::new(hits, trials).interval(Alpha::DEFAULT);
        let with_more = Rate::new(hits + more, trials).interval(Alpha::DEFAULT);
        prop_assert!(with_more.low >= fewer.low && with_more.high >= fewer.high);
        // Where none or all are hits the rate lies at its end, and a difference takes that for a hair less certain.
        prop_assume!(hits > 0 && hits + more < trials);
        let of_old = Rate::new(7, 5000);
        let one = of_old.difference(&Rate::new(hits, trials), Alpha::DEFAULT);
        let two = of_old.difference(&Rate::new(hits + more, trials), Alpha::DEFAULT);
        prop_assert!(two.low >= one.low - 1e-11 && two.high >= one.high - 1e-11);
    }
}

#[test]
fn what_was_not_tried_could_be_anything() {
    let none = Rate::new(0, 0);
    assert_eq!(none.estimate(), None);
    assert_eq!(none.interval(Alpha::DEFAULT), Interval { low: 0.0, high: 1.0 });
    assert_eq!(none.difference(&Rate::new(1, 10), Alpha::DEFAULT), Interval { low: -1.0, high: 1.0 });
    assert!(!none.is_exceeded_by(&Rate::new(10, 10), 0.0, Alpha::DEFAULT));
}

#[test]
fn more_hits_than_trials_are_all_of_them() {
    assert_eq!(Rate::new(9, 5).estimate(), Some(1.0));
}

/// Worked out by hand: with no hits in n trials the martingale of one prior is B(a, b+n) / (B(a, b) · (1−p)^n).
#[test]
fn the_martingale_is_the_average_likelihood_against_the_one_at_the_rate() {
    let rate = Rate::new(0, 1);
    // Of one miss: the average of 1 − p is 1/2 for Beta(½, ½) and 100/101 for Beta(½, 50).
    let expected = (0.5 * (0.5 + 100.0 / 101.0) / 0.75f64).ln();
    assert!((rate.ln_martingale(0.25) - expected).abs() < 1e-12);
    for impossible in [0.0, 1.0] {
        assert!(Rate::new(1, 2).ln_martingale(impossible).is_infinite());
    }
}

#[test]
fn a_great_many_trials_still_give_an_interval_around_their_rate() {
    let interval = Rate::new(u64::MAX / 1000, u64::MAX).interval(Alpha::DEFAULT);
    assert!(0.000_999 < interval.low && interval.low <= 0.001 && interval.high < 0.001_001, "{interval:?}");
}

/// Ville's inequality, tried: 500 sequences of 1,000 trials each, looked at after every one.
#[test]
fn the_true_rate_is_ruled_out_at_any_time_no_more_often_than_alpha() {
    let (alpha, mut rng) = (Alpha::new(0.1).unwrap(), fastrand::Rng::with_seed(11));
    let ever_out = |rng: &mut fastrand::Rng, p: f64| {
        let mut hits = 0;
        (1..=1000u64).any(|n| {
            hits += u64::from(rng.f64() < p);
            Rate::new(hits, n).ln_martingale(p) >= alpha.ln_bar()
        })
    };
    for p in [0.02, 0.5] {
        let missed = (0..500).filter(|_| ever_out(&mut rng, p)).count();
        assert!(missed <= 50, "{missed} of 500 at {p}");
    }
}
