//! The admin API's answers.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::{Operation, Operations, document};
use super::guard::{Caller, guard};
use super::problem::Problem;
use super::serve::{Admin, Phase};
use super::values::{Dependencies, Weights};
use super::view::{ServiceView, ServicesView};
use super::{
    diffs, distribution, events, flags, health, history, input, ledger, live, me, migration, page, preview, reconcile,
    rollback_drill, rollout,
};
use crate::control::{Change, Changed};
use crate::ledger::{About, MAX_REASON, Source};
use crate::plan::Plan;
use crate::telemetry::exposition;

/// Longest body of a request to the admin API, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// What may be said where weights say nothing, for examples.
pub(super) const UNDER_MIGRATION: &str =
    "service `shop` is under migration: its stage says which version answers, and weights say nothing";

/// All routes of the admin address.
pub(super) fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{service}", get(service))
        .route("/api/v1/services/{service}/weights", put(set_weights))
        .route("/api/v1/openapi.json", get(openapi))
        .merge(migration::router())
        .merge(reconcile::router())
        .merge(diffs::router())
        .merge(distribution::router())
        .merge(flags::router())
        .merge(health::router())
        .merge(history::router())
        .merge(ledger::router())
        .merge(events::router())
        .merge(live::router())
        .merge(me::router())
        .merge(page::router())
        .merge(preview::router())
        .merge(rollout::router())
        .merge(rollback_drill::router())
        .route_layer(from_fn_with_state(Arc::clone(&admin), guard))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(admin)
}

async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    match admin.readiness.phase() {
        Phase::Ready => "ok\n".into_response(),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = exposition::negotiate(accept);
    // Verdicts are made for whoever asks: a scrape is one.
    let plan = admin.plan();
    admin.verdicts.look(&plan);
    admin.registry.control().set_verdicts(admin.verdicts.figures(&plan, |name| admin.control.rollout(name)));
    let body = exposition::render(&admin.registry, format);
    ([(header::CONTENT_TYPE, format.content_type())], body).into_response()
}

async fn services(State(admin): State<Arc<Admin>>) -> Json<ServicesView> {
    Json(admin.services_view())
}

async fn service(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<ServiceView>, Problem> {
    let name = named(name)?;
    admin.service_view(&name).map(Json).ok_or_else(|| unknown_service(&name))
}

impl Admin {
    /// The state of all services now.
    pub(super) fn services_view(&self) -> ServicesView {
        let plan = self.plan();
        self.verdicts.look(&plan);
        let mut view = ServicesView::new(&plan, &self.observer.recent(), &self.health, &self.verdicts);
        view.services = view.services.into_iter().map(|view| self.completed(view, &plan)).collect();
        view
    }

    /// The state of one service now; `None` where there is none of this name.
    pub(super) fn service_view(&self, name: &str) -> Option<ServiceView> {
        let plan = self.plan();
        let (_, service) = plan.service_named(name)?;
        self.verdicts.look(&plan);
        let view = ServiceView::new(&plan, service, &self.observer.recent(), &self.health, &self.verdicts);
        Some(self.completed(view, &plan))
    }

    fn completed(&self, view: ServiceView, plan: &Plan) -> ServiceView {
        view.with_rollout(|name| self.control.rollout(name)).with_deprecation(plan, &self.registry)
    }
}

/// What `PUT …/weights` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetWeights {
    /// By version; a version left out gets 0.
    weights: Weights,
    /// Why, for whoever looks later.
    #[serde(default)]
    #[schemars(length(max = MAX_REASON))]
    reason: String,
    /// Entries of the ledger that this change builds on: numbers, or `"SERVICE@NUMBER"`; at most 32.
    #[serde(default, rename = "dependsOn")]
    #[schemars(default = "Vec::<u64>::new")]
    depends_on: Dependencies,
}

async fn set_weights(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ServiceView>, Problem> {
    let name = named(name)?;
    let asked: SetWeights = input::body(body)?;
    input::check_reason(&asked.reason)?;
    let about = About { depends_on: asked.depends_on.0, ..About::default() };
    let change = Change {
        actor: caller.name.to_string(),
        reason: asked.reason,
        service: name.clone(),
        weights: asked.weights.0,
        source: Source::Admin,
        about,
    };
    let Changed { plan, entry } = admin.control.change(change).await?;
    let (_, service) = plan.service_named(&name).ok_or_else(|| unknown_service(&name))?;
    admin.verdicts.look(&plan);
    let view = ServiceView::new(&plan, service, &admin.observer.recent(), &admin.health, &admin.verdicts);
    Ok(Json(ServiceView { entry, ..view.with_rollout(|name| admin.control.rollout(name)) }))
}

/// The service's name in the path, unless that is no text.
pub(super) type ServiceName = Result<Path<String>, PathRejection>;

pub(super) fn named(name: ServiceName) -> Result<String, Problem> {
    input::path(name)
}

pub(super) fn unknown_service(name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("There is no service `{name}`."))
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("There is nothing at {}.", uri.path()))
}

