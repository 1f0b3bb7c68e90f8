//! Since when requests are in flight, at the price of two stores a request.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence};

/// Slots of one level.
const SLOTS: usize = 64;
/// Levels, each with ticks 16 times as long as the one before: 1 ms, 17 ms, 0.27 s, 4.3 s.
const LEVELS: usize = 4;
/// A tick of the first level, as a power of two of nanoseconds.
const FIRST_BITS: u32 = 20;
/// What a tick of the next level is longer, as a power of two.
const NEXT_BITS: u32 = 4;
/// A slot holds the tick it is for above this many bits, and below how many requests began then. So many in flight at
/// one worker would take more memory than there is.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// How many requests in flight began when. **One writer**, any number of readers.
///
/// A ring of short ticks; what is still in flight when its slot is wanted for a newer tick moves on to a ring of longer
/// ones, and in the end to those of which nothing but their number is known. A tick in a slot only ever grows, which
/// makes it certain where a request of a given tick is counted: at the first level whose slot has its tick.
#[derive(Debug)]
pub(super) struct InFlight {
    levels: [[AtomicU64; SLOTS]; LEVELS],
    older: AtomicU64,
    /// The last nanosecond in which one of the older ones may have begun.
    older_latest: AtomicU64,
}

/// When a request began, to the tick; given back when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began(u64);

/// Requests in flight that began at about the same time, in nanoseconds since the registry was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeganTogether {
    /// None of them began before this.
    pub earliest_nanos: u64,
    /// None of them began after this.
    pub latest_nanos: u64,
    /// How many they are. Never 0.
    pub count: u64,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            levels: [const { [const { AtomicU64::new(0) }; SLOTS] }; LEVELS],
            older: AtomicU64::new(0),
            older_latest: AtomicU64::new(0),
        }
    }
}

impl InFlight {
    /// A request that began at `nanos` is in flight.
    #[inline]
    pub(super) fn enter(&self, nanos: u64) -> Began {
        let began = Began(nanos >> FIRST_BITS);
        self.join(began);
        began
    }

    /// A request is in flight that began when another one of these counts says.
    #[inline]
    pub(super) fn join(&self, Began(tick): Began) {
        let slot = &self.levels[0][tick as usize % SLOTS];
        let held = slot.load(Relaxed);
        if held >> COUNT_BITS == tick {
            slot.store(held + 1, Release);
        } else {
            self.put(0, tick, 1);
        }
    }

    /// It is no more. Whoever sees what is counted after this sees that, too, if it reads that first.
    #[inline]
    pub(super) fn leave(&self, Began(tick): Began) {
        let slot = &self.levels[0][tick as usize % SLOTS];
        let held = slot.load(Relaxed);
        if held >> COUNT_BITS == tick {
            slot.store(held - 1, Release);
        } else {
            self.take_moved(tick);
        }
        fence(Release);
    }

    /// Counts `count` requests at `level` or, where its slot is for a later tick, at the next one that is not.
    fn put(&self, level: usize, tick: u64, count: u64) {
        let Some(slot) = self.levels.get(level).map(|slots| &slots[tick as usize % SLOTS]) else {
            let latest = ((tick + 1) << bits(LEVELS)) - 1;
            self.older_latest.store(self.older_latest.load(Relaxed).max(latest), Relaxed);
            self.older.store(self.older.load(Relaxed) + count, Release);
            return;
        };
        let held = slot.load(Relaxed);
        let (there, before) = (held >> COUNT_BITS, held & COUNT_MASK);
        if there > tick {
            self.put(level + 1, tick >> NEXT_BITS, count);
            return;
        }
        let stays = if there == tick { before } else { 0 };
        // Out here before it is in there: a reader, who goes the other way, may miss it but never counts it twice.
        slot.store(tick << COUNT_BITS | (stays + count), Release);
        if there < tick && before > 0 {
            self.put(level + 1, there >> NEXT_BITS, before);
        }
    }

    #[cold]
    fn take_moved(&self, tick: u64) {
        for (level, slots) in (0..).zip(&self.levels).skip(1) {
            let tick = tick >> (NEXT_BITS * level);
            let slot = &slots[tick as usize % SLOTS];
            let held = slot.load(Relaxed);
            if held >> COUNT_BITS == tick {
                slot.store(held - 1, Release);
                return;
            }
        }
        self.older.store(self.older.load(Relaxed) - 1, Release);
    }

    /// Adds those in flight to `groups`.
    pub(super) fn read(&self, groups: &mut Vec<BeganTogether>) {
        fence(Acquire);
        let older = self.older.load(Acquire);
        if older > 0 {
            let latest_nanos = self.older_latest.load(Relaxed);
            groups.push(BeganTogether { earliest_nanos: 0, latest_nanos, count: older });
        }
        for (level, slots) in self.levels.iter().enumerate().rev() {
            for held in slots.iter().map(|slot| slot.load(Acquire)) {
                let (tick, count) = (held >> COUNT_BITS, held & COUNT_MASK);
                if count > 0 {
                    let earliest_nanos = tick << bits(level);
                    let latest_nanos = ((tick + 1) << bits(level)) - 1;
                    groups.push(BeganTogether { earliest_nanos, latest_nanos, count });
                }
            }
        }
    }
}

/// Length of a level's ticks, as a power of two of nanoseconds; beyond the last level, that of the next.
fn bits(level: usize) -> u32 {
    FIRST_BITS + NEXT_BITS * level as u32
}

#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
