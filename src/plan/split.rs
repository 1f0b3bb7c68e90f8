//! The split: which version a key belongs to.
//!
//! # The algorithm, as a specification
//!
//! Every serin with the same service name, epoch, version names and weights picks the same version for the same key, on
//! every platform and in every release. What follows is therefore a promise; `split/tests.rs` holds known answers. It is
//! weighted rendezvous hashing (Wang and Ravishankar 1998; the logarithmic weighting is from Mosharaf, Schindelhauer and
//! others) with an exact comparison. All integers are unsigned and wrap; `xxh3` is XXH3 with 64 bits of output.
//!
//! ```text
//! salt    = xxh3(le64(epoch) ‖ service name, seed 0)          the fixed width of the epoch keeps the two apart
//! point   = xxh3(key, seed salt)
//! h(v)    = mix(point XOR xxh3(name of v, seed 0))            the version's own draw: no other version matters to it
//! u(v)    = (h(v) >> 11 | 1) / 2^53                           odd numerator: never 0, never 1, exact in a double
//! cost(v) = trunc(-ln(u(v)) * 2^58)                           a positive 64-bit integer
//! winner  = the v with weight(v) > 0 and the greatest weight(v) / cost(v); among equals the least name, by bytes
//!
//! mix(x): x ^= rotr(x, 25) ^ rotr(x, 50);  x *= 0xA24BAED4963EE407
//!         x ^= rotr(x, 24) ^ rotr(x, 49);  x *= 0x9FB21C651E98DF25;  x ^= x >> 28
//! ```
//!
//! `weight` is in thousandths, and the quotients are compared by multiplying crosswise in 128 bits, which is exact. So
//! multiplying all weights by a number changes no comparison, and raising one weight can only change comparisons in that
//! version's favour: both hold for every key, not merely for nearly every key. `-ln(u)` of a uniform `u` is exponentially
//! distributed, and the least of exponentials divided by their weights belongs to each version in proportion to its weight.
//!
//! `ln` is that of FreeBSD's `msun` as the `libm` crate carries it: it computes in plain double arithmetic without the
//! platform's help, so it rounds alike everywhere. Another `ln` good to one unit in the last place differs for fewer than one
//! key in 10^14. `mix` is `rrxmrrxmsx_0` by Pelle Evensen (2019), chosen because the inputs of two versions differ by a
//! constant, which weaker finalisers let shine through.

use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{VersionId, VersionSet};

mod control;

pub use control::ControlArm;

/// A configured weight: a non-negative number with at most three decimals, kept as thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(u64);

/// Why a number is no weight, or weights are no split.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightError {
    /// Below zero, not finite, or not a number.
    #[error("a weight is a non-negative number, not {0}")]
    NotAWeight(f64),
    /// Finer than a thousandth.
    #[error("a weight has at most three decimals, and {0} has more")]
    TooManyDecimals(f64),
    /// Above [`Weight::MAX`].
    #[error("a weight is at most {max}, not {0}", max = Weight::MAX)]
    TooLarge(f64),
    /// No version would get anything.
    #[error("the weights sum to 0: at least one version needs a weight above 0")]
    SumIsZero,
    /// Not one weight per version.
    #[error("{versions} versions need as many weights, not {weights}")]
    CountMismatch {
        /// How many versions there are.
        versions: usize,
        /// How many weights were given.
        weights: usize,
    },
    /// Versions are told apart by their names alone.
    #[error("two versions are named {0:?}")]
    SameName(String),
}

/// How keys and draws are shared among the versions of one service.
#[derive(Debug, Clone)]
pub struct Split {
    salt: u64,
    /// The names, by version.
    names: Arc<[Arc<str>]>,
    /// By version.
    weights: Vec<Weight>,
    sum: u64,
    /// The first of the versions with a weight above 0, in the order of their names.
    first: Contender,
    /// All others, in that order.
    others: Vec<Contender>,
}

/// A version that may win.
#[derive(Debug, Clone, Copy)]
struct Contender {
    seed: u64,
    weight: u64,
    version: VersionId,
}

