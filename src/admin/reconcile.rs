//! Reconciliations: begun, watched and cancelled.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{ServiceName, named};
use super::document::{Operation, Operations};
use super::guard::Caller;
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use super::values::{self, RateText, ShareText};
use crate::config;
use crate::ledger::{Draft, MAX_REASON, What, clip};
use crate::migration::reconcile::{Asked, Ended, Keys, MAX_RUN_KEYS, ReconcileView, Refused};
use crate::plan::MAX_ENTITY_KEY;

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
#[schemars(transform = one_of_four)]
struct Wanted {
    /// The keys, at most a million of them, of at most 512 bytes each.
    #[schemars(with = "Option<Vec<Key>>", length(max = MAX_RUN_KEYS))]
    keys: Option<Vec<String>>,
    /// The keys that the journal lists, those stopped by dead letters, and those that the verification found to differ.
    from_journal: bool,
    /// This share of all keys, such as `1%`.
    #[schemars(with = "Option<ShareText>")]
    sample: Option<String>,
    /// Goes on with the last one, as it was asked for.
    resume: bool,
    /// Whether the other version is made to say what the authoritative one does. Default: nothing is changed.
    repair: bool,
    /// Keys a second at most, such as `50/s`. Default: 50/s.
    #[schemars(with = "Option<RateText>")]
    rate: Option<String>,
    /// Why, for whoever looks later.
    #[schemars(length(max = MAX_REASON))]
    reason: String,
}

/// One key, for the schema.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is described, not made")]
struct Key(#[schemars(length(min = 1, max = MAX_ENTITY_KEY))] String);

/// Says that there is exactly one of the four, and what may be beside it.
fn one_of_four(schema: &mut Schema) {
    let (none, no) = (json!({"type": "null"}), json!({"const": false}));
    let of = |which: &str, own: Value| {
        let mut properties = json!({"keys": none, "fromJournal": no, "sample": none, "resume": no});
        properties[which] = own;
        json!({"required": [which], "properties": properties})
    };
    let mut resume = of("resume", json!({"const": true}));
    resume["properties"]["repair"] = no.clone();
    resume["properties"]["rate"] = none.clone();
    let either = [
        of("keys", json!({"type": "array"})),
        of("fromJournal", json!({"const": true})),
        of("sample", json!({"type": "string"})),
        resume,
    ];
    let _ = schema.insert("oneOf".to_owned(), json!(either));
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
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let wanted: Wanted = input::body(body)?;
    input::check_reason(&wanted.reason)?;
    let ended = if wanted.resume {
        if wanted.keys.is_some()
            || wanted.from_journal
            || wanted.sample.is_some()
            || wanted.repair
            || wanted.rate.is_some()
        {
            return Err(wrong(
                "`resume` goes on with the last one as it was asked for: expected nothing beside it but a reason."
                    .into(),
            ));
        }
        admin.reconciler.resume(&name)?
    } else {
        let sample = wanted.sample.as_deref().map(|text| {
            values::check::<ShareText>("sample", text)?;
            config::share(text).map_err(|error| wrong(format!("`sample` is `{text}`: {error}.")))
        });
        let keys = match (&wanted.keys, wanted.from_journal, sample.transpose()?) {
            (Some(_), false, None) => Keys::Given,
            (None, true, None) => Keys::Journal,
            (None, false, Some(share)) => Keys::Sample(share.hundredths()),
            _ => return Err(wrong("Expected exactly one of: keys, fromJournal, sample, resume.".to_owned())),
        };
        let rate = wanted.rate.as_deref().map(|text| {
            values::check::<RateText>("rate", text)?;
            config::rate(text).ok_or_else(|| wrong(format!("`rate` is `{text}`; expected a rate such as `50/s`.")))
        });
        let per_second = rate.transpose()?.unwrap_or(PER_SECOND);
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

/// What the document says of it.
pub(super) fn operations() -> Operations {
    let example = json!({"service": "shop", "state": "running", "keys": "sample", "sample": "1%", "repair": false, "perSecond": 50.0,
        "actor": "alice", "reason": "before the next stage", "began": "2026-11-21T17:58:03Z", "total": 1200, "looked": 400,
        "counts": {"agreed": 399, "differed": 1, "missing": 0, "extra": 0, "unsettled": 0, "failed": 0, "repaired": 0,
            "unrepaired": 0},
        "agreement": 0.9975, "agreementLow": 0.983, "agreementHigh": 1.0, "places": {"/total": 1},
        "samples": [], "resumable": false});
    let none = "no such service, or nothing says how it is reconciled";
    let unconfigured = "service `shop` has no `migration.reconcile` in serin.yaml";
    vec![
        (
            PATH,
            "get",
            Operation::new("getReconciliation", "migrations", "How a reconciliation stands")
                .answer::<ReconcileView>(200, "the one that is on, or the last one", example.clone())
                .problem(
                    StatusCode::NOT_FOUND,
                    "no such service, nothing says how it is reconciled, or there was none",
                    "There was no reconciliation of `shop`.",
                )
                .problem(
                    StatusCode::CONFLICT,
                    "what is kept of the last one cannot be read",
                    "what is kept of the last reconciliation of `shop` cannot be read",
                )
                .problem(StatusCode::SERVICE_UNAVAILABLE, "it cannot be read now", "the disk says no"),
        ),
        (
            PATH,
            "post",
            Operation::new("beginReconciliation", "migrations", "Look whether both sides say the same, or make them")
                .about("The body may have 32 MiB.")
                .body::<Wanted>(json!({"sample": "1%", "rate": "50/s", "reason": "before the next stage"}))
                .answer::<ReconcileView>(202, "it has begun", example)
                .link(202, "getReconciliation", json!({"service": "$request.path.service"}))
                .link(202, "cancelReconciliation", json!({"service": "$request.path.service"}))
                .problem(StatusCode::NOT_FOUND, none, unconfigured)
                .problem(
                    StatusCode::CONFLICT,
                    "one is on already, or there is none to resume",
                    "a reconciliation of `shop` is on already",
                )
                .problem(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "the configuration does not say how",
                    "`migration.reconcile` has no `write`: nothing says how to repair",
                )
                .problem(StatusCode::SERVICE_UNAVAILABLE, "it cannot be written down", "the disk says no"),
        ),
        (
            PATH,
            "delete",
            Operation::new("cancelReconciliation", "migrations", "Cancel a reconciliation")
                .empty(202, "it ends")
                .problem(StatusCode::NOT_FOUND, none, unconfigured)
                .problem(StatusCode::CONFLICT, "none is on", "no reconciliation of `shop` is on"),
        ),
    ]
}
