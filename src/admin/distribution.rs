//! How long requests to each version took, as the whole distribution.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{ServiceName, named, schema_of, unknown_service};
use super::problem::Problem;
use super::serve::Admin;
use crate::stats::Snapshot;
use crate::telemetry::VersionSnapshot;

/// The route of the distribution.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/services/{service}/distribution", get(show))
}

/// What may be asked for in the query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    window: WindowView,
}

/// Which requests are told of.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum WindowView {
    /// Those of the last ten seconds.
    Recent,
    /// Those since the weights last changed.
    #[default]
    Step,
    /// All since the start.
    Total,
}

/// How long requests took.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DistributionView {
    window: WindowView,
    /// How long the window is.
    seconds: f64,
    /// In order of age.
    versions: Vec<BucketsView>,
}

/// One version's requests. Bucket `i` holds those that took more than `2^((i-1)/32)` and at most `2^(i/32)` seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BucketsView {
    name: String,
    /// All of them.
    count: u64,
    /// Those that took less than a microsecond.
    zero: u64,
    /// The index of the first of `counts`.
    first: i32,
    /// By bucket.
    counts: Vec<u64>,
}

async fn show(
    State(admin): State<Arc<Admin>>,
    name: ServiceName,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<DistributionView>, Problem> {
    let name = named(name)?;
    let Query(Asked { window }) =
        asked.map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let plan = admin.plan();
    let (_, service) = plan.service_named(&name).ok_or_else(|| unknown_service(&name))?;
    admin.verdicts.look(&plan);
    let recent = admin.observer.recent();
    let then = match window {
        WindowView::Recent => Some(Arc::clone(&recent.then)),
        WindowView::Step => admin.verdicts.since(&name),
        WindowView::Total => None,
    };
    let seconds = recent.now.at.saturating_sub(then.as_ref().map_or_else(Default::default, |then| then.at));
    let versions = service.versions.iter().map(|version| {
        let of = |snapshot: &VersionSnapshot| snapshot.durations();
        let now = recent.now.version(&name, &version.name).map(of).unwrap_or_default();
        let then = then.as_ref().and_then(|then| then.version(&name, &version.name)).map(of).unwrap_or_default();
        BucketsView::new(&version.name, &now.since(&then))
    });
    Ok(Json(DistributionView { window, seconds: seconds.as_secs_f64(), versions: versions.collect() }))
}

impl BucketsView {
    fn new(name: &str, durations: &Snapshot) -> Self {
        let first = durations.buckets().next().map_or(0, |bucket| bucket.index);
        let last = durations.buckets().last().map_or(first - 1, |bucket| bucket.index);
        Self {
            name: name.to_owned(),
            count: durations.count(),
            zero: durations.zero_count(),
            first,
            counts: (first..=last).map(|index| durations.count_in(index)).collect(),
        }
    }
}

/// The part of the `OpenAPI` document.
pub(super) fn paths() -> [(&'static str, Value); 1] {
    let problem = |description: &str| json!({"description": description, "content": {"application/problem+json": {}}});
    let parameters = json!([
        {"name": "service", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "window", "in": "query", "required": false,
            "schema": {"enum": ["recent", "step", "total"], "default": "step"},
            "description": "the last ten seconds, since the weights last changed, or since the start"},
    ]);
    [(
        "/api/v1/services/{service}/distribution",
        json!({"parameters": parameters, "get": {"operationId": "getDistribution", "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": schema_of::<DistributionView>()}}},
            "400": problem("not what is expected"), "404": problem("no such service")}}}),
    )]
}
