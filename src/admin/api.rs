//! The admin API's answers.

use std::collections::BTreeMap;
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
use serde_json::json;

use super::guard::{Caller, guard};
use super::problem::Problem;
use super::rights;
use super::serve::{Admin, Phase};
use super::view::{ServiceView, ServicesView};
use super::{
    diffs, distribution, events, flags, health, history, ledger, live, me, migration, page, preview, reconcile,
    rollback_drill, rollout,
};
use crate::control::{Change, Changed};
use crate::ledger::{About, Dependency, Source};
use crate::plan::Plan;
use crate::telemetry::exposition;

/// Longest body of a request to the admin API, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Longest reason, in characters.
pub(super) const MAX_REASON: usize = 1000;

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
    weights: BTreeMap<String, f64>,
    /// Why, for whoever looks later.
    #[serde(default)]
    reason: String,
    /// Entries of the ledger that this change builds on: numbers, or `"SERVICE@NUMBER"`; at most 32.
    #[serde(default, rename = "dependsOn")]
    #[schemars(with = "Vec<ledger::DependencyView>", length(max = 32))]
    depends_on: Vec<Dependency>,
}

async fn set_weights(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ServiceView>, Problem> {
    let name = named(name)?;
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let asked: SetWeights = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("The body is not what is expected: {error}."))
    })?;
    if asked.reason.chars().count() > MAX_REASON {
        let detail = format!("The reason is longer than {MAX_REASON} characters.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let about = About { depends_on: asked.depends_on, ..About::default() };
    let change = Change {
        actor: caller.name.to_string(),
        reason: asked.reason,
        service: name.clone(),
        weights: asked.weights,
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
    let Path(name) = name.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    Ok(name)
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

async fn openapi() -> Json<serde_json::Value> {
    Json(document())
}

/// The `OpenAPI` document of this API.
pub(super) fn document() -> serde_json::Value {
    let answer =
        |schema: serde_json::Value| json!({"description": "done", "content": {"application/json": {"schema": schema}}});
    let problem = |description: &str| json!({"description": description, "content": {"application/problem+json": {}}});
    let text = |description: &str| json!({"description": description, "content": {"text/plain": {}}});
    let name = json!([{"name": "service", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": "serin admin API", "version": env!("CARGO_PKG_VERSION")},
        "paths": {
            "/livez": {"get": {"operationId": "livez", "responses": {"200": text("the process lives")}}},
            "/readyz": {"get": {"operationId": "readyz",
                "responses": {"200": text("takes requests"), "503": text("starting or draining")}}},
            "/metrics": {"get": {"operationId": "metrics", "responses": {"200": text("Prometheus exposition")}}},
            "/api/v1/services": {"get": {"operationId": "listServices",
                "responses": {"200": answer(schema_of::<ServicesView>())}}},
            "/api/v1/services/{service}": {"parameters": name, "get": {"operationId": "getService",
                "responses": {"200": answer(schema_of::<ServiceView>()), "404": problem("no such service")}}},
            "/api/v1/services/{service}/weights": {"parameters": name, "put": {"operationId": "setWeights",
                "requestBody": {"required": true,
                    "content": {"application/json": {"schema": schema_of::<SetWeights>()}}},
                "responses": {"200": answer(schema_of::<ServiceView>()), "400": problem("not what is expected"),
                    "404": problem("no such service"), "413": problem("too long"),
                    "409": problem("the service is under migration"),
                    "422": problem("no such version, or weights that are none"), "503": problem("shutting down, or the ledger cannot be written and this widens")}}},
        }
    });
    let mut paths: Vec<(&'static str, serde_json::Value)> = Vec::new();
    paths.extend(diffs::paths());
    paths.extend(distribution::paths());
    paths.extend([events::path()]);
    paths.extend(flags::paths());
    paths.extend(history::paths());
    paths.extend(ledger::paths());
    paths.extend(live::paths());
    paths.extend(me::paths());
    paths.extend(migration::paths());
    paths.extend(preview::paths());
    paths.extend(reconcile::paths());
    paths.extend(rollback_drill::paths());
    paths.extend(rollout::paths());
    for (path, item) in paths {
        document["paths"][path] = item;
    }
    rights::describe(&mut document);
    document
}

pub(super) fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
