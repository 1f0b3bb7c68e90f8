//! Latencies of one window, and their median.

use std::time::Duration;

/// Least samples of a median: of exponentially distributed latencies it is then off by a fifth at most, two times in three.
pub(super) const ENOUGH: u32 = 50;
/// Most samples that are kept; the last ones count.
const KEPT: usize = 256;
/// Shortest window: a fast service gives thousands of samples a second, which say nothing more.
const SHORTEST: Duration = Duration::from_millis(100);

/// Latencies of requests that began within the window. Those of before would tell of a limit that holds no more.
#[derive(Debug)]
pub(super) struct Window {
    began: Duration,
    /// Microseconds, the newest over the oldest.
    samples: Box<[u32; KEPT]>,
    count: u32,
    /// Known once there are [`ENOUGH`].
    closes: Option<Duration>,
    /// Most requests in flight at a time.
    peak: u32,
}

/// What a window has seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) median: Duration,
    /// Most requests in flight at a time.
    pub(super) peak: u32,
}

impl Window {
    pub(super) fn new(now: Duration) -> Self {
        Self { began: now, samples: Box::new([0; KEPT]), count: 0, closes: None, peak: 0 }
    }

    /// Begins anew.
    pub(super) fn restart(&mut self, now: Duration) {
        (self.began, self.count, self.closes, self.peak) = (now, 0, None, 0);
    }

    /// So many requests are in flight.
    pub(super) fn in_flight(&mut self, count: u32) {
        self.peak = self.peak.max(count);
    }

    /// Takes the latency of a request that began at `begun`; gives what was seen once that is enough.
    pub(super) fn take(&mut self, begun: Duration, latency: Duration, now: Duration) -> Option<Seen> {
        if begun < self.began {
            return None;
        }
        self.samples[self.count as usize % KEPT] = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.count += 1;
        if self.count < ENOUGH {
            return None;
        }
        if self.closes.is_none() {
            // The first to be answered are the fast ones: wait until the usual ones had their time, too.
            self.closes = Some(self.began + SHORTEST.max(2 * self.median()));
        }
        self.closes.is_some_and(|closes| now >= closes).then(|| self.seen())
    }

    /// What was seen so far, where that is at least `least` samples.
    pub(super) fn so_far(&mut self, least: u32) -> Option<Seen> {
        (self.count >= least).then(|| self.seen())
    }

    fn seen(&mut self) -> Seen {
        Seen { median: self.median(), peak: self.peak }
    }

    fn median(&mut self) -> Duration {
        let samples = &mut self.samples[..KEPT.min(self.count as usize)];
        let middle = samples.len() / 2;
        let (_, median, _) = samples.select_nth_unstable(middle);
        Duration::from_micros(u64::from(*median))
    }
}
