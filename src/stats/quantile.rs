//! The test under every bound on a quantile.

use super::Alpha;
use super::mixture::{Prior, ln_likelihood, numbers};

/// A test of one order of quantiles.
///
/// For a value x, how many of all are at most x is a count of trials whose rate is the distribution's value at x; x is
/// ruled out as the quantile of order q once the rate q is. Source: Howard, Ramdas, "Sequential estimation of quantiles
/// with applications to A/B testing and best-arm identification" (2022).
#[derive(Debug, Clone, Copy)]
pub struct QuantileTest {
    order: f64,
    prior: Prior,
}

impl QuantileTest {
    /// The test for quantiles of this order.
    ///
    /// The prior is centred on the order and as strong as 100 trials, or as many as hold two on the rarer side.
    ///
    /// `order` is above 0 and below 1; what is outside counts as a millionth from the nearer end.
    #[must_use]
    pub fn new(order: f64) -> Self {
        #[expect(clippy::manual_clamp, reason = "`clamp` would leave NaN as it is")]
        let order = order.max(1e-6).min(1.0 - 1e-6);
        let strength = (2.0 / order.min(1.0 - order)).max(100.0);
        Self { order, prior: Prior::new(order * strength, (1.0 - order) * strength) }
    }

    /// Whether so few of all are at most x that the quantile must be above x.
    #[must_use]
    pub fn is_above(&self, at_most: u64, above: u64, alpha: Alpha) -> bool {
        self.side(at_most, above) < 0.0 && self.ln_martingale(at_most, above) >= alpha.ln_bar()
    }

    /// Whether so many of all are at most x that the quantile must be x or less.
    #[must_use]
    pub fn is_within(&self, at_most: u64, above: u64, alpha: Alpha) -> bool {
        self.side(at_most, above) > 0.0 && self.ln_martingale(at_most, above) >= alpha.ln_bar()
    }

    /// Fewest durations that can bound the quantile from above, if all of them are short.
    #[must_use]
    pub fn least_for_bound(&self, alpha: Alpha) -> u64 {
        let mut enough = 1;
        while !self.is_within(enough, 0, alpha) {
            enough *= 2;
        }
        let mut short = enough / 2;
        while enough - short > 1 {
            let middle = u64::midpoint(short, enough);
            if self.is_within(middle, 0, alpha) { enough = middle } else { short = middle }
        }
        enough
    }

    /// Below 0 where fewer than the order are at most x, above 0 where more are.
    pub(super) fn side(&self, at_most: u64, above: u64) -> f64 {
        let (hits, misses) = numbers(at_most, above);
        hits - self.order * (hits + misses)
    }

    /// ln of the martingale for x being the quantile. It grows with the distance from the order, on both sides.
    pub(super) fn ln_martingale(&self, at_most: u64, above: u64) -> f64 {
        let (hits, misses) = numbers(at_most, above);
        self.ln_martingale_of(hits, misses)
    }

    /// ln of the least the martingale can be for so many: where just as many as the order says are at most x.
    pub(super) fn ln_least(&self, all: u64) -> f64 {
        let (all, _) = numbers(all, 0);
        self.ln_martingale_of(self.order * all, (1.0 - self.order) * all)
    }

    fn ln_martingale_of(&self, hits: f64, misses: f64) -> f64 {
        self.prior.ln_average(hits, misses) - ln_likelihood(hits, misses, self.order)
    }
}
