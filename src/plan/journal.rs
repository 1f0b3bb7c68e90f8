//! How writes that go to two versions are journaled and delivered.

use std::sync::Arc;
use std::time::Duration;

/// The rules of one service's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRules {
    /// Where its entries are kept.
    pub durability: Durability,
    /// Most entries at a time, dead letters included. At least 1.
    pub max_entries: usize,
    /// Most bytes of all entries, on the disk and in memory alike.
    pub max_bytes: u64,
    /// How far the other side may lag behind: once the oldest entry that is still tried is older, the journal counts as full.
    pub max_age: Duration,
    /// What happens to a write that finds no room, or no disk.
    pub on_full: OnFull,
    /// Answers that say "not now" after which an entry is a dead letter. At least 1.
    pub tries: u32,
    /// Pauses between the tries of one entry.
    pub backoff: Backoff,
    /// Longest time of one try, connecting included.
    pub timeout: Duration,
    /// Longest time that a write waits for those before it of the same key, and for the disk.
    pub wait: Duration,
    /// Versions that do a write once, however often it comes with the same idempotency key.
    pub idempotent: Vec<Arc<str>>,
}

/// Where entries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On the disk before the write is sent: they outlive a crash.
    Fsync,
    /// In memory alone: a crash loses what was not yet delivered.
    Memory,
}

/// What happens to a write that cannot be journaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    /// It is refused; neither side gets it.
    Refuse,
    /// The authoritative side alone gets it, and its key is listed for reconciliation.
    OldOnly,
}

/// Pauses that double from try to try, up to a bound, each shortened at random by up to a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first try.
    pub initial: Duration,
    /// The longest.
    pub max: Duration,
}

impl Backoff {
    /// The pause after `tries` tries in vain; `draw` is uniform in 0..1.
    #[must_use]
    pub fn pause(&self, tries: u32, draw: f64) -> Duration {
        let doubled = self.initial.saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(1.0 - draw / 2.0)
    }
}

impl Default for JournalRules {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            max_entries: 10_000,
            max_bytes: 64 << 20,
            max_age: Duration::from_hours(24),
            on_full: OnFull::Refuse,
            tries: 20,
            backoff: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(30) },
            timeout: Duration::from_secs(10),
            wait: Duration::from_secs(5),
            idempotent: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_are_never_shorter_than_half() {
        let backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) };
        let longest: Vec<_> = [1, 2, 3, 4, 5, 33, u32::MAX].map(|tries| backoff.pause(tries, 0.0).as_millis()).into();
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(backoff.pause(2, 1.0).as_millis(), 100);
    }
}
