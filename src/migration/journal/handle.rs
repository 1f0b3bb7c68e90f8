//! The journal as others hold it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Begun, DeadLetter, Listed, News, Outcome, Refused, Status, Write};
use crate::plan::JournalRules;
use crate::telemetry::Registry;

/// The journal of all services; cloned freely, used from any thread.
#[derive(Debug, Clone)]
pub struct Journal {}

/// Why no journal was opened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

/// A write that may be sent to its authoritative side now. Dropped without a word, its outcome is [`Outcome::Unknown`].
#[derive(Debug)]
#[must_use]
pub struct Ticket {}

/// A key nothing is sent of, to either side, until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Hold {}

impl Journal {
    /// The journal in `folder` (`journal.redb`), with what was left in it; `None`: in memory.
    ///
    /// # Errors
    /// [`OpenError`]: it cannot be read.
    pub fn open(_folder: Option<&Path>, _registry: Arc<Registry>) -> Result<Self, OpenError> {
        todo!()
    }

    /// The rules of every service that has a journal, with every new plan. What is left of others is kept and not sent.
    pub fn configure(&self, _rules: impl IntoIterator<Item = (Arc<str>, Arc<JournalRules>)>) {
        todo!()
    }

    /// Journals a write, and waits until it is on the disk and its turn has come: at most [`JournalRules::wait`]. Dropped
    /// meanwhile, the write is forgotten.
    ///
    /// # Errors
    /// [`Refused`]: it must not be sent.
    pub async fn begin(&self, _write: Write) -> Result<Ticket, Refused> {
        todo!()
    }

    /// How the journal of a service is; all zero where it has none.
    #[must_use]
    pub fn status(&self, _service: &str) -> Status {
        todo!()
    }

    /// Whether there is anything of a key in the journal.
    #[must_use]
    pub fn is_pending(&self, _service: &str, _key: &str) -> bool {
        todo!()
    }

    /// Up to `limit` keys to be reconciled, by name, after `after`.
    #[must_use]
    pub fn to_reconcile(&self, _service: &str, _after: Option<&str>, _limit: usize) -> Vec<Listed> {
        todo!()
    }

    /// A key was reconciled: it is listed no more, unless it was listed anew since `stamp`. Gives whether it is gone.
    pub fn reconciled(&self, _service: &str, _key: &str, _stamp: u64) -> bool {
        todo!()
    }

    /// All keys of a service were reconciled: forgets that there were more than are listed.
    pub fn all_reconciled(&self, _service: &str) {
        todo!()
    }

    /// Up to `limit` dead letters with numbers above `after`.
    #[must_use]
    pub fn dead_letters(&self, _service: &str, _after: u64, _limit: usize) -> Vec<DeadLetter> {
        todo!()
    }

    /// Has a dead letter delivered again, with all its tries. Gives whether there is one of that number.
    pub fn retry(&self, _service: &str, _number: u64) -> bool {
        todo!()
    }

    /// Gives up a dead letter: its key goes on without it, and is listed for reconciliation. Gives whether there is one.
    pub fn give_up(&self, _service: &str, _number: u64) -> bool {
        todo!()
    }

    /// Waits until nothing of a key is on its way, and lets nothing set out until the [`Hold`] is dropped. Writes that are to be
    /// delivered later wait as well.
    ///
    /// # Errors
    /// [`Refused::Busy`] after `wait`, or where another holds it; [`Refused::NoJournal`], [`Refused::Closed`].
    pub async fn hold(&self, _service: &str, _key: &str, _wait: Duration) -> Result<Hold, Refused> {
        todo!()
    }

    /// What happened since this was asked last, oldest first; at most 1000 are kept.
    #[must_use]
    pub fn take_news(&self) -> Vec<News> {
        todo!()
    }

    /// Waits until there may be news. For one waiter.
    pub async fn changed(&self) {
        todo!()
    }

    /// Takes no more writes, waits up to `limit` until everything is delivered, and writes down the rest. Blocks.
    pub fn close(&self, _limit: Duration) {
        todo!()
    }
}

impl Ticket {
    /// Where the write goes.
    #[must_use]
    pub fn begun(&self) -> Begun {
        todo!()
    }

    /// Whether it goes to the authoritative side alone.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.begun() == Begun::Alone
    }

    /// Its number in the journal.
    #[must_use]
    pub fn number(&self) -> u64 {
        todo!()
    }

    /// What the authoritative side made of it. Not waited for: it is on the disk with the next group commit.
    pub fn settle(self, _outcome: Outcome) {
        todo!()
    }
}

impl Hold {
    /// The other side was given what the authoritative side has: everything of the key that was applied and not delivered, dead
    /// letters as well, has become superfluous, and the key is no longer listed.
    pub fn repaired(self) {
        todo!()
    }
}
