//! What is in force, and what a change makes of it. Pure: no file, no clock, no socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stages;
use crate::config::{Loaded, Settings};
use crate::flags::FlagSet;
use crate::ledger::{About, Point, Source, State, Weights};
use crate::plan::{Fault, Plan, Service, ServiceId, Split, Weight, WeightError};

/// A change of weights that a person or a program asks for.
#[derive(Debug, Clone)]
pub struct Change {
    /// Who asks.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Whose weights.
    pub service: String,
    /// The weights by version; a version left out gets 0.
    pub weights: BTreeMap<String, f64>,
    /// Where the change comes from.
    pub source: Source,
    /// What else the ledger is to say of it.
    pub about: About,
}

/// Why a change is refused. What was in force stays.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such service.
    #[error("there is no service `{name}`; there are: {known}")]
    UnknownService {
        /// What was asked for.
        name: String,
        /// All there are, with commas.
        known: String,
    },
    /// There is no such version.
    #[error("service `{service}` has no version `{name}`; it has: {known}")]
    UnknownVersion {
        /// The service.
        service: String,
        /// What was asked for.
        name: String,
        /// All there are, with commas.
        known: String,
    },
    /// A weight is none, or they are no split.
    #[error("the weights of service `{service}`: {source}")]
    Weights {
        /// The service.
        service: String,
        /// What is wrong with them.
        source: WeightError,
    },
    /// Weights and rollouts say nothing where a migration says which version answers.
    #[error(
        "service `{0}` is under migration: its stage alone says which version answers, so there are no weights to set and no \
         rollout to order; move it with `serin migration set {0} STAGE`, or PUT /api/v1/services/{0}/migration"
    )]
    UnderMigration(String),
    /// There is no migration to move.
    #[error("service `{0}` has no `migration` in serin.yaml")]
    NoMigration(String),
    /// It cannot be moved there.
    #[error("{0}")]
    Stage(String),
    /// Something is missing before a migration may go there.
    #[error("{0}")]
    Missing(String),
    /// A listening address cannot be had.
    #[error("{0}")]
    Listener(String),
    /// It cannot be recorded, and it widens.
    #[error("nothing is widened while the ledger cannot be written: {0}")]
    Ledger(String),
    /// Its entry cannot be one.
    #[error("{0}")]
    Entry(String),
    /// serin is shutting down.
    #[error("serin is shutting down")]
    ShuttingDown,
}

/// Everything in force.
#[derive(Debug)]
pub struct InForce {
    /// What the files said when they were last accepted, for comparison with what they say next.
    settings: Settings,
    file_weights: BTreeMap<Arc<str>, Vec<Weight>>,
    /// The same of migrations.
    pub(super) file_stages: BTreeMap<Arc<str>, Point>,
    pub(super) plan: Arc<Plan>,
}

impl InForce {
    /// What the files say, in force for the first time.
    #[must_use]
    pub fn new(loaded: Loaded) -> Self {
        let (file_weights, file_stages) = (weights_by_name(&loaded), stages::by_name(&loaded.plan));
        let plan = Arc::new(Plan { generation: 1, ..loaded.plan });
        Self { settings: loaded.settings, file_weights, file_stages, plan }
    }

    /// What the files say, and where they say of a service what they said when the ledger last heard of them, the weights it
    /// has by the ledger: what a change while serin was not running makes is the same as of one while it runs.
    #[must_use]
    pub fn resumed(loaded: Loaded, state: &State) -> Self {
        let mut first = Self::new(loaded);
        let mut plan = Plan::clone(&first.plan);
        for service in &mut plan.services {
            if state.said.get(&*service.name) == Some(&first.said(service))
                && let Some(weights) = state.weights.get(&*service.name)
                && let Some(split) = weights.for_service(service).and_then(|w| service.split.with_weights(w).ok())
            {
                *service = Arc::new(with_split(service, split));
            }
            stages::resume(service, state, first.file_stages.get(&*service.name));
        }
        first.plan = Arc::new(plan);
        first
    }

    /// The same with nothing but the weights that the ledger has, whatever the files say of them. What it does not know of
    /// gives everything to the oldest version. The files are yet to be heard then.
    #[must_use]
    pub fn by_ledger_alone(&self, state: &State) -> Self {
        let mut plan = Plan::clone(&self.plan);
        let mut file_weights = BTreeMap::new();
        for service in &mut plan.services {
            let known = |weights: &BTreeMap<String, Weights>| weights.get(&*service.name)?.for_service(service);
            let all_to_oldest = |(index, _)| if index == 0 { Weight::ONE } else { Weight::ZERO };
            let weights = known(&state.weights)
                .unwrap_or_else(|| service.versions.iter().enumerate().map(all_to_oldest).collect());
            if let Some(said) = known(&state.said) {
                file_weights.insert(Arc::clone(&service.name), said);
            }
            if let Ok(split) = service.split.with_weights(weights) {
                *service = Arc::new(with_split(service, split));
            }
            stages::by_ledger_alone(service, state);
        }
        let file_stages = stages::said_in_ledger(&plan, state);
        Self { settings: self.settings.clone(), file_weights, file_stages, plan: Arc::new(plan) }
    }

