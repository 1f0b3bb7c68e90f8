//! The plan as one worker sees it: with its own connections and figures beside each version.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::deprecated::Callers;
use super::gate::{Gateway, Part};
use super::measured::Measured;
use super::retry::{self, Resend};
use super::shadow::{self, Shadowing};
use super::worker::Shared;
use crate::plan::{Attached, MeasuredBy, Plan, Service, ServiceId, Side, Steering, Version, VersionId, VersionSet};
use crate::telemetry::{ArmCell, FaultCell, FlagCells, MigrationCell, VersionCell};
use crate::upstream::{Pool, ServiceHealth};

/// A plan and what this worker needs to carry it out. Replaced whole when the plan is.
#[derive(Debug)]
pub(super) struct View {
    pub(super) plan: Arc<Plan>,
    /// In the plan's order.
    services: Vec<Targets>,
    /// The figures of the faults, by service, then in the plan's order.
    faults: Vec<Vec<Arc<FaultCell>>>,
    /// By service, in the plan's order.
    resends: Vec<Rc<Resend>>,
    /// By service, in the plan's order; where its requests are copied.
    shadows: Vec<Option<Rc<Shadowing>>>,
    /// Flags by route.
    steering: Rc<Steering>,
    flag_cells: Arc<FlagCells>,
    /// By service, in the plan's order; where requests are measured by a flag.
    measured: Vec<Option<Measured>>,
    /// By service, in the plan's order; where a version has a control arm.
    control_arms: Vec<Option<Arc<ArmCell>>>,
    /// By service, in the plan's order. Empty where none is under migration.
    migrations: Vec<Option<Migrating>>,
    /// By service, in the plan's order. Empty where no end of a version is announced.
    callers: Vec<Option<Callers>>,
}

/// A service under migration.
#[derive(Debug)]
struct Migrating {
    name: Arc<str>,
    cell: Arc<MigrationCell>,
    /// For copies of reads to the old and to the new version, where reads are compared.
    compared: Option<[Rc<Shadowing>; 2]>,
}

/// One service.
#[derive(Debug)]
struct Targets {
    health: Arc<ServiceHealth>,
    /// In the plan's order.
    versions: Vec<Rc<Target>>,
}

/// One version, with this worker's connections to it and figures about it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) cell: Arc<VersionCell>,
    pub(super) pool: Rc<Pool>,
    pub(super) gateway: Gateway,
}

impl View {
    /// The flags of a route, by its position.
    pub(super) fn attached(&self, route: usize) -> Option<&Arc<Attached>> {
        self.steering.of_route(route)
    }

    /// Where evaluations of the plan's flags are counted.
    pub(super) fn flag_cells(&self) -> &FlagCells {
        &self.flag_cells
    }

    /// The figures of a version for requests for which the flag they are measured by has this variant.
    pub(super) fn variant(&self, service: ServiceId, version: VersionId, variant: MeasuredBy) -> Option<&Arc<ArmCell>> {
        self.measured[service.index()].as_ref().map(|measured| measured.cell(version, variant))
    }

    /// The figures of a service's control arm, where it has one.
    pub(super) fn control_arm(&self, service: ServiceId) -> Option<&Arc<ArmCell>> {
        self.control_arms[service.index()].as_ref()
    }

    pub(super) fn target(&self, service: ServiceId, version: VersionId) -> &Rc<Target> {
        &self.services[service.index()].versions[version.index()]
    }

    /// The versions of a service that can take requests; all of them where none can.
    pub(super) fn up(&self, service: ServiceId) -> VersionSet {
        let Targets { health, versions } = &self.services[service.index()];
        if health.all_up() {
            return VersionSet::ALL;
        }
        if !versions.iter().any(|target| target.pool.health().is_up()) {
            return VersionSet::ALL;
        }
        let down = versions.iter().enumerate().filter(|(_, target)| !target.pool.health().is_up());
        down.fold(VersionSet::ALL, |up, (position, _)| up.without(VersionId::from_index(position)))
    }

    /// Where callers of a version are counted whose end is announced; `None`: it is not.
    pub(super) fn callers(&self, service: ServiceId) -> Option<&Callers> {
        self.callers.get(service.index())?.as_ref()
    }

    /// The figures of a service's migration; `None`: it is under none.
    pub(super) fn migration(&self, service: ServiceId) -> Option<&Arc<MigrationCell>> {
        self.migrations.get(service.index())?.as_ref().map(|migrating| &migrating.cell)
    }

    /// What it takes to copy reads of a service under migration to this side; `None`: none are compared.
    pub(super) fn compared(&self, service: ServiceId, side: Side) -> Option<&Rc<Shadowing>> {
        let [from, to] = self.migrations.get(service.index())?.as_ref()?.compared.as_ref()?;
        Some(match side {
            Side::From => from,
            Side::To => to,
        })
    }

    /// What it takes to copy a service's requests; `None`: they are not copied.
    pub(super) fn shadow(&self, service: ServiceId) -> Option<&Rc<Shadowing>> {
        self.shadows[service.index()].as_ref()
    }

    /// The figures of a service's faults; empty where it has none.
    pub(super) fn faults(&self, service: ServiceId) -> &[Arc<FaultCell>] {
        &self.faults[service.index()]
    }

    /// What is remembered for sending a service's requests again.
    pub(super) fn resend(&self, service: ServiceId) -> &Rc<Resend> {
        &self.resends[service.index()]
    }

