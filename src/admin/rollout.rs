//! Rollouts: where they stand, and orders for them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{MAX_REASON, ServiceName, named, schema_of};
use super::guard::Caller;
use super::problem::Problem;
use super::serve::Admin;
use crate::access::{Right, is_reserved};
use crate::control::{Refused, RolloutRefused};
use crate::rollout::{self, Command, Order, Preflight, RolloutView};

/// Longest name of who gives an order, in characters.
const MAX_ACTOR: usize = 100;

/// The routes of rollouts.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/services/{service}/rollout", get(show).post(order))
        .route("/api/v1/services/{service}/rollout/preflight", get(preflight))
}

/// What can be asked of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Action {
    /// Begin, if the preflight has nothing against it.
    Start,
    /// Stop where it is; gates still hold.
    Pause,
    /// Go on where it stopped.
    Resume,
    /// On to the next step without waiting for bake time or evidence.
    Promote,
    /// Take everything from the new version.
    Abort,
    /// Agree to the plan.
    Approve,
}

/// What `POST …/rollout` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    /// What is to be done.
    action: Action,
    /// Why, for whoever looks later.
    #[serde(default)]
    reason: String,
    /// Who asks: counts only where nobody is known, by credentials or at a unix socket. Default: admin-api.
    #[serde(default)]
    actor: Option<String>,
    /// For `approve`: the `planHash` that is agreed to. Default: that of the plan in force.
    #[serde(default)]
    plan_hash: Option<String>,
}

async fn show(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<RolloutView>, Problem> {
    let name = named(name)?;
    let view = admin.control.rollout(&name).ok_or_else(|| Problem::from(RolloutRefused::NoPlan(name)))?;
    Ok(Json(view))
}

async fn preflight(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<Preflight>, Problem> {
    Ok(Json(admin.control.preflight(&named(name)?).await?))
}

async fn order(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<RolloutView>, Problem> {
    let name = named(name)?;
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("The body is not what is expected: {error}."))
    })?;
    check_reason(&asked.reason)?;
    let right = if matches!(asked.action, Action::Approve) { Right::Approve } else { Right::Operate };
    caller.require(right, &admin)?;
    let actor = who(&caller, asked.actor)?;
    let in_force = || admin.control.rollout(&name).map(|view| view.plan_hash).unwrap_or_default();
    let command = match asked.action {
        // What is in force, and the number of the run, are for control to say.
        Action::Start => Command::Start { in_force: None, run: 0 },
        Action::Pause => Command::Pause,
        Action::Resume => Command::Resume,
        Action::Promote => Command::Promote,
        Action::Abort => Command::Abort,
        Action::Approve => Command::Approve { plan: asked.plan_hash.unwrap_or_else(in_force) },
    };
    Ok(Json(admin.control.order(&name, Order { command, actor, reason: asked.reason }).await?))
}

/// Refuses a reason that is too long.
pub(super) fn check_reason(reason: &str) -> Result<(), Problem> {
    if reason.chars().count() <= MAX_REASON {
        return Ok(());
    }
    Err(Problem::new(StatusCode::BAD_REQUEST, format!("The reason is longer than {MAX_REASON} characters.")))
}

/// The name that an order is written down under: what is known of the caller, else what they call themselves.
pub(super) fn who(caller: &Caller, claimed: Option<String>) -> Result<String, Problem> {
    let is_name = |actor: &String| {
        !actor.is_empty() && actor.chars().count() <= MAX_ACTOR && !actor.chars().any(char::is_control)
    };
    if claimed.as_ref().is_some_and(|actor| !is_name(actor) || is_reserved(actor)) {
        let detail = format!("`actor` is not a name: expected 1 to {MAX_ACTOR} characters that can be printed.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(caller.name_or(claimed))
}

impl From<RolloutRefused> for Problem {
    fn from(refused: RolloutRefused) -> Self {
        let status = match &refused {
            RolloutRefused::Change(Refused::UnknownService { .. }) | RolloutRefused::NoPlan(_) => StatusCode::NOT_FOUND,
            RolloutRefused::Change(Refused::ShuttingDown | Refused::Ledger(_)) => StatusCode::SERVICE_UNAVAILABLE,
            RolloutRefused::Change(Refused::UnderMigration(_))
            | RolloutRefused::Order(rollout::Refused::State(_))
            | RolloutRefused::Preflight(_) => StatusCode::CONFLICT,
            RolloutRefused::Change(_) => StatusCode::UNPROCESSABLE_ENTITY,
            RolloutRefused::Order(rollout::Refused::Person(_)) => StatusCode::FORBIDDEN,
        };
        Self::new(status, refused.to_string())
    }
}

/// The part of the `OpenAPI` document.
pub(super) fn paths() -> Vec<(&'static str, Value)> {
    let answer = |schema: Value| json!({"description": "done", "content": {"application/json": {"schema": schema}}});
    let problem = |description: &str| json!({"description": description, "content": {"application/problem+json": {}}});
    let name = json!([{"name": "service", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let none = problem("no such service, or it has no rollout");
    vec![
        (
            "/api/v1/services/{service}/rollout",
            json!({"parameters": name,
                "get": {"operationId": "getRollout",
                    "responses": {"200": answer(schema_of::<RolloutView>()), "404": none}},
                "post": {"operationId": "orderRollout",
                    "requestBody": {"required": true,
                        "content": {"application/json": {"schema": schema_of::<Asked>()}}},
                    "responses": {"200": answer(schema_of::<RolloutView>()), "400": problem("not what is expected"),
                        "403": problem("somebody else must do it"), "404": none,
                        "409": problem("it makes no sense now, or something stands in the way"),
                        "413": problem("too long"),
                        "503": problem("shutting down, or the ledger cannot be written and this widens")}}}),
        ),
        (
            "/api/v1/services/{service}/rollout/preflight",
            json!({"parameters": name, "get": {"operationId": "preflightRollout",
                "responses": {"200": answer(schema_of::<Preflight>()), "404": none}}}),
        ),
    ]
}
