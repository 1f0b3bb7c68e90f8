//! The writes of one service.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::desk::Desk;
use super::entry::{Entry, Lines, Stage};
use super::marks::Marks;
use super::{Granted, Millis};
use crate::migration::journal::{Begun, Refused, Why};
use crate::plan::{JournalRules, OnFull};

#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) name: Arc<str>,
    /// `None`: the service has no journal any more; what is left waits until it has.
    pub(super) rules: Option<Arc<JournalRules>>,
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) keys: HashMap<Arc<str>, Lines>,
    pub(super) bytes: u64,
    /// How many there are of each stage.
    pub(super) counts: [usize; Stage::COUNT],
    /// Those that are neither dead letters nor stopped by one.
    pub(super) live: BTreeSet<u64>,
    /// What may be sent, and from when on.
    pub(super) ready: BTreeSet<(Millis, u64)>,
    /// How many jobs are under way.
    pub(super) running: usize,
    pub(super) marks: Marks,
    pub(super) tally: Tally,
    /// Why there is no room, and what was refused and sent alone until then.
    pub(super) full: Option<(Refused, u64, u64)>,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) alone: u64,
    pub(super) refused: [u64; Refused::ALL.len()],
}

impl Shelf {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            rules: None,
            entries: BTreeMap::new(),
            keys: HashMap::new(),
            bytes: 0,
            counts: [0; Stage::COUNT],
            live: BTreeSet::new(),
            ready: BTreeSet::new(),
            running: 0,
            marks: Marks::default(),
            tally: Tally::default(),
            full: None,
        }
    }

    /// Whether there is nothing to keep it for.
    pub(super) fn is_void(&self) -> bool {
        self.rules.is_none() && self.entries.is_empty() && self.keys.is_empty() && self.marks.is_empty()
    }

    /// Whether nothing of it is on its way, nor could be but what was tried in vain already.
    pub(super) fn is_done(&self) -> bool {
        let count = |stage: Stage| self.counts[stage as usize];
        let fails = |number| self.entries.get(number).is_some_and(|entry: &Entry| entry.failures > 0);
        count(Stage::Waiting) + count(Stage::Sent) + self.running == 0
            && self.ready.iter().all(|(_, number)| fails(number))
    }

    pub(super) fn set_rules(&mut self, rules: Option<Arc<JournalRules>>, desk: &mut Desk, now: Millis) {
        self.rules = rules;
        self.ready.clear();
        let uncertain = self.entries.iter().filter(|(_, entry)| entry.stage == Stage::Uncertain && !entry.running);
        let given_up: Vec<u64> =
            uncertain.filter(|(_, entry)| self.asks_again(entry) == Some(false)).map(|(n, _)| *n).collect();
        for number in given_up {
            self.give_up(number, Why::Unknown, desk, now);
        }
        for key in self.keys.keys().cloned().collect::<Vec<_>>() {
            self.advance(&key, desk, now);
        }
    }

    /// Whether the authoritative side of a write may be sent it again; `None` where nobody knows.
    pub(super) fn asks_again(&self, entry: &Entry) -> Option<bool> {
        Some(self.rules.as_ref()?.idempotent.contains(&entry.write.authoritative))
    }

    pub(super) fn insert(&mut self, number: u64, entry: Entry) {
        let lines = self.keys.entry(Arc::clone(&entry.write.key)).or_default();
        if !matches!(entry.stage, Stage::Applied | Stage::Dead) {
            lines.join(&entry.write.authoritative, number);
        }
        if !entry.is_alone() {
            lines.join(&entry.write.other, number);
        }
        lines.waiting += usize::from(entry.stage == Stage::Waiting);
        if lines.dead == 0 && entry.stage != Stage::Dead {
            self.live.insert(number);
        }
        lines.dead += usize::from(entry.stage == Stage::Dead);
        self.counts[entry.stage as usize] += 1;
        self.bytes += entry.bytes;
        self.entries.insert(number, entry);
    }

    /// Takes a write out of everything, and lets those behind it go on.
    pub(super) fn remove(&mut self, number: u64, desk: &mut Desk, now: Millis) {
        self.restage(number, None);
        let Some(entry) = self.entries.remove(&number) else { return };
        self.bytes -= entry.bytes;
        self.live.remove(&number);
        self.ready.remove(&(entry.due, number));
        if entry.is_stored() {
            desk.remove(number);
        }
        if let Some(lines) = self.keys.get_mut(&entry.write.key) {
            lines.leave(&entry.write.authoritative, number);
            lines.leave(&entry.write.other, number);
        }
        if entry.stage == Stage::Dead {
            self.tell_the_living(&entry.write.key);
        }
        self.advance(&entry.write.key, desk, now);
    }

    /// Takes a write out that was not done, at one side or both. Those behind it go on once the disk knows of that: after a crash
    /// it would be sent once more, and so overtake them.
    pub(super) fn withdraw(&mut self, number: u64, desk: &mut Desk, now: Millis) {
        let Some(entry) = self.entries.get(&number) else { return };
        let (key, was_dead, due) = (Arc::clone(&entry.write.key), entry.stage == Stage::Dead, entry.due);
        let followed = self.keys.get(&key).is_some_and(|lines| lines.has_others(number));
        if !entry.is_stored() || desk.to_write.contains_key(&number) || !followed {
            return self.remove(number, desk, now);
        }
        if desk.check_disk().is_err() && self.goes_on_alone() {
            // The key is not to wait for the disk to come back.
            self.list(&key, Why::Alone, desk, now);
            return self.remove(number, desk, now);
        }
        self.restage(number, Some(Stage::Withdrawn));
        if was_dead {
            self.tell_the_living(&key);
        }
        self.live.remove(&number);
        self.ready.remove(&(due, number));
        desk.to_write.insert(number, Arc::clone(&self.name));
        self.advance(&key, desk, now);
    }

    /// Whether writes that find no room go to the authoritative side alone.
    pub(super) fn goes_on_alone(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.on_full == OnFull::OldOnly)
    }

    /// Removes it, and lists its key.
    pub(super) fn give_up(&mut self, number: u64, why: Why, desk: &mut Desk, now: Millis) {
        let Some(entry) = self.entries.get(&number) else { return };
        let key = Arc::clone(&entry.write.key);
        self.list(&key, why, desk, now);
        self.withdraw(number, desk, now);
    }

    pub(super) fn list(&mut self, key: &Arc<str>, why: Why, desk: &mut Desk, now: Millis) {
        self.marks.add(&self.name, key, why, desk, now);
    }

    /// Moves it to another stage, `None`: to none; keeps the counts.
    pub(super) fn restage(&mut self, number: u64, stage: Option<Stage>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        self.counts[entry.stage as usize] -= 1;
        if let Some(lines) = self.keys.get_mut(&entry.write.key) {
            let moves = |stage| usize::from(stage == Stage::Sent);
            lines.waiting -= usize::from(entry.stage == Stage::Waiting);
            lines.dead -= usize::from(entry.stage == Stage::Dead);
            lines.moving -= moves(entry.stage);
            if let Some(stage) = stage {
                lines.waiting += usize::from(stage == Stage::Waiting);
                lines.dead += usize::from(stage == Stage::Dead);
                lines.moving += moves(stage);
            }
        }
        if let Some(stage) = stage {
            entry.stage = stage;
            self.counts[stage as usize] += 1;
        }
    }

    /// Finds anew which writes of a key are stopped by a dead letter.
    pub(super) fn tell_the_living(&mut self, key: &str) {
        let Some(lines) = self.keys.get(key) else { return };
        let mut stopped = false;
        for number in lines.all() {
            stopped |= self.entries.get(&number).is_some_and(|entry| entry.stage == Stage::Dead);
            if stopped {
                self.live.remove(&number);
            } else {
                self.live.insert(number);
            }
        }
    }

    /// Lets go whoever is first in a line of a key; forgets the key where nothing is left of it.
    pub(super) fn advance(&mut self, key: &str, desk: &mut Desk, now: Millis) {
        let Some(lines) = self.keys.get_mut(key) else { return };
        lines.tell_holder();
        if lines.is_void() {
            self.keys.remove(key);
            return;
        }
        if lines.held.is_some() || self.rules.is_none() {
            return;
        }
        for number in lines.firsts() {
            if self.let_go(number) == Gone::Nobody {
                // Once its place is free again this goes on from there.
                self.withdraw(number, desk, now);
                return;
            }
        }
    }

    /// Lets one go that is first somewhere, if it is first where it is to go.
    fn let_go(&mut self, number: u64) -> Gone {
        let Some(entry) = self.entries.get_mut(&number) else { return Gone::No };
        let Some(lines) = self.keys.get(&entry.write.key) else { return Gone::No };
        let first_there = lines.is_first(&entry.write.authoritative, number);
        match entry.stage {
            Stage::Waiting if first_there && entry.settled_down => {
                let begun = if entry.is_alone() { Begun::Alone } else { Begun::Both };
                let granted = entry.grant.take().is_some_and(|grant| grant.send(Granted::Go(begun)).is_ok());
                if !granted {
                    return Gone::Nobody;
                }
                self.restage(number, Some(Stage::Sent));
                Gone::Yes
            }
            Stage::Uncertain if first_there && !entry.running => {
                self.ready.insert((entry.due, number));
                Gone::Yes
            }
            Stage::Applied if !entry.running && lines.is_first(&entry.write.other, number) => {
                self.ready.insert((entry.due, number));
                Gone::Yes
            }
            _ => Gone::No,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Gone {
    Yes,
    No,
    /// Whoever waited for it has gone.
    Nobody,
}
