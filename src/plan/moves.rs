//! Who moves when weights change.

use super::VersionId;
use super::split::Split;

/// How many sample keys of `keys` have each pair of versions before and after, where those differ. The keys are the
/// decimal numbers from 0, which are as good as any others: the split hashes them. Both splits have the same versions.
#[must_use]
pub fn moves(before: &Split, after: &Split, keys: u32) -> Vec<(VersionId, VersionId, u32)> {
    let mut moved: Vec<(VersionId, VersionId, u32)> = Vec::new();
    for key in 0..keys {
        let key = key.to_string();
        let (from, to) = (before.pick_key(key.as_bytes()), after.pick_key(key.as_bytes()));
        if from == to {
            continue;
        }
        match moved.iter_mut().find(|known| (known.0, known.1) == (from, to)) {
            Some(known) => known.2 += 1,
            None => moved.push((from, to, 1)),
        }
    }
    moved.sort_unstable();
    moved
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::Weight;

    fn split(weights: [f64; 2]) -> Split {
        let names: Vec<Arc<str>> = vec!["old".into(), "new".into()];
        let weights = weights.map(|weight| Weight::from_f64(weight).expect("a weight"));
        Split::new("shop", 0, &names, weights.to_vec()).expect("a split")
    }

    #[test]
    fn as_many_move_as_the_share_grows_and_nobody_the_other_way() {
        let [old, new] = [0, 1].map(VersionId::from_index);
        let moved = moves(&split([95.0, 5.0]), &split([75.0, 25.0]), 10_000);
        let [(from, to, count)] = moved[..] else { panic!("one way only: {moved:?}") };
        assert_eq!((from, to), (old, new));
        // 20 % of 10,000 by five standard deviations.
        assert!((1800..=2200).contains(&count), "{count}");
        assert_eq!(moves(&split([75.0, 25.0]), &split([95.0, 5.0]), 10_000), [(new, old, count)]);
        assert_eq!(moves(&split([95.0, 5.0]), &split([950.0, 50.0]), 1000), []);
    }
}
