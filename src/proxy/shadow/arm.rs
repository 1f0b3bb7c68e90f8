//! One worker's own connections and figures for the copies of a service's requests.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use super::brake::Brake;
use crate::plan::{self, DiffPlan, Plan, Service, Share, UpstreamSettings, VersionId};
use crate::proxy::worker::Shared;
use crate::shadow::{Comparing, Subject};
use crate::telemetry::{ArmCell, ShadowCell, ShadowCells, VersionCell};
use crate::upstream::Pool;

/// What it takes to copy the requests of one service.
#[derive(Debug)]
pub(in crate::proxy) struct Shadowing {
    pub(in crate::proxy) plan: Arc<plan::Shadow>,
    /// By version: the one that gets copies, and where noise is learned all others.
    arms: Vec<Option<Rc<Arm>>>,
    /// There where answers are compared.
    pub(in crate::proxy) compared: Option<Compared>,
    brake: Rc<Brake>,
}

/// One version as far as it gets copies.
#[derive(Debug)]
pub(in crate::proxy) struct Arm {
    pub(super) pool: Rc<Pool>,
    pub(super) cell: Arc<VersionCell>,
    pub(in crate::proxy) shared: Arc<ShadowCell>,
    /// For what clients are answered to the requests that are copied here.
    pub(in crate::proxy) paired: Arc<ArmCell>,
    /// `service/version`.
    pub(in crate::proxy) header: HeaderValue,
    settings: UpstreamSettings,
}

/// How answers are compared, and where.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Compared {
    pub(in crate::proxy) plan: Arc<DiffPlan>,
    pub(super) subject: Arc<Subject>,
    pub(super) comparing: Comparing,
}

impl Shadowing {
    /// The version that gets the copies.
    pub(in crate::proxy) fn to(&self) -> Option<&Rc<Arm>> {
        self.arm(self.plan.to)
    }

    /// A version that gets copies.
    pub(in crate::proxy) fn arm(&self, version: VersionId) -> Option<&Rc<Arm>> {
        self.arms.get(version.index())?.as_ref()
    }

    /// Whether a copy may be sent now: not where those before it failed one after the other.
    pub(in crate::proxy) fn admits(&self, now: Instant) -> bool {
        self.brake.admits(now)
    }

    pub(super) fn brake(&self) -> &Brake {
        &self.brake
    }

    /// The pools that belong to it.
    pub(in crate::proxy) fn pools(&self) -> impl Iterator<Item = &Rc<Pool>> {
        self.arms.iter().flatten().map(|arm| &arm.pool)
    }
}

/// For every service of `plan`, in its order. Connections of versions that answer where they did before are taken over from
/// `old`; the rest of its are retired.
pub(in crate::proxy) fn of_services(
    plan: &Plan,
    old: &[Option<Rc<Shadowing>>],
    worker: usize,
    shared: &Shared,
) -> Vec<Option<Rc<Shadowing>>> {
    let made: Vec<_> =
        plan.services.iter().map(|service| of_service(plan, service, old, worker, shared).map(Rc::new)).collect();
    for pool in old.iter().flatten().flat_map(|old| old.pools()) {
        if !made.iter().flatten().any(|made| made.pools().any(|kept| Rc::ptr_eq(kept, pool))) {
            pool.retire();
        }
    }
    made
}

fn of_service(
    plan: &Plan,
    service: &Service,
    old: &[Option<Rc<Shadowing>>],
    worker: usize,
    shared: &Shared,
) -> Option<Shadowing> {
    let shadow = service.shadow.as_ref()?;
    Some(shadowing(plan, service, (shadow, shadow.to), old, worker, shared))
}

/// For a service under migration in a stage that compares reads: what it takes to copy those that one side answers to the
/// other, first for copies to the old version, then for those to the new one. Only some of `old` may be its own.
pub(in crate::proxy) fn of_migration(
    plan: &Plan,
    service: &Service,
    old: &[Rc<Shadowing>],
    worker: usize,
    shared: &Shared,
) -> Option<[Rc<Shadowing>; 2]> {
    let migration = service.migration.as_ref().filter(|migration| migration.compares())?;
    let old: Vec<_> = old.iter().cloned().map(Some).collect();
    // Both count in one tally: that of the side which answers nobody in the stage itself.
    let subject = migration.version(migration.progress.stage.client_gets().other());
    let to = |version: VersionId| {
        let name = &service.version(version).name;
        let copies = Arc::new(plan::Shadow::new(&service.name, name, version, Share::ALL)?);
        Some(Rc::new(shadowing(plan, service, (&copies, subject), &old, worker, shared)))
    };
    Some([to(migration.rules.from)?, to(migration.rules.to)?])
}

/// `subject_to`: the version that comparisons are counted for.
fn shadowing(
    plan: &Plan,
    service: &Service,
    (shadow, subject_to): (&Arc<plan::Shadow>, VersionId),
    old: &[Option<Rc<Shadowing>>],
    worker: usize,
    shared: &Shared,
) -> Shadowing {
    let compared = service.diff.as_ref().map(|diff| Compared {
        plan: Arc::clone(diff),
        subject: Arc::new(subject(plan, service, subject_to, diff)),
        comparing: shared.comparing.clone(),
    });
    let learns_noise = compared.as_ref().is_some_and(|compared| compared.plan.learns_noise());
    let known = || old.iter().flatten().flat_map(|old| old.arms.iter().flatten().map(move |arm| (old, arm)));
    let arms: Vec<Option<Rc<Arm>>> = service
        .versions
        .iter()
        .enumerate()
        .map(|(index, version)| {
            let is_to = index == shadow.to.index();
            if !is_to && !learns_noise {
                return None;
            }
            // What is known of its addresses is of this version of this service alone.
            let health = shared.health.version(service, version, &shared.resolver);
            let same =
                known().find(|(_, arm)| Arc::ptr_eq(arm.pool.health(), &health) && arm.settings == plan.upstream);
            if let Some((_, arm)) = same {
                return Some(Rc::clone(arm));
            }
            let cells = shared.registry.shadow(worker, &service.name, &version.name);
            let ShadowCells { shared: cell, arm, paired } = cells;
            let pool = Pool::apart(&plan.upstream, Arc::clone(&arm), health, worker);
            // Invariant: names are plain ASCII.
            let header = HeaderValue::from_str(&format!("{}/{}", service.name, version.name)).ok()?;
            let (pool, settings) = (Rc::new(pool), plan.upstream.clone());
            Some(Rc::new(Arm { pool, cell: arm, shared: cell, paired, header, settings }))
        })
        .collect();
    // As long as the copies go to the same place, what is known of how they fare stays.
    let to = arms[shadow.to.index()].as_ref();
    let brake = old.iter().flatten().find(|old| old.to().zip(to).is_some_and(|(old, to)| Rc::ptr_eq(old, to)));
    let brake = brake.map(|old| Rc::clone(&old.brake)).unwrap_or_default();
    Shadowing { plan: Arc::clone(shadow), arms, compared, brake }
}

fn subject(plan: &Plan, service: &Service, to: VersionId, diff: &Arc<DiffPlan>) -> Subject {
    let each = service.versions.iter().map(|version| (Arc::clone(&version.name), Arc::clone(&version.upstream)));
    Subject {
        service: Arc::clone(&service.name),
        to: Arc::clone(&service.version(to).name),
        versions: each.collect(),
        plan: Arc::clone(diff),
        generation: plan.generation,
    }
}
