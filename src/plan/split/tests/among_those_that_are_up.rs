//! Splits among those versions that are up.

use super::*;

fn set(up: &[bool]) -> VersionSet {
    let down = up.iter().enumerate().filter(|(_, up)| !**up);
    down.fold(VersionSet::ALL, |set, (index, _)| set.without(VersionId::from_index(index)))
}

/// Weights, and which of the versions are up.
fn some() -> impl Strategy<Value = (Vec<u64>, Vec<bool>)> {
    prop::collection::vec((prop_oneof![Just(0), 1..100_000_u64], any::<bool>()), 1..8)
        .prop_filter("at least one weight above 0", |all| all.iter().any(|(weight, _)| *weight > 0))
        .prop_map(|all| all.into_iter().unzip())
}

/// The split that would say the same with weights of 0; `None` where nobody who is up has a weight.
fn as_weights(split: &Split, up: &[bool]) -> Option<Split> {
    let weights = split.weights().iter().zip(up);
    split.with_weights(weights.map(|(weight, up)| if *up { *weight } else { Weight::ZERO }).collect()).ok()
}

proptest! {
    #[test]
    fn a_version_that_is_down_is_as_one_without_weight((weights, up) in some(), n in any::<u64>()) {
        let split = numbered(&weights);
        let expected = as_weights(&split, &up).unwrap_or_else(|| split.clone());
        for i in 0..50_u64 {
            let key = n.wrapping_add(i).to_le_bytes();
            prop_assert_eq!(split.pick_key_among(&key, set(&up)), expected.pick_key(&key));
        }
        for index in 0..weights.len() {
            let version = VersionId::from_index(index);
            let (share, wanted) = (split.share_among(version, set(&up)), expected.share(version));
            prop_assert_eq!(share.total_cmp(&wanted), std::cmp::Ordering::Equal);
        }
    }

    #[test]
    fn only_the_keys_of_those_that_are_down_move((weights, up) in some(), n in any::<u64>()) {
        let split = numbered(&weights);
        for i in 0..50_u64 {
            let key = n.wrapping_add(i).to_le_bytes();
            let home = split.pick_key(&key);
            if up[home.index()] {
                prop_assert_eq!(split.pick_key_among(&key, set(&up)), home);
            }
            prop_assert_eq!(split.pick_key_among(&key, VersionSet::ALL), home);
        }
    }

    #[test]
    fn draws_reach_only_those_that_are_up((weights, up) in some(), random in any::<u64>()) {
        let split = numbered(&weights);
        let drawn = split.pick_draw_among(random, set(&up));
        prop_assert!(weights[drawn.index()] > 0);
        prop_assert!(up[drawn.index()] || as_weights(&split, &up).is_none());
    }
}

#[test]
fn draws_follow_the_weights_of_those_that_are_up_exactly() {
    let split = numbered(&[1, 2, 3, 4]);
    let up = set(&[true, false, true, true]);
    let mut counts = [0; 4];
    // As many equidistant draws as the weights sum to.
    (0..8).for_each(|i| counts[split.pick_draw_among(i << 61, up).index()] += 1);
    assert_eq!(counts, [1, 0, 3, 4]);
}

#[test]
fn if_nobody_is_up_all_are_as_if_everybody_were() {
    let (split, nobody) = (numbered(&[1, 2, 3]), set(&[false; 3]));
    for i in 0..1000_u64 {
        let (key, random) = (i.to_le_bytes(), i << 54);
        assert_eq!(split.pick_key_among(&key, nobody), split.pick_key(&key));
        assert_eq!(split.pick_draw_among(random, nobody), split.pick_draw(random));
    }
}
