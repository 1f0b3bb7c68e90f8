//! A slice of one version's keys whose figures are kept apart: a control arm.

use std::sync::Arc;

use super::{Split, VersionId, Weight};

/// Some of the keys and draws of one version, so that another one can be compared with as many. Nothing but figures
/// depends on it: it picks no version.
///
/// Whether a key of the version belongs to the arm is decided as the split decides among versions, with the same salt, by
/// two contenders `<version>/control` and `<version>/rest`, whose names no version can have. So the arm's keys are the same
/// on every serin and at every moment, no other version's share matters to them, and as the version's own share gets
/// smaller beside an arm that stays, keys only come to the arm, or leave with the version.
#[derive(Debug, Clone)]
pub struct ControlArm {
    of: VersionId,
    share: Weight,
    split: Split,
}

/// The places of the two contenders in the split.
const CONTROL: usize = 0;

impl ControlArm {
    /// All there is.
    const WHOLE: u64 = 100_000;

    /// The arm of version `of` that has `share` percent of all the keys and draws of `split`. `None` where the version has
    /// not so many, or the arm would have none.
    #[must_use]
    pub fn new(split: &Split, of: VersionId, share: Weight) -> Option<Self> {
        let name = split.names.get(of.index())?;
        let names = ["control", "rest"].map(|arm| Arc::from(format!("{name}/{arm}")));
        // A weight is at most 10¹² and the sum of 64 of them below 10¹⁴, a share at most 10⁵.
        let arm = share.thousandths().min(Self::WHOLE) * split.sum;
        let rest = (split.weights[of.index()].0 * Self::WHOLE).checked_sub(arm)?;
        if arm == 0 {
            return None;
        }
        let split = Split::build(split.salt, names.into(), vec![Weight(arm), Weight(rest)]).ok()?;
        Some(Self { of, share, split })
    }

    /// The version whose keys these are.
    #[must_use]
    pub fn of(&self) -> VersionId {
        self.of
    }

    /// Whether `key`, one of the version's, belongs to the arm.
    #[must_use]
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.split.pick_key(key).index() == CONTROL
    }

    /// Whether a request without a key that went to the version belongs to the arm. `random` is uniform over all of `u64`.
    #[must_use]
    pub fn has_draw(&self, random: u64) -> bool {
        self.split.pick_draw(random).index() == CONTROL
    }

    /// The same for arms that have the same keys.
    fn identity(&self) -> (VersionId, Weight, u64, &[Weight], &[Arc<str>]) {
        (self.of, self.share, self.split.salt, &self.split.weights, &self.split.names)
    }
}

impl PartialEq for ControlArm {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn old() -> VersionId {
        VersionId::from_index(0)
    }

    fn split(old: u64, new: u64) -> Split {
        let names: [Arc<str>; 2] = ["old".into(), "new".into()];
        Split::new("shop", 0, &names, vec![Weight(old), Weight(new)]).unwrap()
    }

    /// New has so many thousandths of a percent, old the rest.
    fn step(new: u64) -> Split {
        split(100_000 - new, new)
    }

    fn keys() -> impl Iterator<Item = Vec<u8>> {
        (0..40_000_u64).map(|i| format!("user-{i}").into_bytes())
    }

    #[test]
    fn the_arm_has_its_share_of_all_and_nothing_but_keys_of_its_version() {
        for (new, share) in [(1_000, 5_000), (5_000, 5_000), (50_000, 5_000), (95_000, 5_000), (0, 20_000)] {
            let split = step(new);
            let arm = ControlArm::new(&split, old(), Weight(share)).unwrap();
            let of_old: Vec<_> = keys().filter(|key| split.pick_key(key) == old()).collect();
            let in_arm = of_old.iter().filter(|key| arm.has_key(key)).count() as f64;
            let expected = 40_000.0 * share as f64 / 100_000.0;
            assert!((in_arm - expected).abs() < 4.0 * expected.sqrt(), "{new}: {in_arm} of {expected}");
            let draws = (0..1_000_u64).filter(|n| arm.has_draw(n * (u64::MAX / 1_000))).count() as f64;
            let of_old = 1_000.0 * share as f64 / (100_000 - new) as f64;
            assert!((draws - of_old).abs() <= 1.0, "{draws} of {of_old} at {new}");
        }
        let all = ControlArm::new(&step(95_000), old(), Weight(5_000)).unwrap();
        assert!(keys().all(|key| all.has_key(&key)), "an arm that is all of the version");
    }

    #[test]
    fn there_is_no_arm_where_there_is_no_room_for_it() {
        assert!(ControlArm::new(&step(95_001), old(), Weight(5_000)).is_none());
        assert!(ControlArm::new(&step(100_000), old(), Weight(1)).is_none());
        assert!(ControlArm::new(&step(0), old(), Weight::ZERO).is_none());
        assert!(ControlArm::new(&split(Weight::MAX.0, Weight::MAX.0), old(), Weight(50_000)).is_some());
    }

    proptest! {
        #[test]
        fn raising_the_new_versions_weight_moves_keys_only_toward_it_and_into_the_arm(
            from in 0..90_000_u64,
            by in 0..90_000_u64,
            share in 1..10_000_u64,
            n in any::<u64>(),
        ) {
            let (before, after) = (step(from), step((from + by).min(90_000)));
            let [arm, then] = [&before, &after].map(|split| ControlArm::new(split, old(), Weight(share)).unwrap());
            for key in (0..20).map(|i| format!("user-{}", n.wrapping_add(i))) {
                let key = key.as_bytes();
                let (was, is) = (before.pick_key(key), after.pick_key(key));
                prop_assert!(is == was || (was == old() && is != old()));
                if was == old() && is == old() && arm.has_key(key) {
                    prop_assert!(then.has_key(key), "who stays at old stays in the arm");
                }
            }
        }

        #[test]
        fn arms_are_equal_where_their_keys_are(new in 0..90_000_u64, share in 1..10_000_u64) {
            let arm = |new, share| ControlArm::new(&step(new), old(), Weight(share)).unwrap();
            prop_assert!(arm(new, share) == arm(new, share));
            prop_assert!(arm(new, share) != arm(new, share + 1));
            prop_assert!(arm(new, share) != arm(new + 1, share));
        }
    }
}