    /// What the files say of the weights of a service.
    pub(super) fn said(&self, service: &Service) -> Weights {
        self.file_weights.get(&service.name).map(|said| Weights::of(service, said)).unwrap_or_default()
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What becomes of this when the files say `loaded`.
    ///
    /// The last change wins, and the files changed only where they say something else than before: a service whose
    /// weights in the files are the same as last time keeps those it has, whoever gave them.
    #[must_use]
    pub fn with_files(&self, mut loaded: Loaded) -> Self {
        let (file_weights, file_stages) = (weights_by_name(&loaded), stages::by_name(&loaded.plan));
        for service in &mut loaded.plan.services {
            if file_weights.get(&service.name) == self.file_weights.get(&service.name)
                && let Some((_, before)) = self.plan.service_named(&service.name)
                && same_versions(before, service)
                && let Ok(split) = service.split.with_weights(before.split.weights().to_vec())
            {
                *service = Arc::new(with_split(service, split));
            }
            if file_stages.get(&service.name) == self.file_stages.get(&service.name) {
                stages::keep(service, self.plan.service_named(&service.name).map(|(_, before)| &**before));
            }
        }
        let plan = Plan { generation: self.plan.generation + 1, ..loaded.plan };
        Self { settings: loaded.settings, file_weights, file_stages, plan: Arc::new(plan) }
    }

    /// What becomes of this with other flags: nothing else is touched.
    #[must_use]
    pub fn with_flags(&self, flags: Arc<FlagSet>) -> Self {
        self.with_plan(Plan { flags, ..Plan::clone(&self.plan) })
    }

    /// What becomes of this where the fault of this name in a service is `fault`, or is none. One that was not there comes
    /// before those that are configured.
    #[must_use]
    pub fn with_fault(self, service: &str, name: &str, fault: Option<Fault>) -> Self {
        let Some((id, known)) = self.plan.service_named(service) else { return self };
        if fault.is_none() && known.faults.iter().all(|fault| &*fault.name != name) {
            return self;
        }
        let others = known.faults.iter().filter(|fault| &*fault.name != name).cloned();
        let faults = fault.into_iter().chain(others).collect();
        let mut plan = Plan::clone(&self.plan);
        plan.services[id.index()] = Arc::new(Service { faults, ..Service::clone(known) });
        Self { plan: Arc::new(plan), ..self }
    }

    /// The same once more, as the next generation.
    #[must_use]
    pub fn again(&self) -> Self {
        self.with_flags(Arc::clone(&self.plan.flags))
    }

    /// What becomes of this by `change`.
    ///
    /// # Errors
    /// [`Refused`] where the change names what is not there, or weights that are none.
    pub fn with_change(&self, change: &Change) -> Result<Self, Refused> {
        let (id, service) = self.service_named(&change.service)?;
        if service.migration.is_some() {
            return Err(Refused::UnderMigration(change.service.clone()));
        }
        let weights = weights_of(service, &change.weights)?;
        let wrong = |source| Refused::Weights { service: change.service.clone(), source };
        let split = service.split.with_weights(weights).map_err(wrong)?;
        let mut services = self.plan.services.clone();
        services[id.index()] = Arc::new(with_split(service, split));
        Ok(self.with_plan(Plan { services, ..Plan::clone(&self.plan) }))
    }

    /// The same with another plan, which is the next one.
    pub(super) fn with_plan(&self, plan: Plan) -> Self {
        let plan = Arc::new(Plan { generation: self.plan.generation + 1, ..plan });
        Self {
            settings: self.settings.clone(),
            file_weights: self.file_weights.clone(),
            file_stages: self.file_stages.clone(),
            plan,
        }
    }

    pub(super) fn service_named(&self, name: &str) -> Result<(ServiceId, &Arc<Service>), Refused> {
        self.plan.service_named(name).ok_or_else(|| Refused::UnknownService {
            name: name.to_owned(),
            known: listed(self.plan.services.iter().map(|service| &*service.name)),
        })
    }
}

/// Weights as the files give them: the weight file's where it names the service, else `serin.yaml`'s own.
fn weights_by_name(loaded: &Loaded) -> BTreeMap<Arc<str>, Vec<Weight>> {
    let named: BTreeMap<ServiceId, &Vec<Weight>> = loaded.file_weights.iter().map(|(id, w)| (*id, w)).collect();
    loaded
        .plan
        .services
        .iter()
        .zip(&loaded.own_weights)
        .enumerate()
        .map(|(index, (service, own))| {
            let weights = named.get(&ServiceId::from_index(index)).copied().unwrap_or(own);
            (Arc::clone(&service.name), weights.clone())
        })
        .collect()
}

fn weights_of(service: &Service, wanted: &BTreeMap<String, f64>) -> Result<Vec<Weight>, Refused> {
    let mut weights = vec![Weight::ZERO; service.versions.len()];
    for (name, weight) in wanted {
        let version = service.version_named(name).ok_or_else(|| Refused::UnknownVersion {
            service: service.name.to_string(),
            name: name.clone(),
            known: listed(service.versions.iter().map(|version| &*version.name)),
        })?;
        weights[version.index()] = Weight::from_f64(*weight)
            .map_err(|source| Refused::Weights { service: service.name.to_string(), source })?;
    }
    Ok(weights)
}

fn same_versions(one: &Service, other: &Service) -> bool {
    one.versions.iter().map(|version| &version.name).eq(other.versions.iter().map(|version| &version.name))
}

/// A control arm is one of a split, and is put in place anew.
fn with_split(service: &Service, split: Split) -> Service {
    Service { split, control: None, ..service.clone() }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "force_tests.rs"]
mod tests;
