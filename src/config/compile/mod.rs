//! From values that are right by themselves to a whole that is right: names that exist, no clashes, rules among keys.

mod admin;
mod attached;
mod deprecation;
mod faults;
mod filters;
mod health;
mod journal;
mod ledger;
mod matches;
mod migration;
mod ofrep;
mod overload;
mod reconcile;
mod retry;
mod rollout;
mod routes;
mod services;
mod settings;
mod shadow;
mod tls;
mod webhooks;
mod weights;

pub(super) use admin::tokens;
pub(super) use weights::{Known, weights};

use std::sync::Arc;

use crate::plan::{Plan, RouteTable, ServiceId, Weight};

use super::problem::Problems;
use super::settings::Loaded;
use super::written::Serin;

/// `serin.yaml` as a whole, with what the weight file says in force. `None` only after noting errors.
pub(super) fn serin(
    written: &Serin,
    file_weights: Vec<(ServiceId, Vec<Weight>)>,
    problems: &mut Problems<'_>,
) -> Option<Loaded> {
    let settings = settings::settings(written, problems);
    let services = written.services.as_ref();
    let drafts = services.and_then(|services| services::drafts(services, problems));
    let own_weights = services.and_then(|services| services::own_weights(services, problems));
    let routes = routes::routes(written, problems);
    let flag_context = attached::flag_context(written.flag_context.as_ref(), problems);
    let endings = services.map(|services| services::endings(services, problems)).unwrap_or_default();
    let own_weights = own_weights?;
    let plan = Plan {
        generation: 0,
        routes: Arc::new(RouteTable::new(routes?)),
        services: services::with_splits(drafts?, &own_weights, &file_weights, problems)?,
        limits: settings::limits(written.limits.as_ref()),
        trusted: settings::trusted(written.forwarded.as_ref()),
        upstream: settings::upstream(written.upstreams.as_ref()),
        retry_budget: retry::budget(written.retry_budget.as_ref()),
        flags: Arc::default(),
        flag_context: Arc::new(flag_context?),
    };
    let state_dir = ledger::state_dir(written, problems);
    let warnings = std::mem::take(&mut problems.warnings);
    let places = std::mem::take(&mut problems.places);
    Some(Loaded { settings: settings?, plan, own_weights, file_weights, warnings, endings, places, state_dir })
}
