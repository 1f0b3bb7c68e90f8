//! What goes to the store, what came of it, and what is found in it.

use std::sync::Arc;

use super::desk::{Batch, Disk};
use super::entry::{Entry, Kept, Stage};
use super::shelf::Shelf;
use super::{Book, Granted, Millis};
use crate::migration::journal::store::{Loaded, Op, Stored};
use crate::migration::journal::{News, Refused, Why, codec};

/// Most writes that go to the disk at once.
const MAX_BATCH: usize = 1024;

impl Book {
    /// Whether somebody waits for the disk.
    pub(in crate::migration::journal) fn is_urgent(&self) -> bool {
        self.desk.is_urgent()
    }

    /// Whether the disk is to be told anything.
    pub(in crate::migration::journal) fn has_work(&self) -> bool {
        self.desk.has_work()
    }

    /// Whether the store is to be written anew.
    pub(in crate::migration::journal) fn is_disk_gone(&self) -> bool {
        matches!(self.desk.disk, Disk::Gone(_))
    }

    /// What is to be on the disk next, all at once: what happened to older writes, and the next that were begun.
    pub(in crate::migration::journal) fn batch(&mut self) -> Batch {
        let mut ops = self.desk.take_later();
        let mut begun = Vec::new();
        while begun.len() < MAX_BATCH
            && let Some((number, service)) = self.desk.to_write.pop_first()
        {
            if let Some(entry) = self.shelves.get(&service).and_then(|stock| stock.entries.get(&number)) {
                if entry.stage == Stage::Withdrawn {
                    ops.push(Op::Remove(number));
                } else if entry.is_stored() {
                    ops.push(Op::Put(number, entry.at, Arc::clone(&entry.write)));
                }
                begun.push((number, service));
            }
        }
        Batch { ops, begun }
    }

    /// It is on the disk.
    pub(in crate::migration::journal) fn committed(&mut self, batch: &Batch, now: Millis) {
        for (number, service) in &batch.begun {
            let Some((stock, desk)) = self.at(service) else { continue };
            // It may have been forgotten meanwhile.
            let Some(entry) = stock.entries.get_mut(number) else { continue };
            if entry.stage == Stage::Withdrawn {
                // Unless it was withdrawn while it was on its way there: that comes next.
                if !desk.to_write.contains_key(number) {
                    entry.kept = Kept::InMemory;
                    stock.remove(*number, desk, now);
                }
                continue;
            }
            entry.settled_down = true;
            let key = Arc::clone(&entry.write.key);
            stock.advance(&key, desk, now);
        }
    }

    /// It is not, or nobody knows: those who wait for it are refused, or go on alone.
    pub(in crate::migration::journal) fn failed(&mut self, batch: Batch, why: &str, now: Millis) {
        self.desk.disk = Disk::Gone(why.into());
        self.desk.forget();
        self.desk.tell(News::DiskGone { why: why.into() });
        let queued = std::mem::take(&mut self.desk.to_write).into_iter();
        for (number, service) in batch.begun.into_iter().chain(queued) {
            if let Some((stock, desk)) = self.at(&service) {
                stock.without_disk(number, desk, now);
            }
        }
    }

    /// Everything that is to be in a store, to write it anew; what happens from now on comes after.
    pub(in crate::migration::journal) fn image(&mut self) -> Vec<Op> {
        if let Disk::Gone(why) = &self.desk.disk {
            self.desk.disk = Disk::Returning(Arc::clone(why));
        }
        self.desk.forget();
        let mut ops = Vec::new();
        for stock in self.shelves.values() {
            for (number, entry) in
                stock.entries.iter().filter(|(_, entry)| entry.is_stored() && entry.stage != Stage::Withdrawn)
            {
                ops.push(Op::Put(*number, entry.at, Arc::clone(&entry.write)));
                match entry.stage {
                    Stage::Waiting | Stage::Sent | Stage::Uncertain | Stage::Withdrawn => {}
                    Stage::Applied => ops.push(Op::State(*number, Stored::Applied)),
                    Stage::Dead => {
                        let (tries, why) = (entry.tries, Arc::clone(&entry.said));
                        ops.push(Op::State(*number, Stored::Dead { tries, why }));
                    }
                }
            }
            let marks = stock.marks.keys.iter();
            ops.extend(marks.map(|(key, (mark, _))| Op::Mark(Arc::clone(&stock.name), Arc::clone(key), *mark)));
            if stock.marks.all {
                ops.push(Op::MarkAll(Arc::clone(&stock.name)));
            }
        }
        ops
    }

    /// What came of writing it anew.
    pub(in crate::migration::journal) fn rewritten(&mut self, done: Result<(), &str>) {
        match done {
            Ok(()) => {
                if matches!(self.desk.disk, Disk::Returning(_)) {
                    self.desk.tell(News::DiskBack);
                }
                self.desk.disk = Disk::Fine;
            }
            Err(why) => {
                self.desk.disk = Disk::Gone(why.into());
                self.desk.forget();
            }
        }
    }

    /// What a former process left. What it had not settled is uncertain.
    pub(in crate::migration::journal) fn restore(&mut self, loaded: Loaded) {
        for (number, at, write, stored) in loaded.writes {
            let (stage, tries, said) = match stored {
                Stored::Begun => (Stage::Uncertain, 0, "".into()),
                Stored::Applied => (Stage::Applied, 0, "".into()),
                Stored::Dead { tries, why } => (Stage::Dead, tries, why),
            };
            let service = Arc::clone(&write.service);
            let stock = self.shelves.entry(Arc::clone(&service)).or_insert_with(|| Shelf::new(service));
            let entry = Entry {
                bytes: codec::length(&write) as u64,
                at,
                stage,
                settled_down: true,
                kept: Kept::Stored,
                tries,
                failures: 0,
                due: 0,
                running: false,
                said,
                grant: None,
                write,
            };
            stock.insert(number, entry);
            self.desk.taken(number);
        }
        for (service, key, mark) in loaded.marks {
            let stamp = self.desk.stamp();
            let stock = self.shelves.entry(Arc::clone(&service)).or_insert_with(|| Shelf::new(service));
            stock.marks.keys.insert(key, (mark, stamp));
        }
        for service in loaded.all {
            let stock = self.shelves.entry(Arc::clone(&service)).or_insert_with(|| Shelf::new(service));
            stock.marks.all = true;
        }
    }
}

impl Shelf {
    /// The disk does not take a write that somebody waits for.
    fn without_disk(&mut self, number: u64, desk: &mut super::Desk, now: Millis) {
        let goes_on = self.goes_on_alone();
        if self.entries.get(&number).is_some_and(|entry| entry.stage == Stage::Withdrawn) {
            // As if it was withdrawn now.
            return self.withdraw(number, desk, now);
        }
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let was_alone = entry.is_alone();
        if !goes_on && !was_alone {
            // Where the store has it after all, writing that anew removes it.
            entry.kept = Kept::InMemory;
            self.tally.refused[Refused::Disk as usize] += 1;
            if let Some(grant) = entry.grant.take() {
                let _ = grant.send(Granted::Not(Refused::Disk));
            }
            self.remove(number, desk, now);
            return;
        }
        (entry.kept, entry.settled_down) = (Kept::Alone, true);
        self.bytes -= std::mem::take(&mut entry.bytes);
        let write = Arc::clone(&entry.write);
        if let Some(lines) = self.keys.get_mut(&write.key) {
            lines.leave(&write.other, number);
        }
        self.tally.alone += u64::from(!was_alone);
        self.list(&write.key, Why::Alone, desk, now);
        self.advance(&write.key, desk, now);
    }
}
