use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn counted(nanos: impl IntoIterator<Item = u64>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    nanos.into_iter().for_each(|nanos| snapshot.record_nanos(nanos));
    snapshot
}

/// When a request begins and how long it takes, in nanoseconds; the window begins at [`WINDOW`] and is looked at at
/// [`NOW`].
fn request() -> impl Strategy<Value = (u64, u64)> {
    (0..NOW, (20u32..64, any::<u64>()).prop_map(|(shift, fill)| fill >> shift))
}

const WINDOW: u64 = 1 << 36;
const NOW: u64 = 1 << 37;

/// What can be known at [`NOW`] of these requests, given that somebody looked at [`WINDOW`], too; where it is known only
/// to `grain` nanoseconds when a request began that still lasts.
fn seen(requests: &[(u64, u64)], grain: u64) -> Durations {
    let mut seen = Durations::default();
    let mut lasting_before = 0;
    for &(began, took) in requests {
        let ended = began.saturating_add(took);
        let (earliest, latest) = (began / grain * grain, began / grain * grain + grain - 1);
        if began < WINDOW && ended > WINDOW {
            seen.carried.record_nanos(WINDOW.saturating_sub(latest));
            seen.carried_done += 1;
        }
        if ended > NOW {
            if latest < WINDOW {
                lasting_before += 1;
            } else if earliest >= WINDOW {
                seen.waiting.record_nanos(NOW.saturating_sub(latest));
            } else {
                seen.doubtful += 1;
            }
        } else if ended > WINDOW {
            seen.done.record_nanos(took);
        }
    }
    seen.carried_done -= lasting_before;
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The rule of [`Durations`] against those who know everything: whoever began in the window counts, with the whole
    /// duration, and the bounds from what is known are never tighter than those from the truth.
    #[test]
    fn bounds_from_what_is_known_hold_the_bounds_from_the_whole_truth(
        requests in vec(request(), 0..400),
        grain_bits in 10u32..36,
        order in prop::sample::select(vec![0.5, 0.9, 0.99]),
        alpha in prop::sample::select(vec![0.5, 0.05]),
    ) {
        let alpha = Alpha::new(alpha).unwrap();
        let known = seen(&requests, 1 << grain_bits).ranked().quantile(order, alpha);
        let truth = counted(requests.iter().filter(|(began, _)| *began >= WINDOW).map(|(_, took)| *took));
        let truth = Durations::from(truth).ranked().quantile(order, alpha);
        prop_assert!(known.low <= truth.low, "{known:?} {truth:?}");
        prop_assert!(known.high >= truth.high, "{known:?} {truth:?}");
    }

    /// What two versions are told apart by from what is known, they are told apart by from the whole truth.
    #[test]
    fn a_comparison_from_what_is_known_claims_no_more_than_one_from_the_whole_truth(
        requests in [vec(request(), 0..400), vec(request(), 0..400)],
        grain_bits in 10u32..34,
        slower in 0u32..8,
        tolerance in (1.0..2.0f64, prop::sample::select(vec![0.0, 0.5])),
    ) {
        let [old, mut new] = requests;
        for (_, took) in &mut new {
            *took <<= slower.min(took.leading_zeros());
        }
        let known = [&old, &new].map(|requests| seen(requests, 1 << grain_bits).ranked());
        let truth = [&old, &new].map(|requests| {
            let in_window = requests.iter().filter(|(began, _)| *began >= WINDOW);
            Durations::from(counted(in_window.map(|(_, took)| *took))).ranked()
        });
        let alpha = Alpha::new(0.5).unwrap();
        for order in [0.5, 0.9] {
            if known[0].is_exceeded_by(&known[1], order, tolerance, alpha) {
                prop_assert!(truth[0].is_exceeded_by(&truth[1], order, tolerance, alpha));
            }
            if known[0].is_kept_by(&known[1], order, tolerance, alpha) {
                prop_assert!(truth[0].is_kept_by(&truth[1], order, tolerance, alpha));
            }
            let both = known[0].is_exceeded_by(&known[1], order, tolerance, alpha) && known[0].is_kept_by(&known[1], order, tolerance, alpha);
            prop_assert!(!both);
        }
    }

    /// Against all pairs of values, one by one.
    #[test]
    fn a_comparison_is_what_all_pairs_of_values_say(old in vec(0u64..1 << 26, 0..300), new in vec(0u64..1 << 27, 0..300), ratio in 1.0..3.0f64) {
        let [old, new] = [old, new].map(|nanos| Durations::from(counted(nanos)).ranked());
        let (test, alpha) = (QuantileTest::new(0.5), Alpha::new(0.5).unwrap());
        let all = |holds: &dyn Fn(&Region, &Region) -> bool| (0..old.regions()).all(|a| (0..new.regions()).all(|b| {
            let (a, b) = (old.region(a, &test), new.region(b, &test));
            !holds(&a, &b) || a.ln_least + b.ln_least >= alpha.ln_bar()
        }));
        let exceeded = all(&|a, b| b.from < ratio * a.to);
        let kept = all(&|a, b| b.to > ratio * a.from);
        prop_assert_eq!(old.is_exceeded_by(&new, 0.5, (ratio, 0.0), alpha), exceeded);
        prop_assert_eq!(old.is_kept_by(&new, 0.5, (ratio, 0.0), alpha), kept);
    }

    #[test]
    fn bounds_hold_the_estimate_and_lie_on_edges(done in vec(0u64..1 << 40, 0..200), waiting in vec(0u64..1 << 40, 0..20), order in 0.01..0.99f64) {
        let durations = Durations { done: counted(done), waiting: counted(waiting), ..Durations::default() };
        let bounds = durations.ranked().quantile(order, Alpha::new(0.5).unwrap());
        prop_assert!(bounds.low <= bounds.high);
        prop_assert!(bounds.estimate.is_none_or(|value| bounds.low <= value && value <= bounds.high));
        prop_assert_eq!(bounds.estimate.is_none(), durations.count() == 0);
    }

    #[test]
    fn a_request_that_goes_on_only_ever_raises_the_lower_bound(done in vec(0u64..1 << 34, 0..200), ages in vec(0u64..1 << 34, 1..20), more in 0u64..1 << 34) {
        let at = |more: u64| Durations {
            done: counted(done.iter().copied()),
            waiting: counted(ages.iter().map(|age| age + more)),
            ..Durations::default()
        };
        let (now, later) = (at(0).ranked().quantile(0.9, Alpha::DEFAULT), at(more).ranked().quantile(0.9, Alpha::DEFAULT));
        prop_assert!(later.low >= now.low);
        prop_assert!(later.high >= now.high);
    }
}

