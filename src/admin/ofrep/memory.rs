//! How much all clients together may have serin hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

/// Most bytes of bodies and answers held at a time.
const MOST: usize = 64 << 20;

/// Counts bytes held. Shared with answers on their way out, which count until their last byte is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<AtomicUsize>);

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

/// Bytes that grow within what there is room for.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    counted: usize,
    memory: Memory,
}

impl Memory {
    /// No bytes yet.
    pub(super) fn hold(&self) -> Held {
        Held { bytes: Vec::new(), counted: 0, memory: self.clone() }
    }
}

impl Held {
    /// Puts `more` behind.
    pub(super) fn extend(&mut self, more: &[u8]) -> Result<(), NoRoom> {
        self.reserve(more.len())?;
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// Counts what was written to [`Self::writer`] since.
    pub(super) fn count(&mut self) -> Result<(), NoRoom> {
        self.reserve(0)
    }

    /// Where to write; [`Self::count`] afterwards, and often enough.
    pub(super) fn writer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// As an answer's body, which counts for as long as anybody has any of it.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    fn reserve(&mut self, more: usize) -> Result<(), NoRoom> {
        let missing = (self.bytes.len() + more).saturating_sub(self.counted);
        // Only one thread adds, so nothing comes between the question and the sum.
        if self.memory.0.load(Relaxed) + missing > MOST {
            return Err(NoRoom);
        }
        self.memory.0.fetch_add(missing, Relaxed);
        self.counted += missing;
        Ok(())
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.counted, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let memory = Memory::default();
        let (mut one, mut other) = (memory.hold(), memory.hold());
        one.extend(&vec![0; MOST - 10]).unwrap();
        other.extend(&[0; 10]).unwrap();
        assert_eq!(other.extend(&[0]), Err(NoRoom));
        other.writer().push(0);
        assert_eq!(other.count(), Err(NoRoom));
        let answer = one.into_bytes();
        let rest = answer.slice(5..);
        drop(answer);
        assert_eq!(other.count(), Err(NoRoom), "the rest of the answer is still there");
        drop(rest);
        assert_eq!(other.count(), Ok(()));
        drop(other);
        assert_eq!(memory.0.load(Relaxed), 0);
    }
}
