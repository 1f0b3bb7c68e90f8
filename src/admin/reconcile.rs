//! Reconciliations: begun, watched and cancelled.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{MAX_REASON, ServiceName, named, schema_of};
use super::guard::Caller;
use super::problem::Problem;
use super::serve::Admin;
use crate::config;
use crate::ledger::{Draft, What, clip};
use crate::migration::reconcile::{Asked, Ended, Keys, ReconcileView, Refused};

/// Longest body of a request here, in bytes: keys come in it.
pub(super) const MAX_BODY: usize = 32 << 20;
/// Where they are.
pub(super) const PATH: &str = "/api/v1/services/{service}/reconcile";
/// Keys a second where nothing is said.
const PER_SECOND: f64 = 50.0;

/// The routes of reconciliations.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route(PATH, get(show).post(begin).delete(cancel).layer(DefaultBodyLimit::max(MAX_BODY)))
}

/// What `POST …/reconcile` takes: exactly one of `keys`, `fromJournal`, `sample` and `resume`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Wanted {
    /// The keys, at most a million of them.
    keys: Option<Vec<String>>,
    /// The keys that the journal lists, those stopped by dead letters, and those that the verification found to differ.
    from_journal: bool,
    /// This share of all keys, such as `1%`.
    sample: Option<String>,
    /// Goes on with the last one, as it was asked for.
    resume: bool,
    /// Whether the other version is made to say what the authoritative one does. Default: nothing is changed.
    repair: bool,
    /// Keys a second at most, such as `50/s`. Default: 50/s.
    rate: Option<String>,
    /// Why, for whoever looks later.
    reason: String,
}

async fn show(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<ReconcileView>, Problem> {
    let name = named(name)?;
    let none = || Problem::new(StatusCode::NOT_FOUND, format!("There was no reconciliation of `{name}`."));
    Ok(Json(admin.reconciler.view(&name)?.ok_or_else(none)?))
}

async fn begin(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<ReconcileView>), Problem> {
    let name = named(name)?;
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let wanted: Wanted =
        serde_json::from_slice(&body).map_err(|error| wrong(format!("The body is not what is expected: {error}.")))?;
    if wanted.reason.chars().count() > MAX_REASON {
        return Err(wrong(format!("The reason is longer than {MAX_REASON} characters.")));
    }
    let ended = if wanted.resume {
        if wanted.keys.is_some() || wanted.from_journal || wanted.sample.is_some() || wanted.repair {
            return Err(wrong(
                "`resume` goes on with the last one as it was asked for: expected nothing beside it.".into(),
            ));
        }
        admin.reconciler.resume(&name)?
    } else {
        let sample = wanted.sample.as_deref().map(|text| {
            let expected = "expected a percentage from 0.01% to 100%, such as `1%`.";
            config::share(text).map_err(|_| format!("`sample` is `{text}`; {expected}"))
        });
        let keys = match (&wanted.keys, wanted.from_journal, sample.transpose().map_err(wrong)?) {
            (Some(_), false, None) => Keys::Given,
            (None, true, None) => Keys::Journal,
            (None, false, Some(share)) => Keys::Sample(share.hundredths()),
            _ => return Err(wrong("Expected exactly one of: keys, fromJournal, sample, resume.".to_owned())),
        };
        let rate = wanted.rate.as_deref().map(|text| {
            let expected = "expected a rate such as `50/s` or `30/m`, above 0/s and at most 10000/s.";
            let rate = config::rate(text).filter(|rate| *rate > 0.0);
            rate.ok_or_else(|| format!("`rate` is `{text}`; {expected}"))
        });
        let per_second = rate.transpose().map_err(wrong)?.unwrap_or(PER_SECOND);
        let (actor, reason) = (caller.name.to_string(), wanted.reason);
        let asked = Asked { keys, repair: wanted.repair, per_second, actor, reason };
        admin.reconciler.begin(&name, asked, wanted.keys)?
    };
    tracing::info!(service = %name, actor = %caller.name, resumed = wanted.resume, "a reconciliation begins");
    tokio::spawn(record(Arc::clone(&admin), name.clone(), ended));
    let view = admin.reconciler.view(&name)?;
    // It was begun a moment ago.
    let view = view.ok_or_else(|| Problem::from(Refused::NotRunning(name)))?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

async fn cancel(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
) -> Result<StatusCode, Problem> {
    admin.reconciler.cancel(&named(name)?, &caller.name)?;
    Ok(StatusCode::ACCEPTED)
}

/// Writes down how one ended.
async fn record(admin: Arc<Admin>, service: String, ended: Ended) {
    let Ok(view) = ended.await else { return };
    let ReconcileView { counts, looked, .. } = &view;
    let state = view.state.word();
    tracing::info!(%service, state, looked, agreed = counts.agreed, left = view.left(), "a reconciliation is over");
    let mut fields = Map::new();
    let mut field = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    field("state", json!(state));
    field("keys", json!(view.keys));
    field("repair", json!(view.repair));
    field("looked", json!(looked));
    field("total", json!(view.total));
    for (name, count) in counts.named() {
        field(name, json!(count));
    }
    if let Some(sample) = &view.sample {
        field("sample", json!(sample));
    }
    if let Some(detail) = &view.detail {
        field("detail", json!(clip(detail, 500)));
    }
    let what = What::Event { event: "reconciled".to_owned(), fields };
    let draft = Draft::new(view.actor.clone(), view.reason.clone(), what).of_service(&service);
    if let Err(error) = admin.control.record_or_keep(draft).await {
        tracing::error!(%service, %error, "how a reconciliation ended could not be recorded");
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::NotConfigured(_) => StatusCode::NOT_FOUND,
            Refused::Running(_) | Refused::NotRunning(_) | Refused::NotResumable(_) => StatusCode::CONFLICT,
            Refused::Asked(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.to_string())
    }
}

/// What the `OpenAPI` document says of it.
pub(super) fn paths() -> Vec<(&'static str, Value)> {
    let answer = |schema: Value| json!({"description": "done", "content": {"application/json": {"schema": schema}}});
    let problem = |description: &str| json!({"description": description, "content": {"application/problem+json": {}}});
    let name = json!([{"name": "service", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let view = schema_of::<ReconcileView>();
    vec![(
        PATH,
        json!({"parameters": name,
            "get": {"operationId": "getReconciliation",
                "responses": {"200": answer(view.clone()), "404": problem("there was none"),
                    "409": problem("what is kept of the last one cannot be read")}},
            "post": {"operationId": "beginReconciliation",
                "requestBody": {"required": true, "content": {"application/json": {"schema": schema_of::<Wanted>()}}},
                "responses": {"202": answer(view), "400": problem("not what is expected"),
                    "404": problem("no such service, or nothing says how it is reconciled"),
                    "409": problem("one is on already, or there is none to resume"), "413": problem("too long"),
                    "422": problem("the configuration does not say how"), "503": problem("it cannot be written down")}},
            "delete": {"operationId": "cancelReconciliation",
                "responses": {"202": {"description": "it ends"}, "409": problem("none is on")}}}),
    )]
}
