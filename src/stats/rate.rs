//! What can be said of a rate, and of the difference of two, at any time and as often as one likes.

use super::Alpha;
use super::mixture::{Prior, ln_likelihood, numbers};

/// Trials of which some were hits: failed requests, say, or answers that differ.
///
/// Rates are averaged by two priors of equal weight: Beta(½, ½), which is good for any rate, and Beta(½, 50), which is
/// good for the rates of services that work. Their average is a martingale like each of them, and costs at most ln 2
/// against the better one.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    hits: f64,
    misses: f64,
    /// ln of the likelihood averaged over rates.
    ln_average: f64,
}

/// From where to where something may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The least it may be.
    pub low: f64,
    /// The most it may be.
    pub high: f64,
}

/// Steps of a search for the end of an interval. Each halves what is left; the end given is the outer one.
const STEPS: u32 = 60;
/// The same for a difference, whose steps cost more: to 10⁻¹².
const STEPS_OF_DIFFERENCE: u32 = 41;
/// The same for the rates that make a difference most likely.
const STEPS_TO_LIKELIEST: u32 = 50;

impl Rate {
    /// So many `hits` of so many `trials`; more hits than trials count as all.
    #[must_use]
    pub fn new(hits: u64, trials: u64) -> Self {
        let (hits, misses) = numbers(hits.min(trials), trials.saturating_sub(hits));
        let [any, rare] = [(0.5, 0.5), (0.5, 50.0)].map(|(a, b)| Prior::new(a, b).ln_average(hits, misses));
        let most = any.max(rare);
        let ln_average = most + libm::log(0.5 * (libm::exp(any - most) + libm::exp(rare - most)));
        Self { hits, misses, ln_average }
    }

    /// The share of hits; `None` where nothing was tried.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        let trials = self.hits + self.misses;
        (trials > 0.0).then(|| self.hits / trials)
    }

    /// Where the true rate is: over all looks ever taken, one of these intervals misses it with probability `alpha` at
    /// most. 0 to 1 where nothing was tried.
    #[must_use]
    pub fn interval(&self, alpha: Alpha) -> Interval {
        let Some(estimate) = self.estimate() else { return Interval { low: 0.0, high: 1.0 } };
        let out = |p: f64| self.ln_martingale(p) >= alpha.ln_bar();
        Interval { low: outer_end(0.0, estimate, STEPS, out), high: outer_end(1.0, estimate, STEPS, out) }
    }

    /// Where `other`'s true rate less this one's is, as [`Self::interval`] says it. −1 to 1 where one was not tried.
    ///
    /// The two martingales multiplied are a martingale of both arms, whatever the order their trials came in. A
    /// difference is ruled out once every pair of rates with that difference is. This finds a difference sooner than two
    /// intervals do, each of which has to be sure by itself. Sources: Turner and Grünwald, "Exact anytime-valid
    /// confidence intervals for contingency tables and beyond" (2023); the infimum over a composite hypothesis:
    /// Wasserman, Ramdas, Balakrishnan, "Universal inference" (2020).
    #[must_use]
    pub fn difference(&self, other: &Self, alpha: Alpha) -> Interval {
        let (Some(mine), Some(theirs)) = (self.estimate(), other.estimate()) else {
            return Interval { low: -1.0, high: 1.0 };
        };
        let likeliest = theirs - mine;
        let out = |difference: f64| self.least_martingale(other, difference) >= alpha.ln_bar();
        Interval {
            low: outer_end(-1.0, likeliest, STEPS_OF_DIFFERENCE, out),
            high: outer_end(1.0, likeliest, STEPS_OF_DIFFERENCE, out),
        }
    }

    /// Whether `other`'s rate is above this one's by more than `slack`: what [`Self::difference`] says by its lower end,
    /// for a fiftieth of the work.
    #[must_use]
    pub fn is_exceeded_by(&self, other: &Self, slack: f64, alpha: Alpha) -> bool {
        let (Some(mine), Some(theirs)) = (self.estimate(), other.estimate()) else { return false };
        theirs - mine > slack && self.least_martingale(other, slack) >= alpha.ln_bar()
    }

    /// Whether `other`'s rate is above this one's by at most `slack`, or is below it: what [`Self::difference`] says by its
    /// upper end, for a fiftieth of the work.
    #[must_use]
    pub fn is_kept_by(&self, other: &Self, slack: f64, alpha: Alpha) -> bool {
        let (Some(mine), Some(theirs)) = (self.estimate(), other.estimate()) else { return false };
        theirs - mine < slack && self.least_martingale(other, slack) >= alpha.ln_bar()
    }

    /// ln of the martingale for the rate `p`: convex, at most 0 at the estimate.
    fn ln_martingale(&self, p: f64) -> f64 {
        self.ln_average - ln_likelihood(self.hits, self.misses, p)
    }

    /// The least, over all pairs of rates whose difference is `difference`, of ln of both martingales multiplied.
    ///
    /// It is convex in the rate, so halving by the sign of its slope finds the least.
    fn least_martingale(&self, other: &Self, difference: f64) -> f64 {
        let (mut low, mut high) = ((-difference).max(0.0), (1.0 - difference).min(1.0));
        let both = |p: f64| self.ln_martingale(p) + other.ln_martingale((p + difference).clamp(0.0, 1.0));
        let mut least = both(low).min(both(high));
        for _ in 0..STEPS_TO_LIKELIEST {
            let middle = low.midpoint(high);
            if self.slope(middle) + other.slope((middle + difference).clamp(0.0, 1.0)) < 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        least = least.min(both(low.midpoint(high)));
        least
    }

    /// How fast [`Self::ln_martingale`] grows at `p`.
    fn slope(&self, p: f64) -> f64 {
        let of_hits = if self.hits > 0.0 { self.hits / p } else { 0.0 };
        let of_misses = if self.misses > 0.0 { self.misses / (1.0 - p) } else { 0.0 };
        of_misses - of_hits
    }
}

/// Where, from `inside` towards `end`, things begin to be `out`, rounded outwards; `end` where they never are.
fn outer_end(end: f64, inside: f64, steps: u32, out: impl Fn(f64) -> bool) -> f64 {
    if !out(end) {
        return end;
    }
    let (mut outer, mut inner) = (end, inside);
    for _ in 0..steps {
        let middle = outer.midpoint(inner);
        if out(middle) {
            outer = middle;
        } else {
            inner = middle;
        }
    }
    outer
}

#[cfg(test)]
mod tests;
