//! Weights against the services and versions they name.

use std::sync::Arc;

use crate::plan::{Plan, ServiceId, VersionId, Weight};

use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::{At, Named};
use crate::config::values::Name;
use crate::config::written::{Service, WeightFile, Weights};

/// A service as far as weights can refer to it.
pub(in crate::config) struct Known<'a> {
    name: &'a str,
    /// `None`: they could not be read, so nothing can be said of a version's name.
    versions: Option<Vec<&'a str>>,
    /// Its stage says which version answers.
    is_migrating: bool,
}

impl<'a> Known<'a> {
    pub(in crate::config) fn of_plan(plan: &'a Plan) -> Vec<Self> {
        let names = |service: &'a crate::plan::Service| service.versions.iter().map(|version| &*version.name).collect();
        let one = |service: &'a Arc<crate::plan::Service>| Self {
            name: &service.name,
            versions: Some(names(service)),
            is_migrating: service.migration.is_some(),
        };
        plan.services.iter().map(one).collect()
    }

    pub(in crate::config) fn of_written<const MIN: usize, const MAX: usize>(
        services: &'a Named<Service, MIN, MAX>,
    ) -> Vec<Self> {
        let one = |(name, service): &'a (At<Name>, Option<Service>)| Self {
            name: &name.0,
            versions: service.as_ref().and_then(version_names),
            is_migrating: service.as_ref().is_some_and(|service| service.migration.is_some()),
        };
        services.entries.iter().map(one).collect()
    }
}

/// The names of a service's versions in their order, as far as they could be read.
pub(super) fn version_names(service: &Service) -> Option<Vec<&str>> {
    Some(service.versions.as_ref()?.entries.iter().map(|(name, _)| &*name.0).collect())
}

/// The version that `name` names, among those of a service. `None` after noting that there is none.
pub(super) fn version_id(name: &At<Name>, names: &[&str], problems: &mut Problems<'_>) -> Option<VersionId> {
    let position = names.iter().position(|known| **known == *name.0);
    if position.is_none() {
        problems
            .error(&name.spot, "there is no such version of this service")
            .found(quote(&name.0))
            .expected(format!("one of: {}", listed(names.iter().copied())))
            .suggest(&name.0, names.iter().copied());
    }
    position.map(VersionId::from_index)
}

/// The weight file: for each service it names, the weights of all its versions in their order. `known`: `None` checks
/// only what can be said without knowing the services.
pub(in crate::config) fn weights(
    written: &WeightFile,
    known: Option<&[Known<'_>]>,
    problems: &mut Problems<'_>,
) -> Vec<(ServiceId, Vec<Weight>)> {
    let mut all = Vec::with_capacity(written.entries.len());
    for (name, weights) in &written.entries {
        let service = known.map(|known| (known, known.iter().position(|service| *service.name == *name.0)));
        if let Some((known, None)) = service {
            problems
                .error(&name.spot, "there is no such service")
                .found(quote(&name.0))
                .expected(format!("one of: {}", listed(known.iter().map(|service| service.name))))
                .suggest(&name.0, known.iter().map(|service| service.name));
        }
        if let Some((known, Some(index))) = service
            && known[index].is_migrating
        {
            problems
                .error(
                    &name.spot,
                    "the service is under migration, whose stage alone says which version gets a request",
                )
                .expected("no weights of this service")
                .help("move it by `stage` and `share` of its `migration` in serin.yaml, or by `serin migration set`");
        }
        let position = service.and_then(|(known, index)| Some((known.get(index?)?, index?)));
        let versions = position.and_then(|(service, _)| service.versions.as_deref());
        let weights = weights.as_ref().and_then(|weights| weights_of_service(weights, versions, problems));
        all.extend(position.zip(weights).map(|((_, index), weights)| (ServiceId::from_index(index), weights)));
    }
    all
}

/// The weights of all `versions` in their order, 0 for those that `written` leaves out.
pub(super) fn weights_of_service(
    written: &Weights,
    versions: Option<&[&str]>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Weight>> {
    let errors = problems.errors.len();
    for (name, _) in &written.entries {
        if let Some(versions) = versions {
            // What is none is noted.
            let _ = version_id(name, versions, problems);
        }
    }
    let complete = written.entries.iter().all(|(_, weight)| weight.is_some());
    let zero = |weight: &Weight| weight.thousandths() == 0;
    if complete && written.entries.iter().filter_map(|(_, weight)| weight.as_ref()).all(|weight| zero(&weight.0)) {
        problems
            .error(&written.spot, "the weights sum to 0, so no version would get a request")
            .expected("at least one weight above 0");
    }
    if problems.errors.len() > errors || !complete {
        return None;
    }
    let weight_of = |version: &&str| {
        let entry = written.entries.iter().find(|(name, _)| *name.0 == **version);
        entry.and_then(|(_, weight)| weight.as_ref()).map_or_else(|| whole(0), |weight| weight.0)
    };
    Some(versions?.iter().map(weight_of).collect())
}

/// A small whole number as a weight.
pub(super) fn whole(number: u8) -> Weight {
    // Invariant: whole numbers up to 255 have no decimals and are far below the largest weight.
    Weight::from_f64(f64::from(number)).expect("a small whole number is a weight")
}

/// Names for "one of: …", cut where a thousand of them would bury the message.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = names.collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}
