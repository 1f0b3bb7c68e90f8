//! The martingale under every confidence sequence here.
//!
//! For n trials with k successes, `M(p) = B(a+k, b+n−k) / (B(a,b) · p^k · (1−p)^(n−k))` is the likelihood of what was
//! seen, averaged over rates by a Beta(a, b), against its likelihood under the rate p. For the true p it is a martingale
//! that begins at 1, so it ever reaches 1/α with probability α at most, over all n together (Ville's inequality): what p
//! reaches it can be ruled out, however often one looks. Sources: Robbins, "Statistical methods related to the law of
//! the iterated logarithm" (1970); Howard, Ramdas, `McAuliffe`, Sekhon, "Time-uniform, nonparametric, nonasymptotic
//! confidence sequences" (2021).
//!
//! All in logarithms.

use libm::{lgamma, log, log1p};

/// The weights of rates in the average: a Beta(a, b).
#[derive(Debug, Clone, Copy)]
pub(super) struct Prior {
    a: f64,
    b: f64,
    ln_beta: f64,
}

impl Prior {
    /// Beta(a, b); both are above 0.
    pub(super) fn new(a: f64, b: f64) -> Self {
        Self { a, b, ln_beta: ln_beta(a, b) }
    }

    /// ln of the likelihood of `hits` and `misses` in one order, averaged over rates.
    pub(super) fn ln_average(&self, hits: f64, misses: f64) -> f64 {
        ln_beta(self.a + hits, self.b + misses) - self.ln_beta
    }
}

/// ln of the likelihood of `hits` and `misses` in one order at the rate `p`; −∞ where that cannot be.
pub(super) fn ln_likelihood(hits: f64, misses: f64, p: f64) -> f64 {
    // 0 · ln 0 is 0 here: what did not happen rules nothing out.
    let of_hits = if hits > 0.0 { hits * log(p) } else { 0.0 };
    let of_misses = if misses > 0.0 { misses * log1p(-p) } else { 0.0 };
    of_hits + of_misses
}

fn ln_beta(a: f64, b: f64) -> f64 {
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

/// Above so many trials the logarithms' rounding would begin to show (it is 0.003 here).
const MOST: u64 = 1 << 40;

/// Counts as numbers to calculate with. More than 2⁴⁰ trials count as 2⁴⁰ of the same proportions, which only ever makes
/// intervals wider.
pub(super) fn numbers(hits: u64, misses: u64) -> (f64, f64) {
    let (hits, misses) = (hits as f64, misses as f64);
    let scale = (MOST as f64 / (hits + misses)).min(1.0);
    // 0 trials: the scale is ∞ cut to 1.
    (hits * scale, misses * scale)
}
