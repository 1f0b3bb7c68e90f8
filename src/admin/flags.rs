//! The flags in force, and how they were evaluated.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::document::{Operation, Operations};
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use crate::flags::{Flag, State as FlagState};
use crate::telemetry::FlagCount;

/// Most flags of an answer: a file may have very many.
const MOST: usize = 500;

/// The route.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/flags", get(list))
}

/// What may be asked for in the query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only flags whose key has this in it.
    #[serde(default)]
    search: String,
}

/// Flags.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FlagsView {
    /// How many there are in all.
    total: usize,
    /// In the order of the file; at most 500.
    flags: Vec<FlagView>,
}

/// One flag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FlagView {
    key: String,
    /// Whether it is evaluated.
    enabled: bool,
    /// The variants' names.
    variants: Vec<String>,
    /// The variant it has where no rule says another.
    default_variant: Option<String>,
    /// Whether it has a rule.
    has_rule: bool,
    /// Why every evaluation answers an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
    /// Evaluations since the start, by variant (empty: none).
    evaluations: Vec<EvaluationsView>,
}

/// How often a flag came out as a variant.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EvaluationsView {
    variant: String,
    count: u64,
}

async fn list(
    State(admin): State<Arc<Admin>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<FlagsView>, Problem> {
    let asked = input::query(asked)?;
    let plan = admin.plan();
    let counts = admin.registry.flag_counts();
    let found = plan.flags.iter().map(|(_, flag)| flag).filter(|flag| flag.key().contains(&asked.search));
    let flags = found.take(MOST).map(|flag| FlagView::new(flag, &counts)).collect();
    Ok(Json(FlagsView { total: plan.flags.len(), flags }))
}

impl FlagView {
    /// `counts` are sorted by flag.
    fn new(flag: &Flag, counts: &[FlagCount]) -> Self {
        let from = counts.partition_point(|count| count.flag < *flag.key());
        let mut evaluations: Vec<EvaluationsView> = Vec::new();
        for count in counts[from..].iter().take_while(|count| count.flag == *flag.key()) {
            match evaluations.last_mut().filter(|last| *last.variant == *count.variant) {
                Some(last) => last.count += count.count,
                None => evaluations.push(EvaluationsView { variant: count.variant.to_string(), count: count.count }),
            }
        }
        Self {
            key: flag.key().to_string(),
            enabled: flag.state() == FlagState::Enabled,
            variants: flag.variants().iter().map(|variant| variant.name.to_string()).collect(),
            default_variant: flag.default_index().map(|index| flag.variants()[index].name.to_string()),
            has_rule: flag.targeting().is_some(),
            broken: flag.broken().map(ToString::to_string),
            evaluations,
        }
    }
}

/// What the document says of it.
pub(super) fn operations() -> Operations {
    let flag = json!({"key": "new-screen", "enabled": true, "variants": ["on", "off"], "defaultVariant": "off", "hasRule": true,
        "evaluations": [{"variant": "on", "count": 1208}]});
    vec![(
        "/api/v1/flags",
        "get",
        Operation::new("listFlags", "flags", "The flags in force, and how they were evaluated")
            .query::<Asked>()
            .answer::<FlagsView>(200, "at most 500 of them", json!({"total": 1, "flags": [flag]})),
    )]
}
