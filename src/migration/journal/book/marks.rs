//! Keys that are to be reconciled.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Millis;
use super::desk::Desk;
use crate::migration::journal::store::{Mark, Op};
use crate::migration::journal::{News, Why};

/// Most keys of a service that are listed; with more, all are to be looked at.
const MAX_LISTED: usize = 100_000;

/// The keys of one service that are to be reconciled.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// With a stamp that grows each time one is listed.
    pub(super) keys: BTreeMap<Arc<str>, (Mark, u64)>,
    /// There were more of them.
    pub(super) all: bool,
}

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.all
    }

    pub(super) fn add(&mut self, service: &Arc<str>, key: &Arc<str>, why: Why, desk: &mut Desk, now: Millis) {
        if self.is_empty() {
            desk.tell(News::ToReconcile { service: Arc::clone(service), key: Arc::clone(key), why });
        }
        let stamp = desk.stamp();
        let known = self.keys.get(key).is_some_and(|(mark, _)| mark.why == why);
        if self.keys.len() < MAX_LISTED || self.keys.contains_key(key) {
            let mark = Mark { why, at: now };
            self.keys.insert(Arc::clone(key), (mark, stamp));
            if !known {
                desk.mark(Op::Mark(Arc::clone(service), Arc::clone(key), mark));
            }
        } else if !self.all {
            self.all = true;
            desk.mark(Op::MarkAll(Arc::clone(service)));
        }
    }

    /// Forgets a key, where it was not listed again since `stamp`. Whether it is gone.
    pub(super) fn remove(&mut self, service: &Arc<str>, key: &str, stamp: Option<u64>, desk: &mut Desk) -> bool {
        let found = self.keys.get(key).map(|(_, listed)| *listed);
        if found.is_some_and(|listed| stamp.is_some_and(|stamp| stamp != listed)) {
            return false;
        }
        if let Some((key, _)) = self.keys.remove_entry(key) {
            desk.mark(Op::Unmark(Arc::clone(service), key));
        }
        true
    }

    pub(super) fn forget_all(&mut self, service: &Arc<str>, desk: &mut Desk) {
        if std::mem::take(&mut self.all) {
            desk.mark(Op::UnmarkAll(Arc::clone(service)));
        }
    }
}
