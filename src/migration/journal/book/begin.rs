//! Writes that come in, and what the authoritative side makes of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::desk::Desk;
use super::entry::{Entry, Kept, Stage};
use super::shelf::Shelf;
use super::{Book, Millis};
use crate::migration::journal::store::Stored;
use crate::migration::journal::{Begun, MAX_KEY, MAX_WRITE, News, Outcome, Refused, Why, Write, codec};
use crate::plan::{Durability, JournalRules, OnFull};

/// Most writes of one key that wait for their turn.
const MAX_WAITING: usize = 256;

/// What becomes of a write that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::migration::journal) enum Granted {
    /// It may be sent.
    Go(Begun),
    /// It must not.
    Not(Refused),
}

impl Book {
    /// Takes a write in. Gives its number, and where it is told when it may be sent.
    pub(in crate::migration::journal) fn begin(
        &mut self,
        write: Write,
        now: Millis,
    ) -> Result<(u64, oneshot::Receiver<Granted>), Refused> {
        let closed = self.desk.closed;
        let (stock, desk) = self.kept(&write.service)?;
        let done = if closed { Err(Refused::Closed) } else { stock.begin(write, desk, now) };
        if let Err(refused) = done {
            stock.tally.refused[refused as usize] += 1;
        }
        done
    }

    /// Whoever began it is gone, and has not sent it.
    pub(in crate::migration::journal) fn cancel(&mut self, service: &str, number: u64, now: Millis) {
        if let Some((stock, desk)) = self.at(service) {
            stock.withdraw(number, desk, now);
        }
    }

    /// A write was refused outside.
    pub(in crate::migration::journal) fn count(&mut self, service: &str, refused: Refused) {
        if let Some((stock, _)) = self.at(service) {
            stock.tally.refused[refused as usize] += 1;
        }
    }

    /// How long a write of a service may wait.
    pub(in crate::migration::journal) fn wait(&self, service: &str) -> Duration {
        let rules = self.shelves.get(service).and_then(|stock| stock.rules.as_ref());
        rules.map(|rules| rules.wait).unwrap_or_default()
    }

    /// What the authoritative side made of it.
    pub(in crate::migration::journal) fn settle(&mut self, service: &str, number: u64, outcome: Outcome, now: Millis) {
        let Some((stock, desk)) = self.at(service) else { return };
        let Some(entry) = stock.entries.get(&number).filter(|entry| entry.stage == Stage::Sent) else { return };
        if outcome == Outcome::Applied {
            desk.saw(&stock.name, &entry.write.key);
        }
        match outcome {
            // Its key is listed already, whatever came of it.
            _ if entry.is_alone() => stock.remove(number, desk, now),
            Outcome::Refused => stock.withdraw(number, desk, now),
            Outcome::Applied => stock.applied(number, desk, now),
            Outcome::Unknown if stock.asks_again(entry) == Some(false) => {
                stock.give_up(number, Why::Unknown, desk, now);
            }
            Outcome::Unknown => {
                stock.restage(number, Some(Stage::Uncertain));
                let key = Arc::clone(&stock.entries[&number].write.key);
                stock.advance(&key, desk, now);
            }
        }
    }
}

impl Shelf {
    fn begin(
        &mut self,
        write: Write,
        desk: &mut Desk,
        now: Millis,
    ) -> Result<(u64, oneshot::Receiver<Granted>), Refused> {
        // `kept` gives only shelves with rules.
        let Some(rules) = self.rules.clone() else { return Err(Refused::NoJournal) };
        let bytes = codec::length(&write);
        if write.key.len() > MAX_KEY || bytes > MAX_WRITE || bytes as u64 > rules.max_bytes {
            return Err(Refused::TooLarge);
        }
        if self.keys.get(&write.key).is_some_and(|lines| lines.waiting >= MAX_WAITING) {
            return Err(Refused::Busy);
        }
        let room = self.room(&rules, bytes as u64, desk, now);
        self.tell_room(&rules, room, desk);
        let alone = match room {
            Ok(()) => false,
            Err(why) if rules.on_full == OnFull::Refuse => return Err(why),
            Err(_) => true,
        };
        let number = desk.number();
        let outlives = rules.durability == Durability::Fsync;
        let kept = if alone {
            Kept::Alone
        } else if outlives && desk.has_store() {
            Kept::Stored
        } else {
            Kept::InMemory
        };
        // Also one that goes alone, so that a crash does not forget that its key is listed.
        let waits = outlives && desk.is_fine();
        let (grant, granted) = oneshot::channel();
        let key = Arc::clone(&write.key);
        let entry = Entry {
            bytes: if alone { 0 } else { bytes as u64 },
            at: now,
            stage: Stage::Waiting,
            settled_down: !waits,
            kept,
            tries: 0,
            failures: 0,
            due: now,
            running: false,
            said: "".into(),
            grant: Some(grant),
            write: Arc::new(write),
        };
        self.insert(number, entry);
        if alone {
            self.tally.alone += 1;
            self.list(&key, Why::Alone, desk, now);
        }
        if waits {
            desk.to_write.insert(number, Arc::clone(&self.name));
        } else {
            self.advance(&key, desk, now);
        }
        Ok((number, granted))
    }

    /// Whether there is room for so many bytes more.
    pub(super) fn room(&self, rules: &JournalRules, bytes: u64, desk: &Desk, now: Millis) -> Result<(), Refused> {
        if rules.durability == Durability::Fsync {
            desk.check_disk()?;
        }
        if self.entries.len() >= rules.max_entries {
            return Err(Refused::Entries);
        }
        if self.bytes + bytes > rules.max_bytes {
            return Err(Refused::Bytes);
        }
        let oldest = self.live.first().and_then(|number| self.entries.get(number));
        match oldest {
            Some(oldest) if u128::from(now.saturating_sub(oldest.at)) > rules.max_age.as_millis() => Err(Refused::Age),
            _ => Ok(()),
        }
    }

    /// Says when the room ends, and when there is enough of it again: a tenth, so that it is not said with every write.
    fn tell_room(&mut self, rules: &JournalRules, room: Result<(), Refused>, desk: &mut Desk) {
        let service = || Arc::clone(&self.name);
        match (room, &mut self.full) {
            (Err(why), None) => {
                let alone = rules.on_full == OnFull::OldOnly;
                desk.tell(News::Full { service: service(), why, alone });
                self.full = Some((why, u64::from(!alone), u64::from(alone)));
            }
            (Err(now), Some((why, refused, alone))) => {
                *why = now;
                *(if rules.on_full == OnFull::OldOnly { alone } else { refused }) += 1;
            }
            (Ok(()), Some((_, refused, alone))) => {
                let enough = self.entries.len() <= rules.max_entries - rules.max_entries / 10;
                if enough && self.bytes <= rules.max_bytes - rules.max_bytes / 10 {
                    desk.tell(News::Roomy { service: service(), refused: *refused, alone: *alone });
                    self.full = None;
                }
            }
            (Ok(()), None) => {}
        }
    }

    /// The authoritative side has it: now it is the other side's turn.
    pub(super) fn applied(&mut self, number: u64, desk: &mut Desk, now: Millis) {
        self.restage(number, Some(Stage::Applied));
        let Some(entry) = self.entries.get_mut(&number) else { return };
        (entry.tries, entry.failures, entry.due) = (0, 0, now);
        if entry.is_stored() {
            desk.state(number, Stored::Applied);
        }
        let write = Arc::clone(&entry.write);
        if let Some(lines) = self.keys.get_mut(&write.key) {
            lines.leave(&write.authoritative, number);
        }
        self.advance(&write.key, desk, now);
    }
}