impl Weight {
    /// Gets nothing.
    pub const ZERO: Weight = Weight(0);
    /// Gets everything where no other version has any.
    pub const ONE: Weight = Weight(1000);
    /// The greatest weight, a billion: sums of thousandths stay far inside 64 bits and every weight is exact as a double.
    pub const MAX: Weight = Weight(1_000_000_000_000);

    /// The weight that `value` stands for.
    ///
    /// # Errors
    /// If `value` is negative, not finite, above [`Weight::MAX`] or has more than three decimals.
    pub fn from_f64(value: f64) -> Result<Weight, WeightError> {
        if !value.is_finite() || value < 0.0 {
            return Err(WeightError::NotAWeight(value));
        }
        if value > Self::MAX.as_f64() {
            return Err(WeightError::TooLarge(value));
        }
        let thousandths = Weight((value * 1000.0).round() as u64);
        // A double parsed from at most three decimals is the one nearest to them, and so is a correctly rounded quotient.
        if thousandths.as_f64().to_bits() != (value + 0.0).to_bits() {
            return Err(WeightError::TooManyDecimals(value));
        }
        Ok(thousandths)
    }

    /// The weight as it was written.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The weight in thousandths, at most 10^12.
    #[must_use]
    pub fn thousandths(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.as_f64(), f)
    }
}

