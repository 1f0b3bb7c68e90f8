//! What the store and the ledger are still to be told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::migration::journal::store::{Op, Stored};
use crate::migration::journal::{News, Refused};

/// Most news that are kept; later ones are lost.
const MAX_NEWS: usize = 1000;
/// Most keys of writes that are kept for whoever verifies them.
const MAX_SEEN: usize = 1000;

/// What all services share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) closed: bool,
    pub(super) disk: Disk,
    /// The number of the next write.
    next: u64,
    /// Grows with each key listed.
    stamp: u64,
    /// Begun and not on the disk yet, with their services, in order.
    pub(super) to_write: BTreeMap<u64, Arc<str>>,
    /// What became of those that are there; not waited for.
    later: BTreeMap<u64, Later>,
    /// The same of keys to be reconciled.
    marks: Vec<Op>,
    pub(super) news: VecDeque<News>,
    /// Services and keys of writes lately applied, for whoever verifies them; nobody may ask.
    pub(super) seen: Vec<(Arc<str>, Arc<str>)>,
}

/// What became of a write that the store has.
#[derive(Debug)]
enum Later {
    State(Stored),
    Remove,
}

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disk {
    /// There is none.
    None,
    /// It takes what it is given.
    Fine,
    /// It failed: nothing is given to it until it is written anew.
    Gone(Arc<str>),
    /// It is being written anew; what happens meanwhile comes after.
    Returning(Arc<str>),
}

/// What is to be on the disk at once.
#[derive(Debug, Default)]
pub(in crate::migration::journal) struct Batch {
    pub(in crate::migration::journal) ops: Vec<Op>,
    /// The writes among them, which wait for it.
    pub(super) begun: Vec<(u64, Arc<str>)>,
}

impl Desk {
    /// A write of a key was applied.
    pub(super) fn saw(&mut self, service: &Arc<str>, key: &Arc<str>) {
        if self.seen.len() < MAX_SEEN {
            self.seen.push((Arc::clone(service), Arc::clone(key)));
        }
    }

    pub(super) fn new(stored: bool) -> Self {
        Self {
            closed: false,
            disk: if stored { Disk::Fine } else { Disk::None },
            next: 1,
            stamp: 1,
            to_write: BTreeMap::new(),
            later: BTreeMap::new(),
            marks: Vec::new(),
            news: VecDeque::new(),
            seen: Vec::new(),
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Numbers up to this one are taken.
    pub(super) fn taken(&mut self, number: u64) {
        self.next = self.next.max(number + 1);
    }

    pub(super) fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp - 1
    }

    /// Whether there is a store at all.
    pub(super) fn has_store(&self) -> bool {
        self.disk != Disk::None
    }

    /// Whether there is a store that takes what it is given.
    pub(super) fn is_fine(&self) -> bool {
        self.disk == Disk::Fine
    }

    /// Whether a write can be put on the disk; where there is none, none is needed.
    pub(super) fn check_disk(&self) -> Result<(), Refused> {
        match self.disk {
            Disk::None | Disk::Fine => Ok(()),
            Disk::Gone(_) | Disk::Returning(_) => Err(Refused::Disk),
        }
    }

    /// Whether the store is to hear of changes: not where all of it is to be written anew.
    fn listens(&self) -> bool {
        matches!(self.disk, Disk::Fine | Disk::Returning(_))
    }

    /// A write that the store has is in another state.
    pub(super) fn state(&mut self, number: u64, state: Stored) {
        if self.listens() {
            self.later.insert(number, Later::State(state));
        }
    }

    /// A write that the store has, or is about to get, is no more.
    pub(super) fn remove(&mut self, number: u64) {
        if self.to_write.remove(&number).is_none() && self.listens() {
            self.later.insert(number, Later::Remove);
        }
    }

    pub(super) fn mark(&mut self, op: Op) {
        if self.listens() {
            self.marks.push(op);
        }
    }

    /// Whether somebody waits for the disk.
    pub(super) fn is_urgent(&self) -> bool {
        !self.to_write.is_empty()
    }

    /// Whether the disk is to be told anything.
    pub(super) fn has_work(&self) -> bool {
        self.is_urgent() || !self.later.is_empty() || !self.marks.is_empty()
    }

    /// What happened to writes and keys, without the writes that are to be begun.
    pub(super) fn take_later(&mut self) -> Vec<Op> {
        let later = std::mem::take(&mut self.later).into_iter().map(|(number, later)| match later {
            Later::State(state) => Op::State(number, state),
            Later::Remove => Op::Remove(number),
        });
        let mut ops: Vec<Op> = later.collect();
        ops.append(&mut self.marks);
        ops
    }

    /// Forgets what the disk was to be told: it is written anew.
    pub(super) fn forget(&mut self) {
        self.later.clear();
        self.marks.clear();
    }

    pub(super) fn tell(&mut self, news: News) {
        if self.news.len() < MAX_NEWS {
            self.news.push_back(news);
        }
    }
}
