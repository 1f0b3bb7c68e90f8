//! The plan as one worker sees it: with its own connections and figures beside each version.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::gate::{Gateway, Part};
use super::measured::Measured;
use super::retry::{self, Resend};
use super::shadow::{self, Shadowing};
use super::worker::Shared;
use crate::plan::{Attached, MeasuredBy, Plan, Service, ServiceId, Steering, Version, VersionId, VersionSet};
use crate::telemetry::{FaultCell, FlagCells, MigrationCell, VariantCell, VersionCell};
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
    /// The figures of migrations, by service, in the plan's order. Empty where there is none.
    migrations: Vec<Option<Arc<MigrationCell>>>,
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
    pub(super) fn variant(
        &self,
        service: ServiceId,
        version: VersionId,
        variant: MeasuredBy,
    ) -> Option<&Arc<VariantCell>> {
        self.measured[service.index()].as_ref().map(|measured| measured.cell(version, variant))
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

    /// The figures of a service's migration; `None`: it is under none.
    pub(super) fn migration(&self, service: ServiceId) -> Option<&Arc<MigrationCell>> {
        self.migrations.get(service.index())?.as_ref()
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
        let migrations = if plan.services.iter().any(|service| service.migration.is_some()) {
            let cell = |service: &Arc<Service>| service.migration.as_ref().map(|_| registry.migration(&service.name));
            plan.services.iter().map(cell).collect()
        } else {
            Vec::new()
        };
        let known = old.map_or(&[][..], |old| &old.shadows);
        let shadows = shadow::of_services(&plan, known, worker, shared);
        let view = Self { plan, services, faults, resends, shadows, steering, flag_cells, measured, migrations };
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
        self.targets().map(|target| &target.pool).chain(of_copies)
    }

    /// All versions of all services.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Rc<Target>> {
        self.services.iter().flat_map(|service| &service.versions)
    }
}
