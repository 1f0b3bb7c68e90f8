//! A ledger without a folder: the last entries, for as long as the process lives.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most entries that are kept.
const ENTRIES: usize = 1000;
/// Most bytes that are kept; the last entry always is.
const BYTES: usize = 16 << 20;

/// The last lines, shared between who writes and who reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Memory {
    pub(super) fn push(&self, lines: impl Iterator<Item = String>) {
        let mut ring = self.ring();
        for line in lines {
            ring.bytes += line.len();
            ring.lines.push_back(line.into());
            while ring.lines.len() > 1 && (ring.lines.len() > ENTRIES || ring.bytes > BYTES) {
                let gone = ring.lines.pop_front().map_or(0, |line| line.len());
                ring.bytes -= gone;
            }
        }
    }

    /// The lines there are, the oldest first.
    pub(super) fn lines(&self) -> Vec<Arc<str>> {
        self.ring().lines.iter().cloned().collect()
    }

    /// Every change is whole before the lock is given back.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
