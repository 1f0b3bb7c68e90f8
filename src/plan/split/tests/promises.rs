//! What is promised of a split, of any weights and keys.

use super::*;

/// Thousandths for some versions, zeros among them, at least one of them not.
fn some_weights() -> impl Strategy<Value = Vec<u64>> {
    let one = prop_oneof![1 => Just(0), 3 => 1..100_u64, 3 => 1..=100_000_u64, 1 => 1..=Weight::MAX.0];
    prop::collection::vec(one, 1..12).prop_filter("a sum of 0", |all| all.iter().any(|weight| *weight > 0))
}

fn some_keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..200)
}

proptest! {
    #[test]
    fn raising_a_weight_moves_keys_only_toward_that_version(
        before in some_weights(), raised in any::<prop::sample::Index>(), by in 1..1_000_000_u64, keys in some_keys()
    ) {
        let raised = raised.index(before.len());
        let mut after = before.clone();
        after[raised] += by;
        let (before, after) = (numbered(&before), numbered(&after));
        for key in keys {
            let (was, is) = (before.pick_key(&key), after.pick_key(&key));
            prop_assert!(is == was || is.index() == raised);
        }
    }

    #[test]
    fn lowering_a_weight_moves_only_keys_of_that_version(
        before in some_weights(), lowered in any::<prop::sample::Index>(), keys in some_keys()
    ) {
        let lowered = lowered.index(before.len());
        let mut after = before.clone();
        after[lowered] /= 2;
        prop_assume!(after.iter().any(|weight| *weight > 0));
        let (before, after) = (numbered(&before), numbered(&after));
        for key in keys {
            let (was, is) = (before.pick_key(&key), after.pick_key(&key));
            prop_assert!(is == was || was.index() == lowered);
        }
    }

    #[test]
    fn scaling_all_weights_moves_nobody(before in some_weights(), by in 2..10_000_u64, keys in some_keys()) {
        let after: Vec<u64> = before.iter().map(|weight| weight * by).collect();
        let (before, after) = (numbered(&before), numbered(&after));
        for key in keys {
            prop_assert_eq!(before.pick_key(&key), after.pick_key(&key));
        }
    }

    #[test]
    fn a_new_version_only_takes(before in some_weights(), new in 0..100_000_u64, keys in some_keys()) {
        let mut after = before.clone();
        after.push(new);
        let (before, after) = (numbered(&before), numbered(&after));
        for key in keys {
            let (was, is) = (before.pick_key(&key), after.pick_key(&key));
            prop_assert!(is == was || is.index() == before.weights().len());
        }
    }

    #[test]
    fn a_weight_of_zero_gets_nothing(weights in some_weights(), keys in some_keys()) {
        let split = numbered(&weights);
        for key in keys {
            prop_assert!(weights[split.pick_key(&key).index()] > 0);
        }
    }

    #[test]
    fn the_order_of_versions_does_not_matter(weights in some_weights(), by in any::<prop::sample::Index>(), keys in some_keys()) {
        let mut versions: Vec<(Arc<str>, Weight)> =
            weights.iter().enumerate().map(|(i, weight)| (Arc::from(format!("v{i}")), Weight(*weight))).collect();
        let split_of = |versions: &[(Arc<str>, Weight)]| {
            let (names, weights): (Vec<_>, Vec<_>) = versions.iter().cloned().unzip();
            Split::new("numbered", 0, &names, weights).unwrap()
        };
        let one = split_of(&versions);
        versions.rotate_left(by.index(weights.len()));
        versions.swap(0, weights.len() - 1);
        let other = split_of(&versions);
        for key in keys {
            prop_assert_eq!(&one.names[one.pick_key(&key).index()], &other.names[other.pick_key(&key).index()]);
        }
    }

    #[test]
    fn other_weights_keep_everything_else(before in some_weights(), seed in any::<u64>(), keys in some_keys()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let after: Vec<u64> = before.iter().map(|_| random.u64(1..100_000)).collect();
        let changed = numbered(&before).with_weights(after.iter().copied().map(Weight).collect()).unwrap();
        let fresh = numbered(&after);
        for key in keys {
            prop_assert_eq!(changed.pick_key(&key), fresh.pick_key(&key));
        }
    }
}

#[test]
fn a_version_with_all_the_weight_gets_every_key_and_draw() {
    let split = split("s", 0, &[("old", 0.0), ("new", 0.001)]);
    assert!(users(1_000).all(|key| split.pick_key(&key).index() == 1));
    assert!([0, 1, u64::MAX].into_iter().all(|random| split.pick_draw(random).index() == 1));
}

#[test]
fn widening_a_rollout_step_by_step_never_moves_a_user_back() {
    let start = split("checkout", 0, &[("old", 100.0), ("new", 0.0)]);
    let steps: Vec<Split> =
        [5.0, 25.0, 50.0, 100.0].map(|new| start.with_weights(weights(&[100.0 - new, new])).unwrap()).into();
    for key in users(10_000) {
        let picks: Vec<usize> = steps.iter().map(|split| split.pick_key(&key).index()).collect();
        assert!(picks.is_sorted(), "{picks:?}");
    }
}
