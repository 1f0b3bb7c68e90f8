//! Rollback drills: begun on order, and how they stand.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{ServiceName, named, schema_of};
use super::guard::Caller;
use super::problem::Problem;
use super::rollout::{check_reason, who};
use super::serve::Admin;
use crate::config;
use crate::control::RolloutRefused;
use crate::plan::Share;
use crate::rollout::{Command, DrillFault, DrillOrder, DrillView, Order};

/// To how many requests something is done, where nothing is said: 20 %.
const SHARE: u32 = 2_000;
/// How soon it has to be noticed, where nothing is said, and what may be said.
const WITHIN: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

/// The routes of rollback drills.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/services/{service}/drill", get(show).post(begin))
}

/// What `POST …/drill` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    /// What is done to requests of the new version. Default: errors.
    #[serde(default)]
    fault: DrillFault,
    /// To how many of them, such as `20%`, the default.
    #[serde(default)]
    share: Option<String>,
    /// How soon the version has to be withdrawn: `1s` to `5m`. Default: 30s.
    #[serde(default)]
    within: Option<String>,
    /// Why, for whoever looks later.
    #[serde(default)]
    reason: String,
    /// Who asks: counts only where nobody is known, by credentials or at a unix socket. Default: admin-api.
    #[serde(default)]
    actor: Option<String>,
}

async fn show(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<DrillView>, Problem> {
    let name = named(name)?;
    let Some(rollout) = admin.control.rollout(&name) else { return Err(RolloutRefused::NoPlan(name).into()) };
    let none = || Problem::new(StatusCode::NOT_FOUND, format!("There was no drill of `{name}` since serin started."));
    rollout.drill.map(Json).ok_or_else(none)
}

async fn begin(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<DrillView>, Problem> {
    let name = named(name)?;
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let wrong = |what: String| Problem::new(StatusCode::BAD_REQUEST, what);
    let asked: Asked =
        serde_json::from_slice(&body).map_err(|error| wrong(format!("The body is not what is expected: {error}.")))?;
    check_reason(&asked.reason)?;
    let share = asked.share.map_or(Ok(Share::from_hundredths(SHARE)), |text| {
        config::share(&text).map_err(|error| wrong(format!("`share` is `{text}`: {error}.")))
    })?;
    let within = asked.within.map_or(Ok(WITHIN), |text| {
        let within = config::duration(&text).map_err(|error| wrong(format!("`within` is `{text}`: {error}.")))?;
        let is_bounded = (SHORTEST..=LONGEST).contains(&within);
        is_bounded.then_some(within).ok_or_else(|| wrong(format!("`within` is `{text}`: expected 1s to 5m.")))
    })?;
    let actor = who(&caller, asked.actor)?;
    // What is in force, and how long requests wait, are for control to say.
    let drill = DrillOrder { fault: asked.fault, share, within, delay: Duration::ZERO, in_force: None, run: 0 };
    let order = Order { command: Command::Drill(drill), actor, reason: asked.reason };
    let view = admin.control.order(&name, order).await?;
    let lost = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The drill is not to be seen.".to_owned());
    view.drill.map(Json).ok_or_else(lost)
}

/// The part of the `OpenAPI` document.
pub(super) fn paths() -> Vec<(&'static str, Value)> {
    let answer = |schema: Value| json!({"description": "done", "content": {"application/json": {"schema": schema}}});
    let problem = |description: &str| json!({"description": description, "content": {"application/problem+json": {}}});
    let name = json!([{"name": "service", "in": "path", "required": true, "schema": {"type": "string"}}]);
    vec![(
        "/api/v1/services/{service}/drill",
        json!({"parameters": name,
            "get": {"operationId": "getDrill",
                "responses": {"200": answer(schema_of::<DrillView>()),
                    "404": problem("no such service, it has no rollout, or there was no drill")}},
            "post": {"operationId": "beginDrill",
                "requestBody": {"required": true, "content": {"application/json": {"schema": schema_of::<Asked>()}}},
                "responses": {"200": answer(schema_of::<DrillView>()), "400": problem("not what is expected"),
                    "404": problem("no such service, or it has no rollout"),
                    "409": problem("it makes no sense now, could not be seen, or something stands in the way"),
                    "413": problem("too long"),
                    "503": problem("shutting down, or the ledger cannot be written")}}}),
    )]
}
