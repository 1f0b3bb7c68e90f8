//! How sure it is that both sides are the same.
//!
//! Keys are drawn again and again from those known, each look is one trial, and a confidence sequence says, at any time and
//! over all looks together, how large the share of keys that disagree may still be. Evidence is gathered anew where what
//! was true before need not be so any more: after a repair, and when another side becomes authoritative.

use std::collections::HashSet;

use crate::stats::{Alpha, Rate};

/// Most keys that are told apart; more count as this many, and no gate asks for more.
pub const MAX_KEYS: usize = 1_000_000;
/// Most looks that are spoken of as missing: above, time is no remedy.
const MOST_LOOKS: u64 = 1 << 30;

/// Looks at keys since the evidence began.
#[derive(Debug, Clone, Default)]
pub struct Consistency {
    looks: u64,
    disagreed: u64,
    keys: HashSet<u64>,
}

/// What was shown of the two sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// The share of looks that agreed; `None` before the first.
    pub estimate: Option<f64>,
    /// The share of keys that agree is at least this.
    pub low: f64,
    /// And at most this.
    pub high: f64,
    /// Looks so far.
    pub looks: u64,
    /// Those of them that disagreed.
    pub disagreed: u64,
    /// Different keys looked at.
    pub keys: u64,
}

impl Consistency {
    /// Counts a look at a key.
    pub fn count(&mut self, key: &str, agreed: bool) {
        self.looks += 1;
        self.disagreed += u64::from(!agreed);
        if self.keys.len() < MAX_KEYS {
            self.keys.insert(xxhash_rust::xxh3::xxh3_64(key.as_bytes()));
        }
    }

    /// Takes up what was seen elsewhere.
    pub fn add(&mut self, other: Self) {
        self.looks += other.looks;
        self.disagreed += other.disagreed;
        let room = MAX_KEYS.saturating_sub(self.keys.len());
        self.keys.extend(other.keys.into_iter().take(room));
    }

    /// Forgets everything: what was true before need not be so any more.
    pub fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// What was shown so far.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let rate = Rate::new(self.disagreed, self.looks);
        let wrong = rate.interval(Alpha::DEFAULT);
        Shown {
            estimate: rate.estimate().map(|wrong| 1.0 - wrong),
            low: 1.0 - wrong.high,
            high: 1.0 - wrong.low,
            looks: self.looks,
            disagreed: self.disagreed,
            keys: self.keys.len() as u64,
        }
    }
}

impl Shown {
    /// How many more looks, all of which agree, would show that the share is at least `bar`. `None`: too many to wait for.
    #[must_use]
    pub fn needs(&self, bar: f64) -> Option<u64> {
        let shows = |more: u64| 1.0 - Rate::new(self.disagreed, self.looks + more).interval(Alpha::DEFAULT).high >= bar;
        if shows(0) {
            return Some(0);
        }
        let mut enough = 1;
        while !shows(enough) {
            enough *= 2;
            if enough > MOST_LOOKS {
                return None;
            }
        }
        let mut few = enough / 2;
        while few + 1 < enough {
            let middle = few.midpoint(enough);
            if shows(middle) {
                enough = middle;
            } else {
                few = middle;
            }
        }
        Some(enough)
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn nothing_is_shown_before_the_first_look() {
        let shown = Consistency::default().shown();
        assert_eq!((shown.estimate, shown.low, shown.high, shown.keys), (None, 0.0, 1.0, 0));
        assert!(shown.needs(0.999).is_some_and(|looks| (3_000..10_000).contains(&looks)), "{:?}", shown.needs(0.999));
    }

    #[test]
    fn what_is_said_to_be_missing_is_just_enough() {
        for (agreed, disagreed, bar) in [(0, 0, 0.9), (500, 0, 0.999), (10_000, 3, 0.999)] {
            let mut one = Consistency::default();
            (0..agreed).for_each(|n| one.count(&n.to_string(), true));
            (0..disagreed).for_each(|n| one.count(&n.to_string(), false));
            let more = one.shown().needs(bar).expect("it can be shown");
            (0..more - 1).for_each(|n| one.count(&n.to_string(), true));
            assert!(one.shown().low < bar, "one less is too few");
            one.count("last", true);
            assert!(one.shown().low >= bar);
            assert_eq!(one.shown().needs(bar), Some(0));
        }
    }

    #[test]
    fn a_key_that_is_looked_at_again_is_one_key() {
        let mut one = Consistency::default();
        for n in 0..100 {
            one.count(&format!("key {}", n % 10), n != 50);
        }
        let shown = one.shown();
        assert_eq!((shown.looks, shown.disagreed, shown.keys), (100, 1, 10));
        assert!(shown.low < 0.99 && shown.high > 0.99 && shown.high < 1.0);
        let mut other = Consistency::default();
        for key in ["key 1", "key 11"] {
            other.count(key, true);
        }
        one.add(other);
        assert_eq!((one.shown().looks, one.shown().disagreed, one.shown().keys), (102, 1, 11));
        one.begin_anew();
        assert_eq!(one.shown().looks, 0);
    }

    /// The promise of the gate: whatever the looks' order, at most one run in twenty ever shows more than is so.
    #[test]
    fn hardly_ever_is_more_shown_than_is_so() {
        let mut wrong = 0;
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let mut one = Consistency::default();
            let mut ever = false;
            for look in 1..=4_000_u32 {
                // One key in a hundred disagrees.
                let key = rng.u32(0..1_000);
                one.count(&key.to_string(), !key.is_multiple_of(100));
                ever = ever || (look.is_multiple_of(50) && one.shown().low > 0.99);
            }
            wrong += u32::from(ever);
        }
        assert!(wrong <= 10, "{wrong} of 200");
    }
}
