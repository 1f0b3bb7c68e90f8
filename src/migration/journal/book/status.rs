//! What the book says of itself.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::entry::Stage;
use super::shelf::Shelf;
use super::{Book, Millis};
use crate::migration::journal::{DeadLetter, Listed, News, Status};
use crate::plan::Durability;

impl Book {
    /// How the journal of a service is.
    pub(in crate::migration::journal) fn status(&self, service: &str, now: Millis) -> Status {
        self.shelves.get(service).map(|stock| self.status_of(stock, now)).unwrap_or_default()
    }

    /// How the journals of all services are.
    pub(in crate::migration::journal) fn statuses(&self, now: Millis) -> Vec<(Arc<str>, Status)> {
        self.shelves.values().map(|stock| (Arc::clone(&stock.name), self.status_of(stock, now))).collect()
    }

    fn status_of(&self, stock: &Shelf, now: Millis) -> Status {
        let count = |stage: Stage| stock.counts[stage as usize];
        let oldest = stock.live.first().and_then(|number| stock.entries.get(number));
        let rules = stock.rules.as_ref();
        Status {
            entries: stock.entries.len(),
            bytes: stock.bytes,
            waiting: count(Stage::Waiting),
            in_flight: count(Stage::Sent),
            pending: count(Stage::Applied),
            uncertain: count(Stage::Uncertain),
            dead_letters: count(Stage::Dead),
            oldest: oldest.map(|entry| since(entry.at, now)),
            to_reconcile: stock.marks.keys.len(),
            all_to_reconcile: stock.marks.all,
            delivered: stock.tally.delivered,
            failed: stock.tally.failed,
            refused: stock.tally.refused,
            alone: stock.tally.alone,
            full: rules.and_then(|rules| stock.room(rules, 0, &self.desk, now).err()),
            in_memory: !self.desk.has_store() || rules.is_some_and(|rules| rules.durability == Durability::Memory),
        }
    }

    pub(in crate::migration::journal) fn is_pending(&self, service: &str, key: &str) -> bool {
        let lines = self.shelves.get(service).and_then(|stock| stock.keys.get(key));
        lines.is_some_and(|lines| !lines.firsts().is_empty())
    }

    pub(in crate::migration::journal) fn to_reconcile(
        &self,
        service: &str,
        after: Option<&str>,
        limit: usize,
        now: Millis,
    ) -> Vec<Listed> {
        let Some(stock) = self.shelves.get(service) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = stock.marks.keys.range::<str, _>((from, Bound::Unbounded)).take(limit);
        keys.map(|(key, (mark, stamp))| Listed {
            key: Arc::clone(key),
            why: mark.why,
            age: since(mark.at, now),
            stamp: *stamp,
        })
        .collect()
    }

    pub(in crate::migration::journal) fn reconciled(&mut self, service: &str, key: &str, stamp: u64) -> bool {
        let Some((stock, desk)) = self.at(service) else { return true };
        stock.marks.remove(&Arc::clone(&stock.name), key, Some(stamp), desk)
    }

    pub(in crate::migration::journal) fn all_reconciled(&mut self, service: &str) {
        if let Some((stock, desk)) = self.at(service) {
            stock.marks.forget_all(&Arc::clone(&stock.name), desk);
        }
    }

    pub(in crate::migration::journal) fn dead_letters(
        &self,
        service: &str,
        after: u64,
        limit: usize,
        now: Millis,
    ) -> Vec<DeadLetter> {
        let Some(stock) = self.shelves.get(service) else { return Vec::new() };
        let Some(from) = after.checked_add(1) else { return Vec::new() };
        let dead = stock.entries.range(from..).filter(|(_, entry)| entry.stage == Stage::Dead).take(limit);
        dead.map(|(number, entry)| {
            let write = &entry.write;
            DeadLetter {
                number: *number,
                key: Arc::clone(&write.key),
                method: write.method.clone(),
                target: write.target.clone(),
                other: Arc::clone(&write.other),
                tries: entry.tries,
                why: Arc::clone(&entry.said),
                age: since(entry.at, now),
                behind: stock.keys.get(&write.key).map_or(0, |lines| lines.behind(&write.other, *number)),
            }
        })
        .collect()
    }

    pub(in crate::migration::journal) fn take_seen(&mut self) -> Vec<(Arc<str>, Arc<str>)> {
        std::mem::take(&mut self.desk.seen)
    }

    pub(in crate::migration::journal) fn take_news(&mut self) -> Vec<News> {
        self.desk.news.drain(..).collect()
    }

    pub(in crate::migration::journal) fn has_news(&self) -> bool {
        !self.desk.news.is_empty()
    }
}

fn since(at: Millis, now: Millis) -> Duration {
    Duration::from_millis(now.saturating_sub(at))
}
