//! What can be said of a quantile of durations, and of those of two versions, at any time and as often as one likes.

use std::collections::BTreeMap;

use super::{Alpha, Durations, QuantileTest, Scale5, Snapshot};

/// Durations in the order of their lengths: by bucket, between which bounds the number is of those that are at most the
/// bucket's upper edge.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// All that is known, what still lasts at its age; for estimates.
    all: Snapshot,
    /// The first is for what is below all buckets.
    edges: Vec<Edge>,
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

/// How many are at most the upper edge of one bucket, and how many are above it.
#[derive(Debug, Clone, Copy)]
struct Edge {
    /// `None`: the zero bucket, or below it.
    bucket: Option<i32>,
    /// If everything is as short as it may be.
    shortest: Counts,
    /// If everything is as long as it may be.
    longest: Counts,
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    at_most: u64,
    above: u64,
}

/// Values from above `from` to `to`, and by how much each of them is ruled out as the quantile at least.
struct Region {
    from: f64,
    to: f64,
    ln_least: f64,
}

impl Ranked {
    pub(super) fn new(durations: &Durations) -> Self {
        let Durations { done, slowest, waiting, doubtful, carried, carried_done } = durations;
        let slowest = slowest.as_ref().unwrap_or(done);
        let mut counts: BTreeMap<Option<i32>, [u64; 4]> = BTreeMap::new();
        for (place, snapshot) in [done, slowest, waiting, carried].into_iter().enumerate() {
            if snapshot.zero_count() > 0 {
                counts.entry(None).or_default()[place] = snapshot.zero_count();
            }
            for bucket in snapshot.buckets() {
                counts.entry(Some(bucket.index)).or_default()[place] = bucket.count;
            }
        }
        let mut all = slowest.clone();
        all.merge(waiting);
        let (all_done, all_slow, all_waiting) = (done.count(), slowest.count(), waiting.count());
        let mut sums = [0u64; 4];
        let mut surely_within = 0u64;
        let mut edge = |bucket: Option<i32>, counts: [u64; 4]| {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count);
            }
            let [ended, slow, lasts, came] = sums;
            // What came with the window ended no earlier than at the age it came with.
            let foreign = came.min(*carried_done);
            // What is at most this edge is at most every later one, so the best that was known stays known.
            surely_within = surely_within.max(slow.saturating_sub(foreign));
            let waiting_above = all_waiting.saturating_sub(lasts);
            // What still lasts ends now or never; what may not belong here is in or out: whichever weakens the bound.
            let shortest = Counts {
                at_most: ended.saturating_add(lasts),
                above: all_done.saturating_sub(ended).saturating_sub(*carried_done).saturating_add(waiting_above),
            };
            let above = all_slow.saturating_sub(slow).saturating_add(all_waiting).saturating_add(*doubtful);
            Edge { bucket, shortest, longest: Counts { at_most: surely_within, above } }
        };
        let first = edge(None, [0; 4]);
        let edges = std::iter::once(first).chain(counts.into_iter().map(|(bucket, counts)| edge(bucket, counts)));
        Self { edges: edges.collect(), all }
    }

    /// Whether all that is known falls into one bucket, as what was measured never does.
    #[must_use]
    pub fn are_all_alike(&self) -> bool {
        usize::from(self.all.zero_count() > 0) + self.all.buckets().take(2).count() <= 1
    }

    /// Where the true quantile of this order is: over all looks ever taken, one of these bounds misses it with
    /// probability `alpha` at most. Rounded outwards to the edges of buckets.
    #[must_use]
    pub fn quantile(&self, order: f64, alpha: Alpha) -> QuantileBounds {
        let test = QuantileTest::new(order);
        let low = self.edges.partition_point(|edge| test.is_above(edge.shortest.at_most, edge.shortest.above, alpha));
        let high = self.edges.partition_point(|edge| !test.is_within(edge.longest.at_most, edge.longest.above, alpha));
        let low = self.edges.get(low).map_or(0.0, |edge| lower_edge(edge.bucket));
        let high = self.edges.get(high).map_or(f64::INFINITY, |edge| upper_edge(edge.bucket));
        let estimate = self.all.quantile(order).map(|quantile| quantile.value.clamp(low, high.max(low)));
        QuantileBounds { estimate, low, high }
    }

    /// Whether `other`'s quantile of this order is above `ratio` times this one's plus `slack` seconds.
    ///
    /// The two martingales multiplied are a martingale of both arms; that `other` is within the tolerance is ruled out
    /// once every pair of values that is within it is. This finds a difference sooner than two intervals do, each of
    /// which has to be sure by itself. Over all looks ever taken, this or [`Self::is_kept_by`] is wrong with probability
    /// `alpha` at most. Sources as for [`super::Rate::difference`].
    #[must_use]
    pub fn is_exceeded_by(&self, other: &Self, order: f64, (ratio, slack): (f64, f64), alpha: Alpha) -> bool {
        self.rules_out(other, order, alpha, |x, other, test, inner| {
            let most = ratio * x.to + slack;
            // The martingale grows away from the quantile, so its least up to there is there or at the quantile.
            let last = other.count_while(|edge_from| edge_from < most);
            other.region(last.saturating_sub(1).min(inner), test).ln_least
        })
    }

    /// Whether `other`'s quantile of this order is `ratio` times this one's plus `slack` seconds, or less.
    #[must_use]
    pub fn is_kept_by(&self, other: &Self, order: f64, (ratio, slack): (f64, f64), alpha: Alpha) -> bool {
        self.rules_out(other, order, alpha, |x, other, test, inner| {
            let least = ratio * x.from + slack;
            let first = other.count_while(|edge_from| edge_from <= least).saturating_sub(1);
            // The region that begins last at or before there, unless it ends there, too.
            let first = if other.region(first, test).to <= least { first + 1 } else { first };
            if first >= other.regions() {
                return f64::INFINITY;
            }
            other.region(first.max(inner), test).ln_least
        })
    }

    /// Whether every value of this quantile is ruled out together with the values that `least` finds for `other`'s.
    fn rules_out(
        &self,
        other: &Self,
        order: f64,
        alpha: Alpha,
        least: impl Fn(&Region, &Self, &QuantileTest, usize) -> f64,
    ) -> bool {
        let test = QuantileTest::new(order);
        let [mine, theirs] = [self, other].map(|arm| arm.innermost(&test));
        let enough = |place: usize| {
            let region = self.region(place, &test);
            (region.ln_least, region.ln_least + least(&region, other, &test, theirs) >= alpha.ln_bar())
        };
        // Where this one alone is ruled out, whatever the other one's is, so it is further out.
        let hopeless = alpha.ln_bar() - other.region(theirs, &test).ln_least;
        let all = |places: &mut dyn Iterator<Item = usize>| {
            for place in places {
                match enough(place) {
                    (_, false) => return false,
                    (ln_least, true) if ln_least >= hopeless => return true,
                    _ => {}
                }
            }
            true
        };
        all(&mut (mine..self.regions())) && all(&mut (0..mine).rev())
    }

    /// Regions, in rising order: for each edge what is up to it from the one before, then what is above all. A bucket's
    /// region begins where the bucket does; what is empty before it is a region of its own.
    fn regions(&self) -> usize {
        2 * self.edges.len()
    }

    /// Even places are buckets, odd ones what is empty after them.
    fn region(&self, place: usize, test: &QuantileTest) -> Region {
        let (index, is_gap) = (place / 2, !place.is_multiple_of(2));
        let edge = &self.edges[index];
        let next = self.edges.get(index + 1);
        if is_gap {
            let from = if index == 0 { 0.0 } else { upper_edge(edge.bucket) };
            let to = next.map_or(f64::INFINITY, |next| lower_edge(next.bucket).max(from));
            return Region { from, to, ln_least: least(edge, edge, test) };
        }
        match index.checked_sub(1) {
            // Below 0 there is nothing.
            None => Region { from: 0.0, to: 0.0, ln_least: least(edge, edge, test) },
            Some(before) => Region {
                from: lower_edge(edge.bucket),
                to: upper_edge(edge.bucket),
                ln_least: least(&self.edges[before], edge, test),
            },
        }
    }

    /// The region that holds the quantile of what is known.
    fn innermost(&self, test: &QuantileTest) -> usize {
        let index = self.edges.partition_point(|edge| test.side(edge.shortest.at_most, edge.shortest.above) < 0.0);
        2 * index.min(self.edges.len() - 1)
    }

    /// How many regions, from the first, begin where `holds`.
    fn count_while(&self, holds: impl Fn(f64) -> bool) -> usize {
        let begins = |place: usize| {
            let edge = &self.edges[place / 2];
            match (place.is_multiple_of(2), place < 2) {
                (_, true) => 0.0,
                (true, _) => lower_edge(edge.bucket),
                (false, _) => upper_edge(edge.bucket),
            }
        };
        let (mut low, mut high) = (0, self.regions());
        while low < high {
            let middle = usize::midpoint(low, high);
            if holds(begins(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The least of ln of the martingale for any value between two edges, or at the upper one.
fn least(before: &Edge, edge: &Edge, test: &QuantileTest) -> f64 {
    let (fewest, most) = (before.longest, edge.shortest);
    if test.side(fewest.at_most, fewest.above) > 0.0 {
        test.ln_martingale(fewest.at_most, fewest.above)
    } else if test.side(most.at_most, most.above) < 0.0 {
        test.ln_martingale(most.at_most, most.above)
    } else {
        let all = |counts: Counts| counts.at_most.saturating_add(counts.above);
        test.ln_least(all(fewest).max(all(most)))
    }
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
