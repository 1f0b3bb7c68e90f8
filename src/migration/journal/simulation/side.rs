//! A version that honours idempotency keys, with a store of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::migration::journal::Write;

/// What a version has.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Not there: nobody reaches it, and what is under way is lost.
    pub(super) dead: bool,
    /// Answers 503, having done nothing.
    pub(super) busy: bool,
    /// Takes no writes of these numbers, ever.
    pub(super) refuses: HashSet<u32>,
    /// The numbers of the writes it did, in order, by key. The last is the key's state.
    pub(super) done: HashMap<Arc<str>, Vec<u32>>,
    /// By idempotency key, the number of the write.
    seen: HashMap<Vec<u8>, u32>,
}

impl Side {
    /// The status it answers with; `None`: it does not.
    pub(super) fn take(&mut self, write: &Write) -> Option<u16> {
        if self.dead {
            return None;
        }
        if self.busy {
            return Some(503);
        }
        let number = number(write);
        if is_bad(write) || self.refuses.contains(&number) {
            return Some(422);
        }
        let key = write.idempotency.1.as_bytes();
        if let Some(seen) = self.seen.insert(key.to_vec(), number) {
            assert_eq!(seen, number, "one idempotency key, two writes");
            return Some(200);
        }
        let done = self.done.entry(Arc::clone(&write.key)).or_default();
        assert!(!done.contains(&number), "write {number} under two idempotency keys");
        done.push(number);
        Some(200)
    }
}

/// A write's number, which is its body.
pub(super) fn number(write: &Write) -> u32 {
    let body = write.body.first_chunk().expect("four bytes");
    u32::from_le_bytes(*body)
}

/// Some writes no version takes.
fn is_bad(write: &Write) -> bool {
    number(write).is_multiple_of(23)
}
