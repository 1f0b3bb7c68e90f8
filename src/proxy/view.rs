//! The plan as one worker sees it: with its own connections and figures beside each version.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::gate::{Gateway, Part};
use super::retry::{self, Resend};
use crate::plan::{Plan, Service, ServiceId, Version, VersionId};
use crate::telemetry::{Registry, VersionCell};
use crate::upstream::{Pool, Resolver};

/// A plan and what this worker needs to carry it out. Replaced whole when the plan is.
#[derive(Debug)]
pub(super) struct View {
    pub(super) plan: Arc<Plan>,
    /// By service, then by version, in the plan's order.
    services: Vec<Vec<Rc<Target>>>,
    /// By service, in the plan's order.
    resends: Vec<Rc<Resend>>,
}

/// One version, with this worker's connections to it and figures about it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) cell: Arc<VersionCell>,
    pub(super) pool: Rc<Pool>,
    pub(super) gateway: Gateway,
}

impl View {
    pub(super) fn target(&self, service: ServiceId, version: VersionId) -> &Rc<Target> {
        &self.services[service.index()][version.index()]
    }

    /// What is remembered for sending a service's requests again.
    pub(super) fn resend(&self, service: ServiceId) -> &Rc<Resend> {
        &self.resends[service.index()]
    }

    /// The view of `plan`. Connections of versions that answer where they did before are taken over from `old`; the rest
    /// of `old`'s are retired.
    pub(super) fn new(
        plan: Arc<Plan>,
        old: Option<&Self>,
        worker: usize,
        registry: &Registry,
        resolver: &Resolver,
    ) -> Self {
        let services = plan
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| {
                let versions = service.versions.iter();
                versions
                    .map(|version| {
                        old.and_then(|old| old.same(&plan, index, service, version)).unwrap_or_else(|| {
                            let cell = registry.version(worker, &service.name, &version.name);
                            let pool = Pool::new(&version.upstream, &plan.upstream, Arc::clone(&cell), resolver);
                            Rc::new(Target { cell, pool: Rc::new(pool), gateway: Gateway::default() })
                        })
                    })
                    .collect()
            })
            .collect::<Vec<Vec<Rc<Target>>>>();
        let known = old.map_or(&[][..], |old| &old.resends);
        let resends = retry::of_services(&plan, known, |service, version| Arc::clone(&services[service][version].cell));
        let view = Self { plan, services, resends };
        if let Some(old) = old {
            old.retire_all_but(&view);
        }
        view.set_gates(Part { worker, workers: registry.workers() });
        view
    }

    /// Gives every version the gate its service asks for. After the retired ones lost theirs, as figures go by names.
    fn set_gates(&self, part: Part) {
        for (service, targets) in self.plan.services.iter().zip(&self.services) {
            for target in targets {
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

    /// All versions of all services.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Rc<Target>> {
        self.services.iter().flatten()
    }
}
