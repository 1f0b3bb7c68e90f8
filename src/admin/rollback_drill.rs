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
use serde_json::json;

use super::api::{ServiceName, named};
use super::document::{Operation, Operations};
use super::guard::Caller;
use super::input;
use super::problem::Problem;
use super::rollout::who;
use super::serve::Admin;
use super::values::{self, Actor, ShareText, WithinText};
use crate::config;
use crate::control::RolloutRefused;
use crate::ledger::MAX_REASON;
use crate::plan::Share;
use crate::rollout::{Command, DrillFault, DrillOrder, DrillView, Order};

/// To how many requests something is done, where nothing is said: 20 %.
const SHARE: u32 = 2_000;
/// How soon it has to be noticed, where nothing is said.
const WITHIN: Duration = Duration::from_secs(30);

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
    #[schemars(with = "Option<ShareText>")]
    share: Option<String>,
    /// How soon the version has to be withdrawn: `1s` to `5m`. Default: 30s.
    #[serde(default)]
    #[schemars(with = "Option<WithinText>")]
    within: Option<String>,
    /// Why, for whoever looks later.
    #[serde(default)]
    #[schemars(length(max = MAX_REASON))]
    reason: String,
    /// Who asks: counts only where nobody is known, by credentials or at a unix socket. Default: admin-api.
    #[serde(default)]
    #[schemars(with = "Option<Actor>")]
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
    let wrong = |what: String| Problem::new(StatusCode::BAD_REQUEST, what);
    let asked: Asked = input::body(body)?;
    input::check_reason(&asked.reason)?;
    let share = asked.share.map_or(Ok(Share::from_hundredths(SHARE)), |text| {
        values::check::<ShareText>("share", &text)?;
        config::share(&text).map_err(|error| wrong(format!("`share` is `{text}`: {error}.")))
    })?;
    let within = asked.within.map_or(Ok(WITHIN), |text| {
        values::check::<WithinText>("within", &text)?;
        config::duration(&text).map_err(|error| wrong(format!("`within` is `{text}`: {error}.")))
    })?;
    let actor = who(&caller, asked.actor)?;
    // What is in force, and how long requests wait, are for control to say.
    let drill = DrillOrder { fault: asked.fault, share, within, delay: Duration::ZERO, in_force: None, run: 0 };
    let order = Order { command: Command::Drill(drill), actor, reason: asked.reason };
    let view = admin.control.order(&name, order).await?;
    let lost = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The drill is not to be seen.".to_owned());
    view.drill.map(Json).ok_or_else(lost)
}

/// What the document says of rollback drills.
pub(super) fn operations() -> Operations {
    let example = json!({"running": true, "sentence": "errors for 20% of new's requests; not noticed yet", "fault": "errors",
        "share": "20%", "withinSeconds": 30.0, "seconds": 1.5, "hurt": 12, "by": "alice"});
    vec![
        (
            "/api/v1/services/{service}/drill",
            "get",
            Operation::new("getDrill", "rollouts", "How a rollback drill stands")
                .answer::<DrillView>(200, "the one that is on, or the last one", example.clone())
                .problem(
                    StatusCode::NOT_FOUND,
                    "no such service, it has no rollout, or there was no drill",
                    "There was no drill of `shop` since serin started.",
                ),
        ),
        (
            "/api/v1/services/{service}/drill",
            "post",
            Operation::new("beginDrill", "rollouts", "Hurt the new version and see it withdrawn")
                .about(
                    "Real requests of the new version are hurt until the rollout takes it back, or the time is over.",
                )
                .body::<Asked>(
                    json!({"fault": "errors", "share": "20%", "within": "30s", "reason": "the monthly drill"}),
                )
                .answer::<DrillView>(200, "it is on", example)
                .link(200, "getDrill", json!({"service": "$request.path.service"}))
                .problem(
                    StatusCode::NOT_FOUND,
                    "no such service, or it has no rollout",
                    "service `shop` has no `rollout` in serin.yaml",
                )
                .problem(
                    StatusCode::CONFLICT,
                    "it makes no sense now, could not be seen, or something stands in the way",
                    "no run is on: a drill needs one that bakes or is paused",
                )
                .problem(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "what it does cannot be put in force",
                    "service `shop` has no version `new`; it has: old",
                )
                .problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "it began and is not to be seen",
                    "The drill is not to be seen.",
                )
                .problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "shutting down, or the ledger cannot be written",
                    "serin is shutting down",
                ),
        ),
    ]
}
