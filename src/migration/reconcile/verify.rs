//! Keys looked at without anybody asking: a few a second, of those seen in writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::desk::{Desk, LOOKS};
use super::examine::Wanted;
use super::http::Found;
use super::reconciler::Inner;
use super::run::Counts;
use crate::migration::Client;

/// Most looks of one service at a time.
const AT_ONCE: u32 = 4;
/// How often it is seen whether there is something to do.
const TICK: Duration = Duration::from_millis(20);
/// How often figures are told.
const REPORT: Duration = Duration::from_millis(500);

/// Works for as long as it is polled, among local tasks.
pub(super) async fn run(inner: Arc<Inner>, client: Client) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut reported: Option<Instant> = None;
    loop {
        tick.tick().await;
        let now = Instant::now();
        for (service, key) in due(&inner, now) {
            let (inner, client) = (Arc::clone(&inner), client.clone());
            tokio::task::spawn_local(async move {
                let outcome = inner.examine(&client, &service, &key, Wanted::default()).await;
                if let Some(desk) = inner.desks().get_mut(&service) {
                    desk.verified(&key, &outcome);
                }
            });
        }
        take_seen(&inner);
        if reported.is_none_or(|at| now - at >= REPORT) {
            reported = Some(now);
            inner.report();
        }
    }
}

/// Takes up keys that were written lately.
fn take_seen(inner: &Inner) {
    let Some(journal) = (inner.outside.journal)() else { return };
    let seen = journal.take_seen();
    if seen.is_empty() {
        return;
    }
    let mut desks = inner.desks();
    for (service, key) in seen {
        if let Some(desk) = desks.get_mut(&service) {
            desk.saw(&key);
        }
    }
}

/// The keys whose turn it is.
fn due(inner: &Inner, now: Instant) -> Vec<(Arc<str>, Arc<str>)> {
    let plan = (inner.outside.plan)();
    let mut due = Vec::new();
    for (service, desk) in inner.desks().iter_mut() {
        let Some(Found { migration, reconcile, .. }) = Found::of(&plan, service) else { continue };
        if reconcile.verify_rate <= 0.0 || !migration.writes_both() {
            continue;
        }
        let apart = Duration::from_secs_f64(1.0 / reconcile.verify_rate);
        while desk.verify_at <= now && desk.verifying < AT_ONCE {
            // Time that was not used is lost, but for what is less than a tick.
            desk.verify_at = (desk.verify_at + apart).max(now.checked_sub(TICK).unwrap_or(now));
            let Some(key) = desk.draw() else { break };
            desk.verifying += 1;
            due.push((Arc::clone(service), key));
        }
    }
    due
}

/// Looks by how they ended.
pub(super) fn looks(desk: &Desk) -> Vec<(&'static str, u64)> {
    LOOKS.into_iter().zip(desk.looks).collect()
}

/// Keys of runs by what was found of them.
pub(super) fn counts(desk: &Desk) -> Vec<(&'static str, u64)> {
    desk.counts.named().into()
}

impl Counts {
    /// Each by its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("agreed", self.agreed),
            ("differed", self.differed),
            ("missing", self.missing),
            ("extra", self.extra),
            ("unsettled", self.unsettled),
            ("failed", self.failed),
            ("repaired", self.repaired),
            ("unrepaired", self.unrepaired),
        ]
    }

    /// What came since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    pub(super) fn add(&mut self, other: &Self) {
        *self = self.with(other, u64::saturating_add);
    }

    fn with(&self, other: &Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            agreed: of(self.agreed, other.agreed),
            differed: of(self.differed, other.differed),
            missing: of(self.missing, other.missing),
            extra: of(self.extra, other.extra),
            unsettled: of(self.unsettled, other.unsettled),
            failed: of(self.failed, other.failed),
            repaired: of(self.repaired, other.repaired),
            unrepaired: of(self.unrepaired, other.unrepaired),
        }
    }
}
