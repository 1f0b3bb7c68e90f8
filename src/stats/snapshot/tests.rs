use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Durations of every magnitude up to the longest told apart, the zero bucket's included.
fn duration() -> impl Strategy<Value = u64> {
    (11u32..64, any::<u64>()).prop_map(|(shift, fill)| (fill >> shift).min(Scale5::MAX_NANOS))
}

fn counted(durations: &[u64]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for nanos in durations {
        snapshot.record_nanos(*nanos);
    }
    snapshot
}

proptest! {
    #[test]
    fn a_quantile_is_in_the_bucket_of_the_exact_one(mut durations in vec(duration(), 1..300), q in 0.0..=1.0f64) {
        let quantile = counted(&durations).quantile(q).unwrap();
        durations.sort_unstable();
        let rank = ((q * durations.len() as f64).ceil() as usize).max(1);
        let exact = durations[rank - 1] as f64 / 1e9;
        prop_assert!(quantile.low < exact || quantile.low == 0.0);
        prop_assert!(exact <= quantile.high);
        prop_assert!(quantile.low <= quantile.value && quantile.value <= quantile.high);
        prop_assert!(quantile.low == 0.0 || quantile.high / quantile.low < 1.0219);
    }

    #[test]
    fn quantiles_rise_with_q(durations in vec(duration(), 1..300), a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
        let snapshot = counted(&durations);
        let (low, high) = (snapshot.quantile(a.min(b)).unwrap(), snapshot.quantile(a.max(b)).unwrap());
        prop_assert!(low.value <= high.value);
    }

    #[test]
    fn merging_is_counting_both(a in vec(duration(), 0..100), b in vec(duration(), 0..100)) {
        let mut merged = counted(&a);
        merged.merge(&counted(&b));
        prop_assert_eq!(&merged, &counted(&[a.clone(), b.clone()].concat()));
        let mut other_way = counted(&b);
        other_way.merge(&counted(&a));
        prop_assert_eq!(merged, other_way);
    }

    #[test]
    fn a_window_is_what_was_merged_in(a in vec(duration(), 0..100), b in vec(duration(), 0..100)) {
        let earlier = counted(&a);
        let mut later = earlier.clone();
        later.merge(&counted(&b));
        prop_assert_eq!(later.since(&earlier), counted(&b));
        prop_assert!(earlier.since(&later).is_empty());
    }

    #[test]
    fn counts_up_to_an_edge_are_exact(durations in vec(duration(), 0..300), index in Scale5::MIN_INDEX-1..=Scale5::MAX_INDEX) {
        let edge = Scale5::upper(index);
        let exact = durations.iter().filter(|nanos| **nanos as f64 / 1e9 <= edge).count() as u64;
        prop_assert_eq!(counted(&durations).count_at_most(edge), exact);
    }

    #[test]
    fn the_buckets_and_the_zero_bucket_hold_everything_in_order(durations in vec(duration(), 0..300)) {
        let snapshot = counted(&durations);
        let buckets: Vec<_> = snapshot.buckets().collect();
        prop_assert!(buckets.is_sorted_by(|a, b| a.index < b.index && a.upper < b.upper));
        prop_assert!(buckets.iter().all(|b| b.count > 0 && b.count == snapshot.count_in(b.index)));
        let total = snapshot.zero_count() + buckets.iter().map(|b| b.count).sum::<u64>();
        prop_assert_eq!(total, durations.len() as u64);
        prop_assert_eq!(snapshot.count(), total);
        prop_assert_eq!(snapshot.sum_nanos(), durations.iter().sum::<u64>());
    }
}

#[test]
fn nothing_counted_has_no_quantile() {
    assert_eq!(Snapshot::default().quantile(0.5), None);
    assert_eq!(Snapshot::default().count_at_most(f64::INFINITY), 0);
}

#[test]
fn the_median_of_equal_values_is_within_their_bucket() {
    let quantile = counted(&[10_000_000; 1000]).quantile(0.5).unwrap();
    assert!((quantile.value / 0.010 - 1.0).abs() < 0.022, "{quantile:?}");
}

#[test]
fn a_quantile_outside_zero_to_one_is_the_nearer_end() {
    let snapshot = counted(&[1_000_000, 1_000_000_000]);
    assert_eq!(snapshot.quantile(-1.0), snapshot.quantile(0.0));
    assert_eq!(snapshot.quantile(7.0), snapshot.quantile(1.0));
    assert_eq!(snapshot.quantile(f64::NAN), snapshot.quantile(0.0));
}

#[test]
fn a_bound_below_the_zero_threshold_promises_nothing() {
    assert_eq!(counted(&[1, 2, 3]).count_at_most(0.5 * Scale5::ZERO_THRESHOLD), 0);
    assert_eq!(counted(&[1, 2, 3]).count_at_most(Scale5::ZERO_THRESHOLD), 3);
}