async fn not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not offered at {}.", uri.path()))
}

async fn openapi(State(admin): State<Arc<Admin>>) -> Json<Value> {
    Json(document(&admin.access.load()))
}

/// What the document says of them.
pub(super) fn operations() -> Operations {
    let first = json!({"service": "$response.body#/services/0/name"});
    let same = json!({"service": "$request.path.service"});
    let exposition = json!({"type": "string"});
    vec![
        ("/livez", "get", Operation::new("livez", "process", "Whether the process lives").text(200, "it does", "ok\n")),
        (
            "/readyz",
            "get",
            Operation::new("readyz", "process", "Whether requests are taken")
                .text(200, "they are", "ok\n")
                .text(503, "not yet, or no longer", "draining\n"),
        ),
        (
            "/metrics",
            "get",
            Operation::new("metrics", "process", "All figures, for Prometheus")
                .about("Text, or with `Accept: application/vnd.google.protobuf` protobuf with native histograms.")
                .answer_as(200, "the figures", "text/plain", exposition.clone(), json!("serin_weight{service=\"shop\",version=\"new\"} 0.1\n"))
                .answer_as(200, "the figures", "application/vnd.google.protobuf", exposition, json!("(binary)")),
        ),
        (
            "/api/v1/openapi.json",
            "get",
            Operation::new("describe", "process", "This document").answer_as(
                200,
                "as it holds now",
                "application/json",
                json!({"type": "object", "required": ["openapi", "info", "paths"]}),
                json!({"openapi": "3.1.0", "info": {"title": "serin admin API", "version": "0.1.0"}, "paths": {}}),
            ),
        ),
        (
            "/api/v1/services",
            "get",
            Operation::new("listServices", "services", "The state of all services")
                .answer::<ServicesView>(200, "all of them", json!({"generation": 7, "services": [example()]}))
                .link(200, "getService", first.clone())
                .link(200, "getHistory", first.clone())
                .link(200, "getDistribution", first),
        ),
        (
            "/api/v1/services/{service}",
            "get",
            Operation::new("getService", "services", "The state of a service")
                .answer::<ServiceView>(200, "its versions, their figures, what is said of them", example())
                .problem(StatusCode::NOT_FOUND, "no such service", "There is no service `ship`."),
        ),
        (
            "/api/v1/services/{service}/weights",
            "put",
            Operation::new("setWeights", "services", "Set the weights of a service")
                .about(
                    "In force once it is answered, and in the ledger before that. It stays until the next change, wherever \
                     that comes from.",
                )
                .body::<SetWeights>(json!({"weights": {"old": 90, "new": 10}, "reason": "looks good"}))
                .answer::<ServiceView>(200, "what is in force now", example())
                .link(200, "getLedgerEntry", json!({"number": "$response.body#/entry"}))
                .link(200, "getService", same)
                .problem(StatusCode::NOT_FOUND, "no such service", "there is no service `ship`; there are: shop")
                .problem(StatusCode::CONFLICT, "the service is under migration", UNDER_MIGRATION)
                .problem(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "no such version, or no weights",
                    "service `shop` has no version `nwe`; it has: old, new",
                )
                .problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "shutting down, or the ledger cannot be written and this widens",
                    "serin is shutting down",
                ),
        ),
    ]
}

/// A service as it may be shown.
fn example() -> Value {
    let version = |name: &str, weight: f64, requests: u64| {
        json!({"name": name, "weight": weight, "share": weight / 100.0, "effectiveShare": weight / 100.0,
            "addresses": [{"address": "127.0.0.1:9001", "state": "up"}], "inFlight": 2, "requests": requests,
            "failures": 3, "requestsPerSecond": weight, "failuresPerSecond": 0.0,
            "latency": {"p50": 0.004, "p90": 0.009, "p99": 0.021, "p99.9": 0.055},
            "latencyTotal": {"p50": 0.004, "p90": 0.009, "p99": 0.022, "p99.9": 0.06}})
    };
    json!({"name": "shop", "windowSeconds": 10.0, "versions": [version("old", 90.0, 81_234), version("new", 10.0, 9026)],
        "entry": 42})
}
