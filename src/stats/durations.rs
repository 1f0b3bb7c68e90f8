//! What can be said of a quantile of durations, at any time and as often as one likes, also while some still last.

use std::collections::BTreeMap;

use super::mixture::{Prior, ln_likelihood, numbers};
use super::{Alpha, Scale5, Snapshot};

/// The durations of the requests that began in a window, as far as they are known.
///
/// Not all of them are: some still last, and some that ended in the window may have begun before it and do not belong
/// to it. Bounds on quantiles hold whichever they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durations {
    /// What ended in the window.
    pub done: Snapshot,
    /// What began in the window and still lasts, by its age, rounded down: the duration will be that or more.
    pub waiting: Snapshot,
    /// Still lasts, and may or may not have begun in the window.
    pub doubtful: u64,
    /// What had begun before the window, by its age when the window began, rounded down.
    pub carried: Snapshot,
    /// At most so many of `done` are among `carried`.
    pub carried_done: u64,
}

/// What is known of a quantile; in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileBounds {
    /// The quantile of what is known, what still lasts taken at its age; `None` where nothing is known.
    pub estimate: Option<f64>,
    /// The true quantile is this or more. 0 where nothing is known.
    pub low: f64,
    /// The true quantile is this or less; infinite where no bound is known.
    pub high: f64,
}

/// A test of one order of quantiles.
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
        // `max` and `min` also turn NaN into a number.
        let order = order.max(1e-6).min(1.0 - 1e-6);
        let strength = (2.0 / order.min(1.0 - order)).max(100.0);
        Self { order, prior: Prior::new(order * strength, (1.0 - order) * strength) }
    }

    /// Whether so few of all are at most x that the quantile must be above x.
    #[must_use]
    pub fn is_above(&self, at_most: u64, above: u64, alpha: Alpha) -> bool {
        let (hits, misses) = numbers(at_most, above);
        hits < self.order * (hits + misses) && self.is_out(hits, misses, alpha)
    }

    /// Whether so many of all are at most x that the quantile must be x or less.
    #[must_use]
    pub fn is_within(&self, at_most: u64, above: u64, alpha: Alpha) -> bool {
        let (hits, misses) = numbers(at_most, above);
        hits > self.order * (hits + misses) && self.is_out(hits, misses, alpha)
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

    fn is_out(&self, hits: f64, misses: f64, alpha: Alpha) -> bool {
        self.prior.ln_average(hits, misses) - ln_likelihood(hits, misses, self.order) >= alpha.ln_bar()
    }
}

impl From<Snapshot> for Durations {
    /// Durations that are all known.
    fn from(done: Snapshot) -> Self {
        Self { done, ..Self::default() }
    }
}

impl Durations {
    /// How many requests this is about, those that still last among them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.done.count().saturating_add(self.waiting.count())
    }

    /// Adds what is known of other requests.
    pub fn merge(&mut self, other: &Self) {
        self.done.merge(&other.done);
        self.waiting.merge(&other.waiting);
        self.doubtful = self.doubtful.saturating_add(other.doubtful);
        self.carried.merge(&other.carried);
        self.carried_done = self.carried_done.saturating_add(other.carried_done);
    }

    /// Whether all that is known falls into one bucket, as what was measured never does.
    #[must_use]
    pub fn are_all_alike(&self) -> bool {
        let mut all = self.done.clone();
        all.merge(&self.waiting);
        usize::from(all.zero_count() > 0) + all.buckets().take(2).count() <= 1
    }

    /// Where the true quantile of this order is: over all looks ever taken, one of these bounds misses it with
    /// probability `alpha` at most. Rounded outwards to the edges of buckets.
    ///
    /// For a value x, how many are at most x is a count of trials whose rate is the distribution's value at x; x is
    /// ruled out as the quantile once the rate q is. Source: Howard, Ramdas, "Sequential estimation of quantiles with
    /// applications to A/B testing and best-arm identification" (2022). What still lasts counts for the lower bound
    /// as if it ended now, for the upper one as if it never did; what may not belong to the window is left out or
    /// taken in, whichever weakens the bound.
    #[must_use]
    pub fn quantile(&self, order: f64, alpha: Alpha) -> QuantileBounds {
        let test = QuantileTest::new(order);
        let edges = self.edges();
        let low = edges.partition_point(|edge| test.is_above(edge.most_at_most, edge.least_above, alpha));
        let high = edges.partition_point(|edge| !test.is_within(edge.least_at_most, edge.most_above, alpha));
        let mut all = self.done.clone();
        all.merge(&self.waiting);
        let low = edges.get(low).map_or(0.0, |edge| lower_edge(edge.bucket));
        let high = edges.get(high).map_or(f64::INFINITY, |edge| upper_edge(edge.bucket));
        let estimate = all.quantile(order).map(|quantile| quantile.value.clamp(low, high.max(low)));
        QuantileBounds { estimate, low, high }
    }

    /// The buckets where anything is, in rising order, with how much is known to be at most their upper edges; before
    /// them, where nothing is yet.
    fn edges(&self) -> Vec<Edge> {
        let mut counts: BTreeMap<Option<i32>, [u64; 3]> = BTreeMap::new();
        for (place, snapshot) in [&self.done, &self.waiting, &self.carried].into_iter().enumerate() {
            if snapshot.zero_count() > 0 {
                counts.entry(None).or_default()[place] = snapshot.zero_count();
            }
            for bucket in snapshot.buckets() {
                counts.entry(Some(bucket.index)).or_default()[place] = bucket.count;
            }
        }
        let (all_done, all_waiting) = (self.done.count(), self.waiting.count());
        let (mut done, mut waiting, mut carried, mut least_at_most) = (0u64, 0u64, 0u64, 0u64);
        let edge = |(bucket, [ended, lasts, came]): (Option<i32>, [u64; 3])| {
            done = done.saturating_add(ended);
            waiting = waiting.saturating_add(lasts);
            carried = carried.saturating_add(came);
            // What came with the window ended no earlier than at the age it came with.
            let foreign = self.carried_done.min(carried);
            // What is at most this edge is at most every later one, so the best that was known stays known.
            least_at_most = least_at_most.max(done.saturating_sub(foreign));
            Edge {
                bucket,
                most_at_most: done.saturating_add(waiting),
                least_above: all_done
                    .saturating_sub(done)
                    .saturating_sub(self.carried_done)
                    .saturating_add(all_waiting.saturating_sub(waiting)),
                least_at_most,
                most_above: all_done.saturating_sub(done).saturating_add(all_waiting).saturating_add(self.doubtful),
            }
        };
        let none_yet = Edge {
            bucket: None,
            most_at_most: 0,
            least_above: all_done.saturating_sub(self.carried_done).saturating_add(all_waiting),
            least_at_most: 0,
            most_above: u64::MAX,
        };
        std::iter::once(none_yet).chain(counts.into_iter().map(edge)).collect()
    }
}

/// What is known of one bucket's upper edge.
struct Edge {
    /// `None`: the zero bucket.
    bucket: Option<i32>,
    most_at_most: u64,
    least_above: u64,
    least_at_most: u64,
    most_above: u64,
}

fn lower_edge(bucket: Option<i32>) -> f64 {
    bucket.map_or(0.0, Scale5::lower)
}

fn upper_edge(bucket: Option<i32>) -> f64 {
    match bucket {
        None => Scale5::ZERO_THRESHOLD,
        // Longer ones are in it, too.
        Some(Scale5::MAX_INDEX) => f64::INFINITY,
        Some(index) => Scale5::upper(index),
    }
}

#[cfg(test)]
mod tests;
