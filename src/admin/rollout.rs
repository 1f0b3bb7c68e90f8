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

use super::api::{ServiceName, UNDER_MIGRATION, named};
use super::document::{Operation, Operations};
use super::guard::Caller;
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use super::values::{self, Actor, HashText, MAX_ACTOR};
use crate::access::{Right, is_reserved};
use crate::control::{Refused, RolloutRefused};
use crate::ledger::MAX_REASON;
use crate::rollout::{self, Command, Order, Preflight, RolloutView};

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
    #[schemars(length(max = MAX_REASON))]
    reason: String,
    /// Who asks: counts only where nobody is known, by credentials or at a unix socket. Default: admin-api.
    #[serde(default)]
    #[schemars(with = "Option<Actor>")]
    actor: Option<String>,
    /// For `approve`: the `planHash` that is agreed to. Default: that of the plan in force.
    #[serde(default)]
    #[schemars(with = "Option<HashText>")]
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
    let asked: Asked = input::body(body)?;
    input::check_reason(&asked.reason)?;
    let right = if matches!(asked.action, Action::Approve) { Right::Approve } else { Right::Operate };
    caller.require(right, &admin)?;
    let actor = who(&caller, asked.actor)?;
    if let Some(hash) = &asked.plan_hash {
        values::check::<HashText>("planHash", hash)?;
    }
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

fn preflight_example() -> Value {
    json!({"ready": true, "checks": [{"name": "ledger", "grade": "ok", "detail": "it can be written"}],
        "steps": [{"step": 1, "weight": 1.0, "bakeSeconds": 600.0, "requestsPerSecond": 20.0, "requests": 1400,
            "seconds": 70.0, "minRequestsSeconds": 25.0}]})
}

/// What the document says of rollouts.
pub(super) fn operations() -> Operations {
    let example = json!({"state": "baking", "run": 3, "planHash": "5f70bf18a0860070", "from": "old", "to": "new", "step": 2,
        "steps": [{"weight": 1.0, "bakeSeconds": 600.0}, {"weight": 25.0, "bakeSeconds": 1800.0}], "bakedSeconds": 312.5,
        "requests": [9120, 2987], "startedBy": "alice", "approvalsRequired": 0,
        "reason": "the step before showed no difference", "since": "2026-11-21T17:58:03Z"});
    let none = "no such service, or it has no rollout";
    let no_plan = "service `shop` has no `rollout` in serin.yaml";
    vec![
        (
            "/api/v1/services/{service}/rollout",
            "get",
            Operation::new("getRollout", "rollouts", "Where a rollout stands")
                .answer::<RolloutView>(200, "its step, and what it waits for", example.clone())
                .problem(StatusCode::NOT_FOUND, none, no_plan),
        ),
        (
            "/api/v1/services/{service}/rollout",
            "post",
            Operation::new("orderRollout", "rollouts", "Start, pause, resume, promote, abort or approve a rollout")
                .body::<Asked>(json!({"action": "start", "reason": "version 2.4"}))
                .answer::<RolloutView>(200, "where it stands now", example)
                .link(200, "getRollout", json!({"service": "$request.path.service"}))
                .problem(
                    StatusCode::FORBIDDEN,
                    "this role may not, or somebody else must do it",
                    "alice started this run: somebody else must approve it",
                )
                .problem(StatusCode::NOT_FOUND, none, no_plan)
                .problem(
                    StatusCode::CONFLICT,
                    "it makes no sense now, or something stands in the way",
                    "the rollout is baking: there is nothing to resume",
                )
                .problem(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "the weights it asks for cannot be had",
                    "service `shop` has no version `new`; it has: old",
                )
                .problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "shutting down, or the ledger cannot be written and this widens",
                    "serin is shutting down",
                ),
        ),
        (
            "/api/v1/services/{service}/rollout/preflight",
            "get",
            Operation::new("preflightRollout", "rollouts", "What a start would need")
                .answer::<Preflight>(200, "what was looked at", preflight_example())
                .problem(StatusCode::NOT_FOUND, none, no_plan)
                .problem(StatusCode::CONFLICT, "the service is under migration", UNDER_MIGRATION)
                .problem(StatusCode::SERVICE_UNAVAILABLE, "shutting down", "serin is shutting down"),
        ),
    ]
}
