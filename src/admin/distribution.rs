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
use serde_json::json;

use super::api::{ServiceName, named, unknown_service};
use super::document::{Operation, Operations};
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use crate::stats::Snapshot;
use crate::telemetry::VersionSnapshot;

/// The route of the distribution.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/services/{service}/distribution", get(show))
}

/// What may be asked for in the query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Which requests are told of. Default: step.
    window: Option<WindowView>,
}

/// Which requests are told of.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum WindowView {
    /// Those of the last ten seconds.
    Recent,
    /// Those since the weights last changed.
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
    let Asked { window } = input::query(asked)?;
    let window = window.unwrap_or(WindowView::Step);
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

/// What the document says of it.
pub(super) fn operations() -> Operations {
    let example = json!({"window": "step", "seconds": 312.5,
        "versions": [{"name": "old", "count": 3, "zero": 0, "first": -256, "counts": [1, 0, 2]}]});
    vec![(
        "/api/v1/services/{service}/distribution",
        "get",
        Operation::new("getDistribution", "services", "How long requests took, as the whole distribution")
            .query::<Asked>()
            .answer::<DistributionView>(200, "by version, in the buckets of a native histogram", example)
            .problem(StatusCode::NOT_FOUND, "no such service", "There is no service `ship`."),
    )]
}
