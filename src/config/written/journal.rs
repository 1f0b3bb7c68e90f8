//! The journal of a migration.

use crate::config::read::{At, written};
use crate::config::values::{Count, Durability, OnFull, Period, Size};

written! {
    /// How writes to both sides are journaled and delivered. What is left out has its default.
    Journal {
        /// fsync keeps it in `stateDir`, on the disk before a write is sent; memory loses it in a crash. Default: fsync.
        optional "durability" durability: At<Durability>,
        /// Most writes in it, dead letters included. Default: 10000.
        optional "maxEntries" max_entries: At<Count<1, 1_000_000>>,
        /// Most bytes of all writes in it, on the disk and in memory alike. Default: 64MiB.
        optional "maxBytes" max_bytes: At<Size<{ 1 << 16 }, { 4 << 30 }>>,
        /// How far the second side may lag behind before the journal counts as full. Default: 24h.
        optional "maxAge" max_age: At<Period>,
        /// What becomes of a write that finds no room or no disk: refuse answers it 503, oldOnly sends it to the authoritative side alone and lists its key for reconciliation. Default: refuse.
        optional "onFull" on_full: At<OnFull>,
        /// Answers that say "not now" (408, 409, 425, 429, 5xx, none in time) after which a write is a dead letter, which stops its key. Default: 20.
        optional "tries" tries: At<Count<1, 1_000_000>>,
        /// Pauses between the tries of one write.
        optional "backoff" backoff: Backoff,
        /// Longest time of one try. Default: 10s.
        optional "timeout" timeout: At<Period>,
        /// Longest time that a write waits for the disk and for earlier writes of its key; then it is answered 503. Default: 5s.
        optional "wait" wait: At<Period>,
    }

    /// Pauses between the tries of one write: they double, and each is shortened at random by up to a half.
    Backoff {
        /// The first. Default: 100ms.
        optional "initial" initial: At<Period>,
        /// The longest. Default: 30s.
        optional "max" max: At<Period>,
    }
}
