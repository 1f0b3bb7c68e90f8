//! What is in force, and what a change makes of it. Pure: no file, no clock, no socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Loaded, Settings};
use crate::flags::FlagSet;
use crate::plan::{Plan, Service, ServiceId, Split, Weight, WeightError};

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
    /// A listening address cannot be had.
    #[error("{0}")]
    Listener(String),
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
    plan: Arc<Plan>,
}

impl InForce {
    /// What the files say, in force for the first time.
    #[must_use]
    pub fn new(loaded: Loaded) -> Self {
        let file_weights = weights_by_name(&loaded);
        Self { settings: loaded.settings, file_weights, plan: Arc::new(Plan { generation: 1, ..loaded.plan }) }
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
        let file_weights = weights_by_name(&loaded);
        for service in &mut loaded.plan.services {
            if file_weights.get(&service.name) == self.file_weights.get(&service.name)
                && let Some((_, before)) = self.plan.service_named(&service.name)
                && same_versions(before, service)
                && let Ok(split) = service.split.with_weights(before.split.weights().to_vec())
            {
                *service = Arc::new(with_split(service, split));
            }
        }
        let plan = Plan { generation: self.plan.generation + 1, ..loaded.plan };
        Self { settings: loaded.settings, file_weights, plan: Arc::new(plan) }
    }

    /// What becomes of this with other flags: nothing else is touched.
    #[must_use]
    pub fn with_flags(&self, flags: Arc<FlagSet>) -> Self {
        let plan = Plan { generation: self.plan.generation + 1, flags, ..Plan::clone(&self.plan) };
        Self { settings: self.settings.clone(), file_weights: self.file_weights.clone(), plan: Arc::new(plan) }
    }

    /// What becomes of this by `change`.
    ///
    /// # Errors
    /// [`Refused`] where the change names what is not there, or weights that are none.
    pub fn with_change(&self, change: &Change) -> Result<Self, Refused> {
        let (id, service) = self.plan.service_named(&change.service).ok_or_else(|| Refused::UnknownService {
            name: change.service.clone(),
            known: listed(self.plan.services.iter().map(|service| &*service.name)),
        })?;
        let weights = weights_of(service, &change.weights)?;
        let wrong = |source| Refused::Weights { service: change.service.clone(), source };
        let split = service.split.with_weights(weights).map_err(wrong)?;
        let mut services = self.plan.services.clone();
        services[id.index()] = Arc::new(with_split(service, split));
        let plan = Plan { generation: self.plan.generation + 1, services, ..Plan::clone(&self.plan) };
        Ok(Self { settings: self.settings.clone(), file_weights: self.file_weights.clone(), plan: Arc::new(plan) })
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

fn with_split(service: &Service, split: Split) -> Service {
    Service { split, ..service.clone() }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "force_tests.rs"]
mod tests;
