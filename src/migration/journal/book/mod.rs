//! Everything in the journal, and whose turn it is. Pure: time and randomness are arguments, nothing is written or sent here.
//!
//! The writer takes [`Book::batch`]es to the store and says what became of them; whoever delivers takes jobs and reports.

mod begin;
mod desk;
mod disk;
mod entry;
mod hold;
mod jobs;
mod marks;
mod shelf;
mod status;

use std::collections::HashMap;
use std::sync::Arc;

use super::Refused;
use crate::plan::JournalRules;

pub(super) use begin::Granted;
pub(in crate::migration) use jobs::{Job, Said};

use desk::Desk;
use shelf::Shelf;

/// Milliseconds of a clock that never goes back, close to those since 1970.
pub(super) type Millis = u64;

/// The journal as it is in memory, which is the truth for as long as the process lives.
#[derive(Debug)]
pub(super) struct Book {
    shelves: HashMap<Arc<str>, Shelf>,
    desk: Desk,
}

impl Book {
    /// An empty book; `stored`: there is a store, which is told of everything that is to outlive the process.
    pub(super) fn new(stored: bool) -> Self {
        Self { shelves: HashMap::new(), desk: Desk::new(stored) }
    }

    /// The rules of every service that has a journal. Those that are not named keep what they have, and nothing of it is sent.
    pub(super) fn configure(&mut self, rules: impl IntoIterator<Item = (Arc<str>, Arc<JournalRules>)>, now: Millis) {
        let mut before: Vec<Arc<str>> = self.shelves.keys().cloned().collect();
        for (service, rules) in rules {
            before.retain(|name| *name != service);
            let stock = self.shelves.entry(Arc::clone(&service)).or_insert_with(|| Shelf::new(service));
            stock.set_rules(Some(rules), &mut self.desk, now);
        }
        for service in before {
            if let Some(stock) = self.shelves.get_mut(&service) {
                stock.set_rules(None, &mut self.desk, now);
            }
        }
        self.shelves.retain(|_, stock| !stock.is_void());
    }

    /// Takes no writes any more.
    pub(super) fn close(&mut self) {
        self.desk.closed = true;
    }

    /// Whether nothing is left to be settled, or to be sent but what was tried in vain already.
    pub(super) fn is_done(&self) -> bool {
        self.shelves.values().all(Shelf::is_done)
    }

    fn at(&mut self, service: &str) -> Option<(&mut Shelf, &mut Desk)> {
        Some((self.shelves.get_mut(service)?, &mut self.desk))
    }

    /// The same of a service that has a journal.
    fn kept(&mut self, service: &str) -> Result<(&mut Shelf, &mut Desk), Refused> {
        let (stock, desk) = self.at(service).ok_or(Refused::NoJournal)?;
        if stock.rules.is_none() {
            return Err(Refused::NoJournal);
        }
        Ok((stock, desk))
    }
}

#[cfg(test)]
mod tests;