#[test]
fn nothing_known_bounds_nothing() {
    let bounds = Durations::default().ranked().quantile(0.5, Alpha::DEFAULT);
    assert_eq!((bounds.estimate, bounds.low), (None, 0.0));
    assert!(bounds.high.is_infinite());
    assert!(Durations::default().ranked().are_all_alike());
}

#[test]
fn one_duration_bounds_nothing() {
    let bounds = Durations::from(counted([5_000_000])).ranked().quantile(0.5, Alpha::DEFAULT);
    assert_eq!(bounds.low.to_bits(), 0.0f64.to_bits());
    assert!(bounds.high.is_infinite());
}

#[test]
fn requests_that_hang_raise_the_lower_bound_and_leave_no_upper_one() {
    let hung = Durations { waiting: counted([1_000_000_000; 100]), ..Durations::default() };
    let bounds = hung.ranked().quantile(0.5, Alpha::DEFAULT);
    assert!(bounds.low > 0.97 && bounds.low <= 1.0, "{bounds:?}");
    assert!(bounds.high.is_infinite());
}

#[test]
fn as_many_as_can_bound_a_quantile_do_and_one_fewer_do_not() {
    for order in [0.5, 0.9, 0.99, 0.999] {
        let test = QuantileTest::new(order);
        let least = test.least_for_bound(Alpha::DEFAULT);
        let high =
            |n| Durations::from(counted((0..n).map(|_| 1_000_000))).ranked().quantile(order, Alpha::DEFAULT).high;
        assert!(high(least).is_finite() && high(least - 1).is_infinite(), "{order}: {least}");
    }
}

/// As for rates: 400 sequences of 2,000 durations each, looked at after every fifth.
#[test]
fn the_true_quantile_is_ruled_out_at_any_time_no_more_often_than_alpha() {
    let (alpha, mut rng) = (Alpha::new(0.1).unwrap(), fastrand::Rng::with_seed(12));
    let test = QuantileTest::new(0.9);
    let mut ever_out = || {
        let mut at_most = 0;
        (1..=2000u64).any(|n| {
            at_most += u64::from(rng.f64() < 0.9);
            n % 5 == 0 && (test.is_above(at_most, n - at_most, alpha) || test.is_within(at_most, n - at_most, alpha))
        })
    };
    let missed = (0..400).filter(|_| ever_out()).count();
    assert!(missed <= 40, "{missed} of 400");
}
