//! The bucket layout every duration in serin is counted in.

/// Base-2 exponential buckets of scale 5: 32 to the factor of two, each 2.2 % wide. Values are in **seconds**.
///
/// Bucket `i` holds the values in `(2^((i-1)/32), 2^(i/32)]`: the convention of Prometheus native histograms (schema 5),
/// whose indexes this uses. OpenTelemetry's exponential histograms have the same buckets under an index one lower.
/// See <https://prometheus.io/docs/specs/native_histograms/>.
///
/// Values up to [`Scale5::ZERO_THRESHOLD`] (2⁻²⁰ s, just under a microsecond) share the zero bucket. Values above 2¹⁸ s
/// (three days) are counted as 2¹⁸ s: up to there no whole nanosecond is so near an edge that an `f64` in seconds would
/// round across it, so an index is never off by one (a test tries every edge).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale5;

/// Bits of an `f64` mantissa.
const MANTISSA_BITS: u32 = 52;
const MANTISSA_MASK: u64 = (1 << MANTISSA_BITS) - 1;
const EXPONENT_BIAS: i32 = 1023;

/// The mantissas of 2^(k/32), correctly rounded, for k in 0..32, and one past any mantissa. Calculated to 60 digits.
const EDGES: [u64; 33] = [
    0x0_0000_0000_0000,
    0x0_59b0_d315_8574,
    0x0_b558_6cf9_890f,
    0x1_1301_d012_5b51,
    0x1_72b8_3c7d_517b,
    0x1_d487_3168_b9aa,
    0x2_387a_6e75_6238,
    0x2_9e9d_f51f_dee1,
    0x3_06fe_0a31_b715,
    0x3_71a7_373a_a9cb,
    0x3_dea6_4c12_3422,
    0x4_4e08_6061_892d,
    0x4_bfda_d536_2a27,
    0x5_342b_569d_4f82,
    0x5_ab07_dd48_5429,
    0x6_247e_b03a_5585,
    0x6_a09e_667f_3bcd,
    0x7_1f75_e8ec_5f74,
    0x7_a114_73eb_0187,
    0x8_2589_994c_ce13,
    0x8_ace5_422a_a0db,
    0x9_3737_b0cd_c5e5,
    0x9_c491_82a3_f090,
    0xa_5503_b23e_255d,
    0xa_e89f_995a_d3ad,
    0xb_7f76_f2fb_5e47,
    0xc_199b_dd85_529c,
    0xc_b720_dcef_9069,
    0xd_5818_dcfb_a487,
    0xd_fc97_337b_9b5f,
    0xe_a4af_a2a4_90da,
    0xf_5076_5b6e_4540,
    0x10_0000_0000_0000,
];

/// The mantissa range cut in 64 even slots: the first edge at or above each slot's start. A slot (1/64) is narrower than
/// the narrowest bucket (1/46), so at most one edge lies inside it and one comparison finishes the search.
const FIRST_EDGE: [u8; 64] = {
    let mut table = [0; 64];
    let mut slot = 0;
    while slot < 64 {
        let start = (slot as u64) << (MANTISSA_BITS - 6);
        let mut edge = 0;
        while EDGES[edge] < start {
            edge += 1;
        }
        table[slot] = edge as u8;
        slot += 1;
    }
    table
};

impl Scale5 {
    /// The scale, which Prometheus calls the schema: the base is 2^(2^-5).
    pub const SCHEMA: i32 = 5;
    /// Buckets to the factor of two.
    pub const PER_OCTAVE: usize = 32;
    /// Factors of two between the zero bucket and the last bucket's upper edge.
    pub const OCTAVES: usize = 38;
    /// Lowest bucket; its lower edge is [`Self::ZERO_THRESHOLD`].
    pub const MIN_INDEX: i32 = -20 * 32 + 1;
    /// Highest bucket; its upper edge is 2¹⁸ s.
    pub const MAX_INDEX: i32 = 18 * 32;
    /// Upper edge of the zero bucket in seconds (2⁻²⁰), belonging to it.
    pub const ZERO_THRESHOLD: f64 = 1.0 / 1_048_576.0;
    /// Longest duration told apart from longer ones, in nanoseconds (2¹⁸ s).
    pub const MAX_NANOS: u64 = (1 << 18) * 1_000_000_000;

