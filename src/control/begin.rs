//! From the files and the ledger to what is in force first.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::files::Files;
use super::force::InForce;
use super::record::{self, Before};
use super::recorder::{self, Recorded, Recorder};
use super::rollouts::Rollouts;
use crate::ledger::{AppendError, Draft, Ledger, What};
use crate::plan::{migrated, widened};
use crate::telemetry::Registry;

/// What is in force first, and its record.
#[derive(Debug)]
pub struct Begun {
    /// What is in force.
    pub in_force: InForce,
    /// Where changes are recorded.
    pub recorder: Recorder,
    /// The files say more than is in force: it would widen, and the ledger cannot be written.
    pub held_back: bool,
    /// The rollouts, where they stood.
    pub rollouts: Rollouts,
    /// Services whose migration somebody moved by hand.
    pub by_hand: BTreeSet<String>,
}

/// Records that a process begins to work, with what changed since the last one did. `in_force` is by files and ledger
/// ([`InForce::resumed`]). Where the ledger cannot be written and the files changed to something wider, what the ledger says stays in
/// force until it can.
///
/// # Errors
/// What the system says if there is no thread to be had, or an entry cannot be one.
pub fn begin(in_force: InForce, files: &Files, mut ledger: Ledger, registry: &Arc<Registry>) -> io::Result<Begun> {
    let before = Before::of_ledger(ledger.state());
    let mut rollouts = Rollouts::resumed(in_force.plan(), &ledger.state().rollouts, ledger.state().last_rollout);
    rollouts.resume_approvals(&ledger.state().approvals);
    let cautious = in_force.by_ledger_alone(ledger.state());
    let wider = widened(cautious.plan(), in_force.plan()).map(|(service, id)| {
        let version = &service.version(id).name;
        format!("widen {}/{version}", service.name)
    });
    let wider = wider.or_else(|| {
        migrated(cautious.plan(), in_force.plan()).map(|service| format!("move the migration of {}", service.name))
    });
    let by_hand = ledger.state().migrations_by_hand.clone();
    let drafts = record::started(&before, &in_force, files, ledger.is_new());
    let recorded = recorder::append(&mut ledger, drafts, wider.is_none(), registry);
    let (in_force, held_back) = match (recorded, wider) {
        (Ok(Recorded::Written(_)), _) => (in_force, false),
        (Ok(Recorded::Kept(why)), _) => {
            tracing::error!("the ledger cannot be written, and nothing is widened until it can: {why}");
            (in_force, false)
        }
        (Err(AppendError::Storage(why)), wider) => {
            let wider = wider.unwrap_or_default();
            tracing::error!(
                "the ledger cannot be written, so the weights it has stay in force: the files would {wider}: {why}"
            );
            let version = env!("CARGO_PKG_VERSION").to_owned();
            ledger.append_later(SystemTime::now(), vec![Draft::new("serin", "", What::Started { version })]);
            (cautious, true)
        }
        (Err(error), _) => return Err(io::Error::other(error)),
    };
    Ok(Begun { in_force, recorder: Recorder::start(ledger, Arc::clone(registry))?, held_back, rollouts, by_hand })
}
