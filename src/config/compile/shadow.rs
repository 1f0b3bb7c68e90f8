//! Copies of requests: a version that exists, methods that do no harm, bounds; and how answers are compared.

use http::Method;

use super::services::all;
use super::weights::{version_id, version_names};
use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::{At, List};
use crate::config::values::{DocumentPath, Name, Switch};
use crate::config::written::{Diff, Service, Shadow};
use crate::diff::Patterns;
use crate::plan::{self, DiffPlan, Share, VersionId};

/// Which requests of a service are copied. `None` after noting why it cannot be.
pub(super) fn shadow(
    written: &Shadow,
    name: &Name,
    service: &Service,
    problems: &mut Problems<'_>,
) -> Option<plan::Shadow> {
    let to = written.to.as_ref().and_then(|to| version(to, service, problems));
    let idempotent = written.idempotent.as_ref().is_some_and(|switch| matches!(switch.value, Switch(true)));
    let methods = written.methods.as_ref().map(|methods| compile_methods(methods, idempotent, problems));
    let methods = match methods {
        Some(methods) => Some(methods?),
        None => None,
    };
    let share = written.share.as_ref().map_or(Share::ALL, |share| share.value.0);
    // Invariant: names are plain ASCII.
    let default = plan::Shadow::new(&name.0, &written.to.as_ref()?.0, to?, share)?;
    Some(plan::Shadow {
        methods: methods.unwrap_or(default.methods),
        max_body: written.max_body.as_ref().map_or(default.max_body, |size| size.0 as usize),
        max_in_flight: written.max_in_flight.as_ref().map_or(default.max_in_flight, |count| count.0),
        timeout: written.timeout.as_ref().map_or(default.timeout, |period| period.0),
        ..default
    })
}

fn version(to: &At<Name>, service: &Service, problems: &mut Problems<'_>) -> Option<VersionId> {
    let names = version_names(service)?;
    let version = version_id(to, &names, problems)?;
    if names.len() == 1 {
        problems
            .error(&to.spot, "there is no other version whose requests could be copied")
            .expected("a service of at least two versions");
        return None;
    }
    Some(version)
}

fn compile_methods<const MAX: usize>(
    written: &List<At<crate::config::values::HttpMethod>, 1, MAX>,
    idempotent: bool,
    problems: &mut Problems<'_>,
) -> Option<Vec<Method>> {
    let each = written.iter().map(|method| {
        if method.0 == Method::CONNECT {
            problems
                .error(&method.spot, "a tunnel cannot be copied")
                .found(quote(method.0.as_str()))
                .expected("any other method");
            return None;
        }
        if !method.0.is_safe() && !idempotent {
            problems
                .error(&method.spot, "a method that writes would be carried out twice")
                .found(quote(method.0.as_str()))
                .expected("GET, HEAD, OPTIONS or TRACE")
                .help("`idempotent: true` says that it does no harm to carry out a request twice");
            return None;
        }
        Some(method.0.clone())
    });
    all(each)
}

/// How the answers of two versions are compared where nothing is said, and a migration compares them.
pub(super) fn default_diff() -> DiffPlan {
    DiffPlan {
        rules: crate::diff::Rules { headers: vec!["content-type".to_owned()], ..Default::default() },
        noise: Share::from_hundredths(DiffPlan::NOISE),
        max_body: DiffPlan::MAX_BODY,
    }
}

/// How the answers of a service's versions are compared. `None` after noting why it cannot be.
pub(super) fn diff(written: &Diff, service: &Service, problems: &mut Problems<'_>) -> Option<DiffPlan> {
    let copies = service.shadow.is_some() || service.migration.is_some();
    if !copies && !problems.noted(&service.spot, &["shadow", "migration"]) {
        problems.warning(&written.spot, "nothing is compared: the service has no `shadow`");
    }
    let headers = match &written.headers {
        Some(headers) => headers.iter().map(|name| name.0.as_str().to_owned()).collect(),
        None => vec!["content-type".to_owned()],
    };
    Some(DiffPlan {
        rules: crate::diff::Rules {
            ignore: patterns(written.ignore.as_ref())?,
            unordered: patterns(written.unordered.as_ref())?,
            redact: patterns(written.redact.as_ref())?,
            tolerance: written.tolerance.as_ref().map_or(0.0, |spread| spread.0),
            headers,
        },
        noise: written.noise.as_ref().map_or(Share::from_hundredths(DiffPlan::NOISE), |share| share.value.0),
        max_body: written.max_body.as_ref().map_or(DiffPlan::MAX_BODY, |size| size.0 as usize),
    })
}

fn patterns<const MIN: usize, const MAX: usize>(
    written: Option<&List<At<DocumentPath>, MIN, MAX>>,
) -> Option<Patterns> {
    let mut patterns = Patterns::default();
    for path in written.into_iter().flat_map(|paths| paths.iter()) {
        // Invariant: what was read as a path is one.
        patterns.add(&path.0).ok()?;
    }
    Some(patterns)
}