    /// [`Self::ZERO_THRESHOLD`] in whole nanoseconds, rounded down.
    const ZERO_NANOS: u64 = 953;

    /// The bucket of a duration in nanoseconds; `None`: the zero bucket. A few nanoseconds of work.
    #[inline]
    #[must_use]
    pub fn index_of_nanos(nanos: u64) -> Option<i32> {
        if nanos <= Self::ZERO_NANOS {
            return None;
        }
        Some(index_of_positive(nanos.min(Self::MAX_NANOS) as f64 / 1e9))
    }

    /// Upper edge of bucket `index` in seconds, belonging to the bucket; the nearest `f64` to 2^(index/32).
    ///
    /// Right for every index from [`Self::MIN_INDEX`]` - 1` (whose upper edge is the zero threshold) to
    /// [`Self::MAX_INDEX`].
    #[must_use]
    pub fn upper(index: i32) -> f64 {
        let exponent = index.div_euclid(32) + EXPONENT_BIAS;
        let mantissa = EDGES[index.rem_euclid(32) as usize];
        f64::from_bits(((exponent as u64) << MANTISSA_BITS) | mantissa)
    }

    /// Lower edge of bucket `index` in seconds, not belonging to the bucket.
    #[must_use]
    pub fn lower(index: i32) -> f64 {
        Self::upper(index - 1)
    }

    /// The highest bucket that lies wholly at or below `seconds`; `None` where not even the lowest does.
    pub(super) fn last_within(seconds: f64) -> Option<i32> {
        if seconds >= Self::upper(Self::MAX_INDEX) {
            return Some(Self::MAX_INDEX);
        }
        // Also turns NaN away.
        if !matches!(seconds.partial_cmp(&Self::upper(Self::MIN_INDEX)), Some(o) if o.is_ge()) {
            return None;
        }
        let index = index_of_positive(seconds);
        Some(if Self::upper(index) <= seconds { index } else { index - 1 })
    }
}

