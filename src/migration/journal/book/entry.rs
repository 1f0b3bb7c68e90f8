//! One write in the book, and the lines it stands in.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Granted, Millis};
use crate::migration::journal::Write;

/// A write, and how far it got.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) write: Arc<Write>,
    /// Counted against the bound; 0 where it goes to the authoritative side alone.
    pub(super) bytes: u64,
    pub(super) at: Millis,
    pub(super) stage: Stage,
    /// On the disk, or never to be there.
    pub(super) settled_down: bool,
    pub(super) kept: Kept,
    /// Answers that said "not now".
    pub(super) tries: u32,
    /// Tries in vain of whatever kind, for the pauses.
    pub(super) failures: u32,
    /// Not to be tried before.
    pub(super) due: Millis,
    /// A job of it is under way.
    pub(super) running: bool,
    /// What the version said the last time.
    pub(super) said: Arc<str>,
    /// Who waits for its turn.
    pub(super) grant: Option<oneshot::Sender<Granted>>,
}

/// For whom a write is kept, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// For the other side; the store has it, or is to have it.
    Stored,
    /// For the other side, in memory alone.
    InMemory,
    /// For its turn at the authoritative side alone.
    Alone,
}

/// How far a write got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// For the disk, or for its turn.
    Waiting,
    /// To the authoritative side.
    Sent,
    /// To the authoritative side, and nobody knows what came of it.
    Uncertain,
    /// At the authoritative side; not at the other.
    Applied,
    /// Likewise, and no longer tried.
    Dead,
    /// Not done, and no more; those behind it wait until the disk knows.
    Withdrawn,
}

impl Entry {
    pub(super) fn is_stored(&self) -> bool {
        self.kept == Kept::Stored
    }

    pub(super) fn is_alone(&self) -> bool {
        self.kept == Kept::Alone
    }
}

impl Stage {
    pub(super) const COUNT: usize = 6;
}

/// The lines of one key: for each side, the numbers of what is to go there, in order. Who is first may go.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// By version. No key has more sides than versions are written to, which is two but around a change of direction.
    sides: SmallVec<[(Arc<str>, BTreeSet<u64>); 2]>,
    /// How many wait for their turn.
    pub(super) waiting: usize,
    /// How many are on their way to any side.
    pub(super) moving: usize,
    /// How many are dead letters.
    pub(super) dead: usize,
    /// Somebody keeps it still, or waits for it to be.
    pub(super) held: Option<Held>,
}

/// A key that is to be kept still.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Who waits for it; `None` once it is still.
    pub(super) grant: Option<oneshot::Sender<()>>,
}

impl Lines {
    pub(super) fn join(&mut self, side: &Arc<str>, number: u64) {
        match self.sides.iter_mut().find(|(name, _)| name == side) {
            Some((_, line)) => _ = line.insert(number),
            None => self.sides.push((Arc::clone(side), BTreeSet::from([number]))),
        }
    }

    pub(super) fn leave(&mut self, side: &str, number: u64) {
        if let Some((_, line)) = self.sides.iter_mut().find(|(name, _)| **name == *side) {
            line.remove(&number);
        }
        self.sides.retain(|(_, line)| !line.is_empty());
    }

    pub(super) fn is_first(&self, side: &str, number: u64) -> bool {
        self.sides.iter().any(|(name, line)| **name == *side && line.first() == Some(&number))
    }

    /// Who is first anywhere.
    pub(super) fn firsts(&self) -> SmallVec<[u64; 2]> {
        self.sides.iter().filter_map(|(_, line)| line.first().copied()).collect()
    }

    /// Whether anything else stands in them.
    pub(super) fn has_others(&self, number: u64) -> bool {
        self.sides.iter().any(|(_, line)| line.len() > 1 || line.first() != Some(&number))
    }

    /// All numbers, in order.
    pub(super) fn all(&self) -> BTreeSet<u64> {
        self.sides.iter().flat_map(|(_, line)| line.iter().copied()).collect()
    }

    /// How many stand behind a number at a side.
    pub(super) fn behind(&self, side: &str, number: u64) -> usize {
        let line = self.sides.iter().find(|(name, _)| **name == *side);
        line.map_or(0, |(_, line)| line.range(number + 1..).count())
    }

    pub(super) fn is_void(&self) -> bool {
        self.sides.is_empty() && self.held.is_none()
    }

    /// Lets whoever wants the key kept still know, once it is.
    pub(super) fn tell_holder(&mut self) {
        if self.moving == 0
            && let Some(held) = &mut self.held
            && let Some(grant) = held.grant.take()
        {
            // Where nobody is there any more, that one lets go of it as well.
            let _ = grant.send(());
        }
    }
}