impl Split {
    /// A split among `versions` by `weights`, both in the same order. `salt` is the service's name; another `epoch` deals
    /// all keys anew.
    ///
    /// # Errors
    /// If the weights are not as many as the versions or sum to 0, or two versions have the same name.
    pub fn new(salt: &str, epoch: u64, versions: &[Arc<str>], weights: Vec<Weight>) -> Result<Split, WeightError> {
        let mut sorted: Vec<&str> = versions.iter().map(|name| &**name).collect();
        sorted.sort_unstable();
        if let Some(same) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(WeightError::SameName(same[0].to_owned()));
        }
        let salt = xxh3_64(&[&epoch.to_le_bytes(), salt.as_bytes()].concat());
        Self::build(salt, versions.into(), weights)
    }

    /// The same split (salt, epoch, versions) with other weights.
    ///
    /// # Errors
    /// If the weights are not as many as the versions or sum to 0.
    pub fn with_weights(&self, weights: Vec<Weight>) -> Result<Split, WeightError> {
        Self::build(self.salt, Arc::clone(&self.names), weights)
    }

    fn build(salt: u64, names: Arc<[Arc<str>]>, weights: Vec<Weight>) -> Result<Split, WeightError> {
        if names.len() != weights.len() {
            return Err(WeightError::CountMismatch { versions: names.len(), weights: weights.len() });
        }
        let mut live: Vec<Contender> = names
            .iter()
            .zip(&weights)
            .enumerate()
            .filter(|(_, (_, weight))| weight.0 > 0)
            .map(|(index, (name, weight))| Contender {
                seed: xxh3_64(name.as_bytes()),
                weight: weight.0,
                version: VersionId::from_index(index),
            })
            .collect();
        live.sort_unstable_by_key(|contender| &names[contender.version.index()]);
        let mut live = live.into_iter();
        let first = live.next().ok_or(WeightError::SumIsZero)?;
        let others = live.collect();
        let sum = weights.iter().map(|weight| weight.0).sum();
        Ok(Split { salt, names, weights, sum, first, others })
    }

    /// The configured weights, by version.
    #[must_use]
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// The part of all keys and draws that `version` gets: its weight divided by the sum, 0 to 1.
    ///
    /// # Panics
    /// If the split has no such version.
    #[must_use]
    pub fn share(&self, version: VersionId) -> f64 {
        self.weights[version.index()].0 as f64 / self.sum as f64
    }

    /// The version of `key`: always the same for the same key and weights.
    #[must_use]
    pub fn pick_key(&self, key: &[u8]) -> VersionId {
        let mut best = self.first;
        if self.others.is_empty() {
            return best.version;
        }
        let point = xxh3_64_with_seed(key, self.salt);
        let mut best_cost = cost(mix(point ^ best.seed));
        for challenger in &self.others {
            let cost = cost(mix(point ^ challenger.seed));
            // weight / cost, compared crosswise.
            if product(challenger.weight, best_cost) > product(best.weight, cost) {
                (best, best_cost) = (*challenger, cost);
            }
        }
        best.version
    }

    /// The version of `key` where only some versions can take it: the one of `up` that wins among them, and where none
    /// of them gets anything, the one of [`Self::pick_key`].
    ///
    /// A version's place in the race depends on nothing but itself, so leaving one out moves only the keys it would have
    /// won, each to whoever came second there: all others stay where they are.
    #[must_use]
    pub fn pick_key_among(&self, key: &[u8], up: VersionSet) -> VersionId {
        let mut contenders = self.contenders().filter(|contender| up.contains(contender.version));
        let Some(mut best) = contenders.next() else { return self.pick_key(key) };
        let point = xxh3_64_with_seed(key, self.salt);
        let mut best_cost = cost(mix(point ^ best.seed));
        for challenger in contenders {
            let cost = cost(mix(point ^ challenger.seed));
            // Contenders come in the order of their names, so that the least of equals stays.
            if product(challenger.weight, best_cost) > product(best.weight, cost) {
                (best, best_cost) = (challenger, cost);
            }
        }
        best.version
    }

    /// The version for a request without a key where only some versions can take it: each of `up` gets its weight's share
    /// of theirs, and where none of them has one, as [`Self::pick_draw`].
    #[must_use]
    pub fn pick_draw_among(&self, random: u64, up: VersionSet) -> VersionId {
        let sum = self.sum_among(up);
        let mut left = (product(random, sum) >> 64) as u64; // uniform in 0..sum
        for contender in self.contenders().filter(|contender| up.contains(contender.version)) {
            if left < contender.weight {
                return contender.version;
            }
            left -= contender.weight;
        }
        // Only where the sum is 0.
        self.pick_draw(random)
    }

    /// The part of all keys and draws that `version` gets where only those of `up` can take them, 0 to 1; its
    /// [`Self::share`] where none of these has one.
    ///
    /// # Panics
    /// If the split has no such version.
    #[must_use]
    pub fn share_among(&self, version: VersionId, up: VersionSet) -> f64 {
        match self.sum_among(up) {
            0 => self.share(version),
            _ if !up.contains(version) => 0.0,
            sum => self.weights[version.index()].0 as f64 / sum as f64,
        }
    }

    /// Whether any of `up` gets anything at all.
    #[must_use]
    pub fn has_share_among(&self, up: VersionSet) -> bool {
        self.contenders().any(|contender| up.contains(contender.version))
    }

    fn sum_among(&self, up: VersionSet) -> u64 {
        self.contenders().filter(|contender| up.contains(contender.version)).map(|contender| contender.weight).sum()
    }

    /// All versions that may win, in the order of their names.
    fn contenders(&self) -> impl Iterator<Item = Contender> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// The version for a request without a key. `random` is uniform over all of `u64`; each version gets its share of
    /// draws to within 1 in 2^64.
    #[must_use]
    pub fn pick_draw(&self, random: u64) -> VersionId {
        let mut left = (product(random, self.sum) >> 64) as u64; // uniform in 0..sum
        for contender in &self.others {
            if left < contender.weight {
                return contender.version;
            }
            left -= contender.weight;
        }
        self.first.version
    }
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// An exponentially distributed number in units of 2^-58, from a version's hash of a key; 32 at least, so never 0.
fn cost(hash: u64) -> u64 {
    const ULP: f64 = 1.0 / (1_u64 << 53) as f64;
    const SCALE: f64 = (1_u64 << 58) as f64;
    let u = (hash >> 11 | 1) as f64 * ULP;
    (-libm::log(u) * SCALE) as u64
}

/// A strong bijection of 64 bits, see the module's head.
fn mix(mut x: u64) -> u64 {
    x ^= x.rotate_right(25) ^ x.rotate_right(50);
    x = x.wrapping_mul(0xA24B_AED4_963E_E407);
    x ^= x.rotate_right(24) ^ x.rotate_right(49);
    x = x.wrapping_mul(0x9FB2_1C65_1E98_DF25);
    x ^ (x >> 28)
}

#[cfg(test)]
mod tests;