/// The index of a normal positive number: its exponent gives the octave, a table and one comparison the rest.
#[inline]
fn index_of_positive(seconds: f64) -> i32 {
    let bits = seconds.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32 - EXPONENT_BIAS;
    let mantissa = bits & MANTISSA_MASK;
    let edge = FIRST_EDGE[(mantissa >> (MANTISSA_BITS - 6)) as usize];
    exponent * 32 + i32::from(edge) + i32::from(mantissa > EDGES[usize::from(edge)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Little-endian natural numbers, just enough to compare n^32 with 2^i · 10^288 without rounding.
    #[derive(Clone, PartialEq, Eq)]
    struct Natural(Vec<u32>);

    impl Natural {
        fn from(value: u64) -> Self {
            Self(vec![value as u32, (value >> 32) as u32]).trimmed()
        }
        fn trimmed(mut self) -> Self {
            while self.0.last() == Some(&0) {
                self.0.pop();
            }
            self
        }
        fn times(&self, other: &Self) -> Self {
            let mut out = vec![0u32; self.0.len() + other.0.len()];
            for (i, a) in self.0.iter().enumerate() {
                let mut carry = 0u64;
                for (j, b) in other.0.iter().enumerate() {
                    let sum = u64::from(*a) * u64::from(*b) + u64::from(out[i + j]) + carry;
                    out[i + j] = sum as u32;
                    carry = sum >> 32;
                }
                out[i + other.0.len()] = carry as u32;
            }
            Self(out).trimmed()
        }
        fn power(&self, exponent: u32) -> Self {
            (0..exponent).fold(Self::from(1), |product, _| product.times(self))
        }
        fn compare(&self, other: &Self) -> std::cmp::Ordering {
            self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
        }
    }

    /// Whether `nanos` ≤ 2^(index/32) seconds, decided in whole numbers.
    fn at_most_edge(nanos: u64, index: i32) -> bool {
        let mut left = Natural::from(nanos).power(32);
        let mut right = Natural::from(1_000_000_000).power(32);
        let shift = Natural::from(2).power(index.unsigned_abs());
        if index < 0 {
            left = left.times(&shift);
        } else {
            right = right.times(&shift);
        }
        left.compare(&right).is_le()
    }

    #[test]
    fn every_edge_separates_its_two_neighbouring_nanoseconds_exactly() {
        for index in Scale5::MIN_INDEX - 1..Scale5::MAX_INDEX {
            let near = (Scale5::upper(index) * 1e9) as u64;
            // The last whole nanosecond at or below the true edge.
            let last = (near - 1..=near + 1).rev().find(|n| at_most_edge(*n, index)).unwrap();
            assert!(!at_most_edge(last + 1, index));
            let below = Scale5::index_of_nanos(last);
            assert!(below.is_none_or(|i| i <= index), "{last} ns is at or below edge {index}, not in {below:?}");
            assert!(below.is_some() || index < Scale5::MIN_INDEX + 64, "only tiny values are zero");
            let above = Scale5::index_of_nanos(last + 1);
            assert!(above.is_some_and(|i| i > index), "{} ns is above edge {index}, not in {above:?}", last + 1);
        }
    }

    #[test]
    fn powers_of_two_are_the_upper_edge_of_their_bucket() {
        assert_eq!(Scale5::index_of_nanos(1_000_000_000), Some(0));
        assert_eq!(Scale5::index_of_nanos(1_000_000_001), Some(1));
        assert_eq!(Scale5::index_of_nanos(500_000_000), Some(-32));
        assert_eq!(Scale5::index_of_nanos(8_000_000_000), Some(96));
    }

    #[test]
    fn the_ends_are_the_zero_bucket_and_the_last_one() {
        assert_eq!(Scale5::index_of_nanos(0), None);
        assert_eq!(Scale5::index_of_nanos(953), None);
        assert_eq!(Scale5::index_of_nanos(954), Some(Scale5::MIN_INDEX));
        assert_eq!(Scale5::index_of_nanos(Scale5::MAX_NANOS), Some(Scale5::MAX_INDEX));
        assert_eq!(Scale5::index_of_nanos(u64::MAX), Some(Scale5::MAX_INDEX));
        assert_eq!(Scale5::lower(Scale5::MIN_INDEX).to_bits(), Scale5::ZERO_THRESHOLD.to_bits());
        assert_eq!(
            Scale5::OCTAVES * Scale5::PER_OCTAVE,
            (Scale5::MAX_INDEX - Scale5::MIN_INDEX + 1) as usize,
            "the octaves cover the indexes without a rest"
        );
    }

    #[test]
    fn edges_grow_by_the_base() {
        let base = 2f64.powf(1.0 / 32.0);
        for index in Scale5::MIN_INDEX..=Scale5::MAX_INDEX {
            let ratio = Scale5::upper(index) / Scale5::lower(index);
            assert!((ratio / base - 1.0).abs() < 1e-15, "bucket {index} is {ratio} wide");
        }
    }

    #[test]
    fn a_bound_on_an_edge_takes_its_bucket_in_and_a_bound_below_does_not() {
        for index in Scale5::MIN_INDEX + 1..=Scale5::MAX_INDEX {
            let edge = Scale5::upper(index);
            assert_eq!(Scale5::last_within(edge), Some(index));
            assert_eq!(Scale5::last_within(edge.next_down()), Some(index - 1));
        }
        assert_eq!(Scale5::last_within(Scale5::ZERO_THRESHOLD), None);
        assert_eq!(Scale5::last_within(f64::NAN), None);
        assert_eq!(Scale5::last_within(-1.0), None);
        assert_eq!(Scale5::last_within(f64::INFINITY), Some(Scale5::MAX_INDEX));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_duration_falls_between_the_edges_of_its_bucket(bits in 10u32..48, fill in any::<u64>()) {
            // Spread over magnitudes: a uniform u64 would only ever try the last octaves.
            let nanos = ((1 << bits) | (fill & ((1 << bits) - 1))).min(Scale5::MAX_NANOS);
            let index = Scale5::index_of_nanos(nanos).unwrap();
            prop_assert!(at_most_edge(nanos, index));
            prop_assert!(!at_most_edge(nanos, index - 1));
        }
    }
}
