//! What the versions of a service did in the last hour, or day.

use std::sync::{Arc, PoisonError};

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
use super::values::Number;
use crate::telemetry::history::{Row, Rows, Step};

/// The route of the history.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/services/{service}/history", get(show))
}

/// What may be asked for in the query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A row a second for an hour, or a minute for a day. Default: 1s.
    step: Option<StepAsked>,
    /// Only rows that end later, in milliseconds since 1970. Default: all.
    from: Option<Number<0>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum StepAsked {
    /// A row a second.
    #[serde(rename = "1s")]
    Second,
    /// A row a minute.
    #[serde(rename = "1m")]
    Minute,
}

/// Rows as columns: every list has as many items as `at`, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryView {
    /// When each row ends, in milliseconds since 1970.
    at: Vec<u64>,
    /// How many seconds each covers.
    seconds: Vec<f64>,
    /// The versions whose history is kept, in the order in which serin came to know them.
    versions: Vec<ColumnsView>,
    /// Versions, over all services, that have no history because more are configured than have room (96).
    without_room: usize,
}

/// One version's columns. An item is null where the version was not configured then, and a latency also where no request
/// was answered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ColumnsView {
    name: String,
    /// Requests answered.
    requests: Vec<Option<u32>>,
    /// Those of them that failed.
    failures: Vec<Option<u32>>,
    /// In seconds.
    p50: Vec<Option<f64>>,
    p90: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    #[serde(rename = "p99.9")]
    p999: Vec<Option<f64>>,
    /// The intended share, 0 to 1.
    share: Vec<Option<f64>>,
    /// Requests in flight at the end.
    in_flight: Vec<Option<u32>>,
}

async fn show(
    State(admin): State<Arc<Admin>>,
    name: ServiceName,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<HistoryView>, Problem> {
    let name = named(name)?;
    let asked = input::query(asked)?;
    if admin.plan().service_named(&name).is_none() {
        return Err(unknown_service(&name));
    }
    let step = match asked.step {
        None | Some(StepAsked::Second) => Step::Second,
        Some(StepAsked::Minute) => Step::Minute,
    };
    Ok(Json(admin.history(step, &name, asked.from.map_or(0, |Number(from)| from))))
}

impl Admin {
    /// The rows of a service that end later than `from`, in milliseconds since 1970.
    pub(super) fn history(&self, step: Step, service: &str, from: u64) -> HistoryView {
        let (rows, without_room) = {
            let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            (history.rows(step, service, from), history.without())
        };
        HistoryView::new(rows, without_room)
    }
}

impl HistoryView {
    fn new(rows: Rows, without_room: usize) -> Self {
        Self {
            at: rows.moments.iter().map(|moment| moment.at).collect(),
            seconds: rows.moments.iter().map(|moment| rounded(moment.seconds, 1e3)).collect(),
            versions: rows.versions.into_iter().map(|(name, rows)| ColumnsView::new(&name, &rows)).collect(),
            without_room,
        }
    }
}

impl ColumnsView {
    fn new(name: &str, rows: &[Option<Row>]) -> Self {
        let counts = |of: fn(&Row) -> u32| rows.iter().map(|row| row.as_ref().map(of)).collect();
        let latency = |quantile: usize| {
            let known = |row: &Row| Some(row.latency[quantile]).filter(|value| !value.is_nan());
            rows.iter().map(|row| row.as_ref().and_then(known).map(|value| rounded(value, 1e6))).collect()
        };
        Self {
            name: name.to_owned(),
            requests: counts(|row| row.requests),
            failures: counts(|row| row.failures),
            p50: latency(0),
            p90: latency(1),
            p99: latency(2),
            p999: latency(3),
            share: rows.iter().map(|row| row.map(|row| rounded(row.share, 1e5))).collect(),
            in_flight: counts(|row| row.in_flight),
        }
    }
}

/// To a part of one, so that the answer is short.
fn rounded(value: f32, part: f64) -> f64 {
    (f64::from(value) * part).round() / part
}

/// What the document says of it.
pub(super) fn operations() -> Operations {
    let column = json!({"name": "old", "requests": [118], "failures": [0], "p50": [0.004], "p90": [0.009], "p99": [0.021],
        "p99.9": [null], "share": [0.9], "inFlight": [2]});
    let example = json!({"at": [1_795_283_883_120_u64], "seconds": [1.0], "versions": [column], "withoutRoom": 0});
    vec![(
        "/api/v1/services/{service}/history",
        "get",
        Operation::new("getHistory", "services", "What versions did in the last hour, or day")
            .query::<Asked>()
            .answer::<HistoryView>(200, "rows as columns, oldest first", example)
            .problem(StatusCode::NOT_FOUND, "no such service", "There is no service `ship`."),
    )]
}
