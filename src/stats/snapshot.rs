//! What was read from histograms: plain numbers that add, subtract and answer quantiles.

use super::Scale5;

/// Counts by [`Scale5`] bucket, ordered, with the sum of what was counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    zero: u64,
    sum_nanos: u64,
    /// Index of `counts[0]`; 0 where there are none.
    first: i32,
    /// Counts by index without gaps. Neither the first nor the last is 0, so that equal contents are equal values.
    counts: Vec<u64>,
}

/// One bucket that has counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its [`Scale5`] index.
    pub index: i32,
    /// Its upper edge in seconds, which belongs to it.
    pub upper: f64,
    /// How many values fell into it. Never 0.
    pub count: u64,
}

/// An estimated quantile and how far it may be off, all in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The estimate, between `low` and `high`.
    pub value: f64,
    /// The true value is above this (or is 0 where this is 0).
    pub low: f64,
    /// The true value is at most this; in the last bucket longer values are counted as this.
    pub high: f64,
}

impl Snapshot {
    /// Brings counts into the one form a snapshot has; `counts[0]` is the count of bucket `first`.
    pub(super) fn from_counts(zero: u64, sum_nanos: u64, first: i32, counts: Vec<u64>) -> Self {
        let mut snapshot = Self { zero, sum_nanos, first, counts };
        snapshot.trim();
        snapshot
    }

    /// Counts one duration, for whoever counts in one place and needs no shared cell.
    pub fn record_nanos(&mut self, nanos: u64) {
        self.sum_nanos = self.sum_nanos.saturating_add(nanos);
        match Scale5::index_of_nanos(nanos) {
            None => self.zero += 1,
            Some(index) => {
                self.cover(index, index);
                self.counts[(index - self.first) as usize] += 1;
            }
        }
    }

    /// Adds another snapshot's counts and sum. Saturates at 2⁶⁴ − 1.
    pub fn merge(&mut self, other: &Self) {
        self.zero = self.zero.saturating_add(other.zero);
        self.sum_nanos = self.sum_nanos.saturating_add(other.sum_nanos);
        if let Some(last) = other.last() {
            self.cover(other.first, last);
            let offset = (other.first - self.first) as usize;
            for (mine, theirs) in self.counts[offset..].iter_mut().zip(&other.counts) {
                *mine = mine.saturating_add(*theirs);
            }
        }
    }

    /// The same counted so many times over. Saturates at 2⁶⁴ − 1.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.zero = self.zero.saturating_mul(times);
        self.sum_nanos = self.sum_nanos.saturating_mul(times);
        self.counts.iter_mut().for_each(|count| *count = count.saturating_mul(times));
        self.trim();
        self
    }

    /// What was counted after `earlier`, a previous snapshot of the same cells. Where `earlier` has more, nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut window = self.clone();
        window.zero = window.zero.saturating_sub(earlier.zero);
        window.sum_nanos = window.sum_nanos.saturating_sub(earlier.sum_nanos);
        for (index, count) in (window.first..).zip(&mut window.counts) {
            *count = count.saturating_sub(earlier.count_in(index));
        }
        window.trim();
        window
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(self.zero, |sum, count| sum.saturating_add(*count))
    }

    /// How many values were too small for a bucket: at most [`Scale5::ZERO_THRESHOLD`].
    #[must_use]
    pub fn zero_count(&self) -> u64 {
        self.zero
    }

    /// The sum of all values in nanoseconds.
    #[must_use]
    pub fn sum_nanos(&self) -> u64 {
        self.sum_nanos
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.zero == 0 && self.counts.is_empty()
    }

    /// The buckets that have counts, in rising order; the zero bucket is not among them.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let indexed = (self.first..).zip(&self.counts).filter(|(_, count)| **count > 0);
        indexed.map(|(index, count)| Bucket { index, upper: Scale5::upper(index), count: *count })
    }

    /// How many values fell into bucket `index`.
    #[must_use]
    pub fn count_in(&self, index: i32) -> u64 {
        let offset = usize::try_from(i64::from(index) - i64::from(self.first));
        offset.ok().and_then(|offset| self.counts.get(offset)).copied().unwrap_or(0)
    }

    /// How many values are known to be at most `seconds`: those of all buckets that end there or below. Exact where
    /// `seconds` is an edge ([`Scale5::upper`]), else short by at most what fell into the bucket around `seconds`.
    #[must_use]
    pub fn count_at_most(&self, seconds: f64) -> u64 {
        let zero = if seconds >= Scale5::ZERO_THRESHOLD { self.zero } else { 0 };
        let Some(last) = Scale5::last_within(seconds) else { return zero };
        let covered = usize::try_from(last - self.first + 1).unwrap_or(0).min(self.counts.len());
        self.counts[..covered].iter().fold(zero, |sum, count| sum.saturating_add(*count))
    }

    /// The `q`-quantile by nearest rank: the bucket of the ⌈q·n⌉-th smallest value. `None` where nothing was counted.
    ///
    /// `q` is from 0 (the smallest value) to 1 (the largest); what is outside counts as the nearer end. Within its bucket
    /// the estimate is interpolated on the logarithm, so it is off by less than 2.2 %.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Quantile> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
        if rank <= self.zero {
            let value = Scale5::ZERO_THRESHOLD * within(rank, self.zero);
            return Some(Quantile { value, low: 0.0, high: Scale5::ZERO_THRESHOLD });
        }
        let mut below = self.zero;
        self.buckets().find_map(|bucket| {
            let rank_in_bucket = rank - below;
            if rank_in_bucket > bucket.count {
                below += bucket.count;
                return None;
            }
            let (low, high) = (Scale5::lower(bucket.index), bucket.upper);
            let value = low * (high / low).powf(within(rank_in_bucket, bucket.count));
            Some(Quantile { value: value.clamp(low, high), low, high })
        })
    }

    /// Index of the last count.
    fn last(&self) -> Option<i32> {
        (!self.counts.is_empty()).then(|| self.first + self.counts.len() as i32 - 1)
    }

    /// Makes room for the buckets from `low` to `high`.
    fn cover(&mut self, low: i32, high: i32) {
        let Some(last) = self.last() else {
            self.first = low;
            self.counts = vec![0; (high - low + 1) as usize];
            return;
        };
        if low < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, (self.first - low) as usize));
            self.first = low;
        }
        if high > last {
            self.counts.resize((high - self.first + 1) as usize, 0);
        }
    }

    /// Drops zeros at both ends.
    fn trim(&mut self) {
        let used = |count: &u64| *count > 0;
        let Some(start) = self.counts.iter().position(used) else {
            self.first = 0;
            self.counts = Vec::new();
            return;
        };
        let end = self.counts.iter().rposition(used).map_or(start, |last| last + 1);
        self.counts.truncate(end);
        self.counts.drain(..start);
        self.first += start as i32;
    }
}

/// How far into its bucket the `rank`-th of `count` values stands if they are spread evenly: between 0 and 1.
fn within(rank: u64, count: u64) -> f64 {
    (rank as f64 - 0.5) / count as f64
}

#[cfg(test)]
mod tests;
