//! Routes: services that exist, and Gateway API's rules among the keys of a rule.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::plan::{Route, ServiceId, Timeouts};

use super::attached::route_flags;
use super::filters::{filters, is_redirect};
use super::matches::{all_prefixes, route_match};
use super::overload::priority;
use super::retry::retry;
use super::services::all;
use super::settings;
use super::weights::listed;
use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{Name, Timeout};
use crate::config::written::{self, Serin};

/// All routes in the order of the file. `None` after noting why one of them is none.
pub(super) fn routes(serin: &Serin, problems: &mut Problems<'_>) -> Option<Vec<Route>> {
    let written = serin.routes.as_ref()?;
    unique_names(written, problems);
    let services = serin.services.as_ref();
    let names: Option<Vec<&str>> = services.map(|all| all.entries.iter().map(|(name, _)| &*name.0).collect());
    let ids: HashMap<&str, usize> = names.iter().flatten().enumerate().map(|(i, name)| (*name, i)).collect();
    let find = |name: &At<Name>, problems: &mut Problems<'_>| {
        let id = ids.get(&*name.0).copied();
        if let (None, Some(names)) = (id, &names) {
            problems
                .error(&name.spot, "there is no such service")
                .found(quote(&name.0))
                .expected(format!("one of: {}", listed(names.iter().copied())))
                .suggest(&name.0, names.iter().copied());
        }
        id.map(ServiceId::from_index)
    };
    let silence = settings::upstream(serin.upstreams.as_ref()).response_idle_timeout;
    let routes = all(written.iter().map(|written| route(written, silence, find, problems)));
    let used: HashSet<&str> = written.iter().filter_map(|route| route.service.as_ref()).map(|name| &*name.0).collect();
    for (name, _) in services.iter().flat_map(|services| &services.entries) {
        if !used.contains(&*name.0) {
            problems.warning(&name.spot, "no route leads to this service, so it gets no requests");
        }
    }
    routes
}

fn unique_names(routes: &[written::Route], problems: &mut Problems<'_>) {
    let mut names = HashMap::new();
    for name in routes.iter().filter_map(|route| route.name.as_ref()) {
        if let Some(first) = names.insert(&name.0, &name.spot) {
            let message = format!("{} is the name of {} already", quote(&name.0), first.key.trim_end_matches(".name"));
            problems.error(&name.spot, message).expected("a name of its own for each route");
        }
    }
}

fn route(
    written: &written::Route,
    silence: Duration,
    find: impl Fn(&At<Name>, &mut Problems<'_>) -> Option<ServiceId>,
    problems: &mut Problems<'_>,
) -> Option<Route> {
    let matches = written.matches.iter().flat_map(|matches| matches.iter());
    let matches = all(matches.map(|written| route_match(written, problems)));
    let prefixes = all_prefixes(written.matches.iter().flat_map(|matches| matches.iter()));
    let listed = written.filters.iter().flat_map(|filters| filters.iter());
    let redirects = written.filters.iter().flat_map(|filters| filters.iter()).any(is_redirect);
    let filters = filters(listed, prefixes, problems);
    let timeouts = compile_timeouts(written.timeouts.as_ref(), silence, problems);
    let flags = route_flags(written, redirects, problems);
    let service = match &written.service {
        Some(name) if redirects => {
            problems
                .error(&name.spot, "a route that redirects asks no service")
                .expected("either `service` or a RequestRedirect filter");
            None
        }
        Some(name) => Some(find(name, problems)?),
        None => {
            if !redirects && !problems.noted(&written.spot, &["service", "filters"]) {
                problems
                    .error(&written.spot, "it does not say where requests go")
                    .expected("`service`, or a RequestRedirect filter");
            }
            None
        }
    };
    let hostnames = written.hostnames.iter().flat_map(|names| names.iter()).map(|name| name.0.clone()).collect();
    Some(Route {
        hostnames,
        matches: matches?,
        filters: filters?,
        service,
        timeouts,
        priority: priority(written.priority.as_ref()),
        retry: written.retry.as_ref().map(retry),
        name: written.name.as_ref().map(|name| name.0.clone()),
        flags: flags?,
    })
}

/// One try cannot take longer than the whole, as Gateway API has it. `silence`: the bound for upstreams in general.
fn compile_timeouts(written: Option<&written::Timeouts>, silence: Duration, problems: &mut Problems<'_>) -> Timeouts {
    let Some(written) = written else { return Timeouts { idle: Some(silence), ..Timeouts::default() } };
    let bound = |timeout: &Option<At<Timeout>>| -> Option<Duration> { timeout.as_ref()?.0 };
    let timeouts = Timeouts {
        request: bound(&written.request),
        backend_request: bound(&written.backend_request),
        idle: written.idle.as_ref().map_or(Some(silence), |idle| idle.0),
        connect: written.connect.as_ref().map(|connect| connect.0),
    };
    if let (Some(request), Some(backend), Some(at)) =
        (timeouts.request, timeouts.backend_request, &written.backend_request)
        && backend > request
    {
        problems
            .error(&at.spot, "one try may take longer than the whole request")
            .found(format!("{backend:?}"))
            .expected(format!("at most `request`, which is {request:?}"));
    }
    timeouts
}
