//! The cell a worker counts durations in.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Scale5, Snapshot};

/// Counts of one factor of two.
type Octave = [AtomicU64; Scale5::PER_OCTAVE];

/// A concurrent [`Scale5`] histogram with **one writer** and any number of readers.
///
/// The writer pays a plain load and store per figure; with two writers at once counts would be lost (nothing else would
/// break), so each worker has its own and [`Snapshot::merge`] adds them up. Memory comes an octave at a time, when the
/// first duration falls into it: 0.6 KB unused, a quarter of a kilobyte for each factor of two in use.
#[derive(Debug)]
pub struct Histogram {
    zero: AtomicU64,
    sum_nanos: AtomicU64,
    octaves: [OnceLock<Box<Octave>>; Scale5::OCTAVES],
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            zero: AtomicU64::new(0),
            sum_nanos: AtomicU64::new(0),
            octaves: [const { OnceLock::new() }; Scale5::OCTAVES],
        }
    }

    /// Counts one duration. Only ever call this from the histogram's one writer.
    ///
    /// The sum stops growing at 2⁶⁴ ns, which is 584 years of waiting.
    #[inline]
    pub fn record_nanos(&self, nanos: u64) {
        self.sum_nanos.store(self.sum_nanos.load(Relaxed).saturating_add(nanos), Relaxed);
        let count = match Scale5::index_of_nanos(nanos) {
            None => &self.zero,
            Some(index) => {
                let position = (index - Scale5::MIN_INDEX) as usize;
                let octave = self.octaves[position / Scale5::PER_OCTAVE]
                    .get_or_init(|| Box::new([const { AtomicU64::new(0) }; Scale5::PER_OCTAVE]));
                &octave[position % Scale5::PER_OCTAVE]
            }
        };
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// What has been counted so far.
    ///
    /// Taken while the writer is at work, it may lack the latest few durations, and its sum may be ahead of its counts by
    /// as many; no count ever goes back from one snapshot to the next.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let zero = self.zero.load(Relaxed);
        let used = |octave: &OnceLock<Box<Octave>>| octave.get().is_some();
        let Some(first) = self.octaves.iter().position(used) else {
            return Snapshot::from_counts(zero, self.sum_nanos.load(Relaxed), Scale5::MIN_INDEX, Vec::new());
        };
        let last = self.octaves.iter().rposition(used).unwrap_or(first);
        let mut counts = Vec::with_capacity((last - first + 1) * Scale5::PER_OCTAVE);
        for octave in &self.octaves[first..=last] {
            match octave.get() {
                Some(octave) => counts.extend(octave.iter().map(|count| count.load(Relaxed))),
                None => counts.extend([0; Scale5::PER_OCTAVE]),
            }
        }
        let first_index = Scale5::MIN_INDEX + (first * Scale5::PER_OCTAVE) as i32;
        Snapshot::from_counts(zero, self.sum_nanos.load(Relaxed), first_index, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cell_counts_what_a_plain_snapshot_counts(durations in prop::collection::vec(any_duration(), 0..200)) {
            let cell = Histogram::new();
            let mut plain = Snapshot::default();
            for nanos in durations {
                cell.record_nanos(nanos);
                plain.record_nanos(nanos);
            }
            prop_assert_eq!(cell.snapshot(), plain);
        }
    }

    fn any_duration() -> impl Strategy<Value = u64> {
        (0u32..64, any::<u64>()).prop_map(|(shift, fill)| fill >> shift)
    }

    #[test]
    fn a_reader_beside_the_writer_never_sees_a_count_go_back_and_ends_with_them_all() {
        let cell = Histogram::new();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..200_000u64).for_each(|n| cell.record_nanos(n * 50)));
            let mut earlier = cell.snapshot();
            while !writer.is_finished() {
                let now = cell.snapshot();
                assert_eq!(earlier.since(&now).count(), 0, "nothing was there before that is gone now");
                earlier = now;
            }
        });
        assert_eq!(cell.snapshot().count(), 200_000);
        assert_eq!(cell.snapshot().sum_nanos(), (0..200_000u64).map(|n| n * 50).sum::<u64>());
    }

    #[test]
    fn an_unused_histogram_is_small() {
        assert!(size_of::<Histogram>() <= 640, "{} bytes", size_of::<Histogram>());
    }
}