    /// The view of `plan`. Connections of versions that answer where they did before are taken over from `old`; the rest
    /// of `old`'s are retired.
    pub(super) fn new(plan: Arc<Plan>, old: Option<&Self>, worker: usize, shared: &Shared) -> Self {
        let Shared { registry, resolver, health, .. } = shared;
        let services = plan
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| {
                let versions = service.versions.iter().map(|version| {
                    let watched = health.version(service, version, resolver);
                    let same = old.and_then(|old| old.same(&plan, index, service, version));
                    // One that is watched by nobody any more is as good as another one.
                    let same = same.filter(|same| Arc::ptr_eq(same.pool.health(), &watched));
                    same.unwrap_or_else(|| {
                        let cell = registry.version(worker, &service.name, &version.name);
                        let pool = Pool::new(&plan.upstream, Arc::clone(&cell), watched, worker);
                        Rc::new(Target { cell, pool: Rc::new(pool), gateway: Gateway::default() })
                    })
                });
                Targets { versions: versions.collect(), health: health.service(&service.name) }
            })
            .collect::<Vec<Targets>>();
        let known = old.map_or(&[][..], |old| &old.resends);
        let resends =
            retry::of_services(&plan, known, |service, version| Arc::clone(&services[service].versions[version].cell));
        let cells = |service: &Arc<Service>| {
            let faults = service.faults.iter();
            faults
                .map(|fault| registry.fault(&service.name, &service.version(fault.version).name, &fault.name))
                .collect()
        };
        let faults = plan.services.iter().map(cells).collect();
        let steering = match old {
            Some(old) if old.plan.has_same_flags(&plan) => Rc::clone(&old.steering),
            _ => Rc::new(Steering::new(&plan)),
        };
        let flag_cells = registry.flag_cells(worker, &plan.flags);
        let measured = plan.services.iter().map(|service| Measured::of(service, &plan.flags, worker, registry));
        let measured = measured.collect();
        let control_arm = |service: &Arc<Service>| {
            let version = service.version(service.control.as_ref()?.of());
            Some(registry.control_arm(worker, &service.name, &version.name))
        };
        let control_arms = plan.services.iter().map(control_arm).collect();
        let migrations = Migrating::of_services(&plan, old, worker, shared);
        let callers = Callers::of_services(&plan.services, registry);
        let known = old.map_or(&[][..], |old| &old.shadows);
        let shadows = shadow::of_services(&plan, known, worker, shared);
        let view = Self {
            plan,
            services,
            faults,
            resends,
            shadows,
            steering,
            flag_cells,
            measured,
            control_arms,
            migrations,
            callers,
        };
        if let Some(old) = old {
            old.retire_all_but(&view);
        }
        view.set_gates(Part { worker, workers: registry.workers() });
        view
    }

    /// Gives every version the gate its service asks for. After the retired ones lost theirs, as figures go by names.
    fn set_gates(&self, part: Part) {
        for (service, targets) in self.plan.services.iter().zip(&self.services) {
            for target in &targets.versions {
                target.gateway.set(service.overload.as_ref(), part, &target.cell);
            }
        }
    }

    /// The target of a version that has the same name and answers at the same place as before.
    fn same(&self, plan: &Plan, index: usize, service: &Service, version: &Version) -> Option<Rc<Target>> {
        if self.plan.upstream != plan.upstream {
            return None;
        }
        // Nearly always where it was.
        let (id, before) = match self.plan.services.get(index) {
            Some(before) if before.name == service.name => (ServiceId::from_index(index), before),
            _ => self.plan.service_named(&service.name)?,
        };
        let position = before.version_named(&version.name)?;
        (before.version(position).upstream == version.upstream).then(|| Rc::clone(self.target(id, position)))
    }

    fn retire_all_but(&self, kept: &Self) {
        // A set, as this happens between two requests and there may be thousands.
        let kept: HashSet<_> = kept.targets().map(Rc::as_ptr).collect();
        for target in self.targets().filter(|target| !kept.contains(&Rc::as_ptr(target))) {
            target.pool.retire();
            target.gateway.close();
        }
    }

    /// All connections: those for clients' requests, and those for copies.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Rc<Pool>> {
        let of_copies = self.shadows.iter().flatten().flat_map(|shadowing| shadowing.pools());
        let of_copies = of_copies.chain(self.migrations.iter().flatten().flat_map(Migrating::pools));
        self.targets().map(|target| &target.pool).chain(of_copies)
    }

    /// All versions of all services.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Rc<Target>> {
        self.services.iter().flat_map(|service| &service.versions)
    }
}

impl Migrating {
    /// For every service of `plan`, in its order; nothing where none is under migration.
    fn of_services(plan: &Plan, old: Option<&View>, worker: usize, shared: &Shared) -> Vec<Option<Self>> {
        let before = || old.into_iter().flat_map(|old| old.migrations.iter().flatten());
        let one = |service: &Arc<Service>| {
            service.migration.as_ref()?;
            let known = before().find(|known| known.name == service.name).and_then(|known| known.compared.as_ref());
            let compared = shadow::of_migration(plan, service, known.map_or(&[], |known| &known[..]), worker, shared);
            Some(Self { name: Arc::clone(&service.name), cell: shared.registry.migration(&service.name), compared })
        };
        let made: Vec<Option<Self>> = if plan.services.iter().any(|service| service.migration.is_some()) {
            plan.services.iter().map(one).collect()
        } else {
            Vec::new()
        };
        let is_kept = |pool: &Rc<Pool>| made.iter().flatten().flat_map(Self::pools).any(|kept| Rc::ptr_eq(kept, pool));
        before().flat_map(Self::pools).filter(|pool| !is_kept(pool)).for_each(|pool| pool.retire());
        made
    }

    /// The pools that belong to it.
    fn pools(&self) -> impl Iterator<Item = &Rc<Pool>> {
        self.compared.iter().flatten().flat_map(|shadowing| shadowing.pools())
    }
}
