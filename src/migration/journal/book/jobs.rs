//! What is to be sent from here, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::entry::{Entry, Stage};
use super::shelf::Shelf;
use super::{Book, Millis};
use crate::migration::journal::store::Stored;
use crate::migration::journal::{News, Why, Write};
use crate::plan::JournalRules;

/// Most writes of one service that are being sent at a time.
const PARALLEL: usize = 32;
/// Most bytes that are kept of what a version said.
const MAX_SAID: usize = 200;

/// A write to be sent.
#[derive(Debug, Clone)]
pub(in crate::migration) struct Job {
    pub(in crate::migration) number: u64,
    pub(in crate::migration) write: Arc<Write>,
    pub(in crate::migration) side: Side,
    pub(in crate::migration) timeout: Duration,
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::migration) enum Side {
    /// Once more, as nobody knows what came of the first time.
    Authoritative,
    /// For delivery.
    Other,
}

/// What a version said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::migration) enum Said {
    /// It has the write.
    Done,
    /// Not now.
    Later(String),
    /// Nothing: it was not reached.
    Nothing(String),
    /// Never.
    Never(String),
}

impl Job {
    /// The version it goes to.
    pub(in crate::migration) fn version(&self) -> &Arc<str> {
        match self.side {
            Side::Authoritative => &self.write.authoritative,
            Side::Other => &self.write.other,
        }
    }
}

impl Book {
    /// The next that may be sent now.
    pub(in crate::migration::journal) fn take_job(&mut self, now: Millis) -> Option<Job> {
        self.shelves.values_mut().find_map(|stock| stock.take_job(now))
    }

    /// When there will be another, as far as is known.
    pub(in crate::migration::journal) fn due(&self) -> Option<Millis> {
        let free = self.shelves.values().filter(|stock| stock.running < PARALLEL);
        free.filter_map(|stock| stock.ready.first()).map(|(due, _)| *due).min()
    }

    /// What came of a job; `draw` is uniform in 0..1.
    pub(in crate::migration::journal) fn report(&mut self, job: &Job, said: Said, now: Millis, draw: f64) {
        if let Some((stock, desk)) = self.at(&job.write.service) {
            stock.report(job, said, desk, now, draw);
        }
    }

    /// Whether a dead letter of that number is delivered again.
    pub(in crate::migration::journal) fn retry(&mut self, service: &str, number: u64, now: Millis) -> bool {
        let Some((stock, desk)) = self.at(service) else { return false };
        if !stock.is_dead(number) {
            return false;
        }
        let key = Arc::clone(&stock.entries[&number].write.key);
        stock.applied(number, desk, now);
        stock.tell_the_living(&key);
        true
    }

    /// Whether a dead letter of that number was given up.
    pub(in crate::migration::journal) fn give_up(&mut self, service: &str, number: u64, now: Millis) -> bool {
        let Some((stock, desk)) = self.at(service) else { return false };
        if !stock.is_dead(number) {
            return false;
        }
        stock.give_up(number, Why::GivenUp, desk, now);
        true
    }
}

impl Shelf {
    fn is_dead(&self, number: u64) -> bool {
        self.entries.get(&number).is_some_and(|entry| entry.stage == Stage::Dead)
    }

    fn take_job(&mut self, now: Millis) -> Option<Job> {
        let rules = Arc::clone(self.rules.as_ref()?);
        while self.running < PARALLEL {
            let (due, number) = *self.ready.first().filter(|(due, _)| *due <= now)?;
            self.ready.remove(&(due, number));
            let Some(entry) = self.entries.get_mut(&number).filter(|entry| !entry.running) else { continue };
            let side = match entry.stage {
                Stage::Uncertain => Side::Authoritative,
                Stage::Applied => Side::Other,
                Stage::Waiting | Stage::Sent | Stage::Dead | Stage::Withdrawn => continue,
            };
            let Some(lines) = self.keys.get_mut(&entry.write.key).filter(|lines| lines.held.is_none()) else {
                continue;
            };
            entry.running = true;
            lines.moving += 1;
            self.running += 1;
            return Some(Job { number, write: Arc::clone(&entry.write), side, timeout: rules.timeout });
        }
        None
    }

    fn report(&mut self, job: &Job, said: Said, desk: &mut Desk, now: Millis, draw: f64) {
        let Some(entry) = self.entries.get_mut(&job.number).filter(|entry| entry.running) else { return };
        entry.running = false;
        self.running -= 1;
        if let Some(lines) = self.keys.get_mut(&job.write.key) {
            lines.moving -= 1;
        }
        let rules = self.rules.clone().unwrap_or_default();
        let again = match &said {
            Said::Done => None,
            Said::Never(_) => Some(false),
            Said::Later(_) | Said::Nothing(_) => Some(entry.fail(&said, &rules, now, draw)),
        };
        if let Said::Later(why) | Said::Nothing(why) | Said::Never(why) = said {
            entry.said = clip(why);
            self.tally.failed += 1;
        }
        match (job.side, again) {
            (Side::Authoritative, None) => self.applied(job.number, desk, now),
            (Side::Other, None) => {
                self.tally.delivered += 1;
                self.remove(job.number, desk, now);
            }
            (_, Some(true)) => self.advance(&job.write.key, desk, now),
            (Side::Authoritative, Some(false)) => self.give_up(job.number, Why::Unknown, desk, now),
            (Side::Other, Some(false)) => self.die(job.number, desk, now),
        }
    }

    /// It is tried no more, and stops its key.
    fn die(&mut self, number: u64, desk: &mut Desk, now: Millis) {
        let first = self.counts[Stage::Dead as usize] == 0;
        self.restage(number, Some(Stage::Dead));
        let entry = &self.entries[&number];
        let (key, why) = (Arc::clone(&entry.write.key), Arc::clone(&entry.said));
        if entry.is_stored() {
            desk.state(number, Stored::Dead { tries: entry.tries, why: Arc::clone(&why) });
        }
        if first {
            desk.tell(News::DeadLetter { service: Arc::clone(&self.name), key: Arc::clone(&key), why });
        }
        self.tell_the_living(&key);
        self.advance(&key, desk, now);
    }
}

impl Entry {
    /// It was tried in vain; whether it is to be tried again.
    fn fail(&mut self, said: &Said, rules: &JournalRules, now: Millis, draw: f64) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.tries += u32::from(matches!(said, Said::Later(_)));
        let pause = rules.backoff.pause(self.failures, draw).as_millis();
        self.due = now.saturating_add(u64::try_from(pause).unwrap_or(u64::MAX));
        self.tries < rules.tries
    }
}

/// Not more of it than is kept.
fn clip(mut why: String) -> Arc<str> {
    let end = (0..=MAX_SAID.min(why.len())).rev().find(|end| why.is_char_boundary(*end));
    why.truncate(end.unwrap_or_default());
    why.into()
}
