//! What comparing the answers of two versions has found.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::{ServiceName, named, unknown_service};
use super::document::{Operation, Operations};
use super::guard::Caller;
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use crate::diff::{RouteReport, Verdict};
use crate::ledger::{Draft, MAX_REASON, What};
use crate::plan::{Plan, Service};
use crate::telemetry::{DiffDrop, Rfc3339};

/// What was found in the answers of a service's versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffsView {
    /// The service.
    pub service: String,
    /// The version whose answers are compared with those that clients get.
    pub to: String,
    /// When comparing began: with the first answers, anew where versions or rules changed, or when it was reset. Nothing
    /// where nothing was compared yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What to make of the worst place of all.
    pub verdict: Verdict,
    /// Answers not compared that were to be, since the start.
    pub dropped: u64,
    /// By route.
    pub routes: Vec<RouteReport>,
}

/// Why, where nobody says.
const FORGOTTEN: &str = "what was found by comparing answers is forgotten";

/// What may be asked for in the query of `DELETE`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Why, for whoever looks later.
    #[serde(default)]
    #[schemars(length(max = MAX_REASON))]
    reason: String,
}

/// The routes of comparisons.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/services/{service}/diffs", get(show).delete(reset))
}

async fn show(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<DiffsView>, Problem> {
    let name = named(name)?;
    let plan = admin.plan();
    let (service, to) = compared(&plan, &name)?;
    let dropped = admin
        .registry
        .snapshot()
        .shadow(&name, to)
        .map_or(0, |shadow| DiffDrop::ALL.iter().map(|why| shadow.diff_drops[*why as usize]).sum());
    let empty = DiffsView {
        service: service.name.to_string(),
        to: to.to_owned(),
        since: None,
        verdict: Verdict::Same,
        dropped,
        routes: Vec::new(),
    };
    let Some(state) = admin.comparing.state(&name) else { return Ok(Json(empty)) };
    // Thousands of intervals are too many for the thread that everything else here waits for.
    let routes = tokio::task::spawn_blocking(move || (Rfc3339(state.since).to_string(), state.tally.report())).await;
    let (since, routes) = routes.map_err(|error| {
        tracing::error!(%error, "comparisons could not be told");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "What was found could not be told.".to_owned())
    })?;
    let verdict = routes.iter().map(|route| route.verdict).min().unwrap_or(Verdict::Same);
    Ok(Json(DiffsView { since: Some(since), verdict, routes, ..empty }))
}

/// Forgets what was found, so that comparing begins anew: another build answers at the same address, say. Recorded, as gates
/// of rollouts go by what is forgotten.
async fn reset(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let name = named(name)?;
    let Asked { reason } = input::query(asked)?;
    input::check_reason(&reason)?;
    let reason = if reason.trim().is_empty() { FORGOTTEN } else { &reason };
    let plan = admin.plan();
    let (service, to) = compared(&plan, &name)?;
    let fields = serde_json::Map::from_iter([("to".to_owned(), to.into())]);
    let what = What::Event { event: "diffReset".to_owned(), fields };
    let draft = Draft::new(&*caller.name, reason, what);
    let recorded = admin.control.record_or_keep(draft.of_service(&*service.name)).await;
    recorded.map_err(|refused| Problem::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()))?;
    // Where nothing was compared there is nothing to forget.
    let _ = admin.comparing.reset(&name);
    Ok(StatusCode::NO_CONTENT)
}

/// The service of this name, and the version whose answers are compared.
fn compared<'a>(plan: &'a Plan, name: &str) -> Result<(&'a Service, &'a str), Problem> {
    let missing = |what: String| Problem::new(StatusCode::NOT_FOUND, what);
    let (_, service) = plan.service_named(name).ok_or_else(|| unknown_service(name))?;
    let shadow = service.shadow.as_ref().filter(|_| service.diff.is_some());
    let shadow = shadow.ok_or_else(|| missing(format!("Service `{name}` has no `shadow` with a `diff`.")))?;
    Ok((service, &service.version(shadow.to).name))
}

/// What the document says of comparisons.
pub(super) fn operations() -> Operations {
    let place = json!({"place": "/items/*/price", "verdict": "different", "differed": 12, "noiseDiffered": 0,
        "rate": {"estimate": 0.012, "low": 0.005, "high": 0.024, "n": 1000},
        "noise": {"estimate": 0.0, "low": 0.0, "high": 0.01, "n": 500}, "changes": {"type": 12},
        "samples": [{"at": 1_795_283_883_120_u64, "change": "type", "old": "number", "new": "string"}]});
    let route = json!({"route": "all", "verdict": "different", "compared": 1000, "differed": 12, "noiseCompared": 500,
        "noiseDiffered": 0, "bodiesLeftOut": 0, "placesLeftOut": 0, "places": [place]});
    let example = json!({"service": "shop", "to": "new", "since": "2026-11-21T17:58:03Z", "verdict": "different", "dropped": 0,
        "routes": [route]});
    let none = "no such service, or its answers are not compared";
    let no_diff = "Service `shop` has no `shadow` with a `diff`.";
    vec![
        (
            "/api/v1/services/{service}/diffs",
            "get",
            Operation::new("getDiffs", "comparisons", "Where the answers of two versions differ")
                .answer::<DiffsView>(200, "by route and place", example)
                .problem(StatusCode::NOT_FOUND, none, no_diff)
                .problem(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be told", "What was found could not be told."),
        ),
        (
            "/api/v1/services/{service}/diffs",
            "delete",
            Operation::new("resetDiffs", "comparisons", "Forget what was found, and begin anew")
                .query::<Asked>()
                .empty(204, "it is forgotten")
                .problem(StatusCode::NOT_FOUND, none, no_diff)
                .problem(StatusCode::SERVICE_UNAVAILABLE, "shutting down", "serin is shutting down"),
        ),
    ]
}
