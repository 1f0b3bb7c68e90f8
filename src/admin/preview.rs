//! What a change of weights would do, before it is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::{ServiceName, UNDER_MIGRATION, named, unknown_service};
use super::document::{Operation, Operations};
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use super::values::{Weights, as_json};
use crate::control::Refused;
use crate::plan::{Service, VersionId, Weight, moves};

/// How many sample keys are split before and after.
const KEYS: u32 = 10_000;

/// The route.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/services/{service}/weights/preview", get(show))
}

/// What is asked for in the query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// JSON as `PUT …/weights` takes it: by version; a version left out gets 0.
    #[schemars(schema_with = "as_json::<Weights>", extend("examples" = [{ "old": 90, "new": 10 }]))]
    weights: String,
}

/// Who would move.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreviewView {
    /// Whether requests have sticky keys: otherwise each is drawn by itself, and nobody has a version to move from.
    sticky: bool,
    /// In order of age.
    versions: Vec<ShareView>,
    /// How many sample keys were split, before and after, by the service's own split.
    keys: u32,
    /// Those that change their version.
    moves: Vec<MoveView>,
}

/// A version's share.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ShareView {
    name: String,
    /// Now, 0 to 1.
    before: f64,
    /// With the weights asked about.
    after: f64,
}

/// Sample keys that change from one version to another.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MoveView {
    from: String,
    to: String,
    keys: u32,
}

async fn show(
    State(admin): State<Arc<Admin>>,
    name: ServiceName,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<PreviewView>, Problem> {
    let name = named(name)?;
    let asked = input::query(asked)?;
    let Weights(wanted) = serde_json::from_str(&asked.weights).map_err(|error| {
        let detail = format!("`weights` is not what is expected, {{\"old\":90,\"new\":10}}: {error}.");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let plan = admin.plan();
    let (_, service) = plan.service_named(&name).ok_or_else(|| unknown_service(&name))?;
    if service.migration.is_some() {
        return Err(Refused::UnderMigration(name).into());
    }
    preview(service, &wanted).map(Json).map_err(|detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
}

fn preview(service: &Service, wanted: &BTreeMap<String, f64>) -> Result<PreviewView, String> {
    let mut weights = vec![Weight::ZERO; service.versions.len()];
    for (name, weight) in wanted {
        let version = service
            .version_named(name)
            .ok_or_else(|| format!("Service `{}` has no version `{name}`.", service.name))?;
        weights[version.index()] = Weight::from_f64(*weight).map_err(|error| format!("`{name}`: {error}."))?;
    }
    let after = service.split.with_weights(weights).map_err(|error| format!("The weights: {error}."))?;
    let name = |version: VersionId| service.version(version).name.to_string();
    let share = |index: usize| {
        let version = VersionId::from_index(index);
        ShareView { name: name(version), before: service.split.share(version), after: after.share(version) }
    };
    let moved = moves(&service.split, &after, KEYS);
    Ok(PreviewView {
        sticky: !service.sticky.is_empty(),
        versions: (0..service.versions.len()).map(share).collect(),
        keys: KEYS,
        moves: moved.into_iter().map(|(from, to, keys)| MoveView { from: name(from), to: name(to), keys }).collect(),
    })
}

/// What the document says of it.
pub(super) fn operations() -> Operations {
    let example = json!({"sticky": true, "versions": [{"name": "old", "before": 0.95, "after": 0.9},
        {"name": "new", "before": 0.05, "after": 0.1}], "keys": KEYS, "moves": [{"from": "old", "to": "new", "keys": 503}]});
    vec![(
        "/api/v1/services/{service}/weights/preview",
        "get",
        Operation::new("previewWeights", "services", "Who would move with other weights")
            .query::<Asked>()
            .answer::<PreviewView>(200, "shares before and after, and who would move", example)
            .problem(StatusCode::NOT_FOUND, "no such service", "There is no service `ship`.")
            .problem(StatusCode::CONFLICT, "the service is under migration", UNDER_MIGRATION)
            .problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "no such version, or no weights",
                "Service `shop` has no version `nwe`.",
            ),
    )]
}
