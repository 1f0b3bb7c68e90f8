//! The ledger for whoever asks: the lines as they are written.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::api::schema_of;
use super::problem::Problem;
use super::serve::Admin;
use crate::ledger::{self, MAX_PAGE, ReadError, Reader};

/// Entries of an answer where nothing else is asked for.
const LIMIT: usize = 100;
/// Most who read at the same time: each may read all files, on threads that others need too.
const READERS: usize = 4;

/// Reads the ledger for those who ask, a few at a time.
#[derive(Debug)]
pub struct Ledgers {
    reader: Reader,
    turns: Semaphore,
}

impl Ledgers {
    /// Reads what `reader` reads.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self { reader, turns: Semaphore::new(READERS) }
    }

    /// Reads without anybody else waiting for it.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Problem> {
        let internal =
            |error: &dyn std::fmt::Display| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
        let _turn = self.turns.acquire().await.map_err(|error| internal(&error))?;
        let reader = self.reader.clone();
        let done = tokio::task::spawn_blocking(move || read(&reader)).await.map_err(|error| internal(&error))?;
        done.map_err(|error| internal(&error))
    }
}

/// The routes of the ledger.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/ledger", get(list))
        .route("/api/v1/ledger/verify", get(verify))
        .route("/api/v1/ledger/{number}", get(show))
}

/// What may be asked for in the query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    service: Option<String>,
    rollout: Option<u64>,
    after: Option<u64>,
    limit: Option<usize>,
}

async fn list(
    State(admin): State<Arc<Admin>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let limit = asked.limit.unwrap_or(LIMIT);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("`limit` is {limit}; expected a number from 1 to {MAX_PAGE}.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let query = ledger::Query { service: asked.service, rollout: asked.rollout, after: asked.after, limit };
    let page = admin.ledger.read(move |reader| reader.page(&query)).await?;
    // Put together and not parsed: the entries stay what their hashes are of.
    let next = page.next.map_or_else(|| "null".to_owned(), |next| next.to_string());
    Ok(as_json(format!("{{\"entries\":[{}],\"next\":{next}}}", page.lines.join(","))))
}

async fn show(State(admin): State<Arc<Admin>>, number: Result<Path<u64>, PathRejection>) -> Result<Response, Problem> {
    let Path(number) = number.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let line = admin.ledger.read(move |reader| reader.entry(number)).await?;
    let none = || Problem::new(StatusCode::NOT_FOUND, format!("There is no entry {number} in the ledger."));
    line.map(as_json).ok_or_else(none)
}

async fn verify(State(admin): State<Arc<Admin>>) -> Result<Response, Problem> {
    let found = admin.ledger.read(|reader| reader.verify(|_| {})).await?;
    let body = match found {
        Ok(verified) => json!({ "verified": verified }),
        Err(broken) => json!({ "broken": broken }),
    };
    Ok(as_json(body.to_string()))
}

fn as_json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// An entry that another one builds on, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is described, not made")]
pub(super) enum DependencyView {
    /// In the same ledger.
    Entry(u64),
    /// `SERVICE@NUMBER`.
    Service(String),
}

/// One line of the ledger, for the schema; each `kind` has fields of its own besides.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "it is described, not made")]
struct EntryView {
    /// From 1, without gaps.
    number: u64,
    /// RFC 3339 in UTC, to the millisecond.
    time: String,
    /// genesis, started, weights, files, flags, event, approval, refusal, note or rotated.
    kind: String,
    /// Whom it concerns.
    service: Option<String>,
    /// Who did it.
    actor: String,
    /// Why.
    reason: String,
    /// Weights by version before, in an entry of kind weights.
    from: Option<Value>,
    /// Weights by version after.
    to: Option<Value>,
    /// Entries it builds on.
    depends_on: Option<Vec<DependencyView>>,
    /// Approvals that it needed and has: who, and the entry that says so.
    approvals: Option<Vec<Value>>,
    /// The rollout it belongs to.
    rollout: Option<u64>,
    /// What a rollout decided that changed weights: started, advanced, rolledBack and so on.
    decision: Option<String>,
    /// What both versions of the rollout had counted: in the run and in the step, and when the first failure was seen.
    figures: Option<Value>,
    /// The verdict it goes by.
    verdict: Option<Value>,
    /// Hash of the plan in force from this entry on.
    plan: Option<String>,
    /// By name: SHA-256 of the files in force from this entry on.
    files: Option<Value>,
    /// It was written after it took effect.
    late: Option<bool>,
    /// SHA-256 of the entry before.
    before: String,
}

/// The ledger's part of the `OpenAPI` document.
pub(super) fn paths() -> [(&'static str, Value); 3] {
    let problem = |description: &str| json!({"description": description, "content": {"application/problem+json": {}}});
    let entry = schema_of::<EntryView>();
    let answer = |schema: Value| json!({"description": "done", "content": {"application/json": {"schema": schema}}});
    let query = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "query", "required": false, "schema": schema, "description": description});
    let parameters = json!([
        query("service", json!({"type": "string"}), "only entries that concern this service"),
        query("rollout", json!({"type": "integer", "minimum": 1}), "only entries that belong to this rollout"),
        query(
            "after",
            json!({"type": "integer", "minimum": 0}),
            "entries with a greater number, the first of them first; without it, the last there are"
        ),
        query("limit", json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": LIMIT}), "most entries"),
    ]);
    let page = json!({"type": "object", "required": ["entries", "next"], "properties": {
        "entries": {"type": "array", "items": entry},
        "next": {"type": ["integer", "null"], "description": "what to ask for next with `after`; null: no more now"},
    }});
    [
        (
            "/api/v1/ledger",
            json!({"get": {"operationId": "listLedger", "parameters": parameters,
                "responses": {"200": answer(page), "400": problem("not what is expected")}}}),
        ),
        (
            "/api/v1/ledger/{number}",
            json!({"parameters": [{"name": "number", "in": "path", "required": true,
                "schema": {"type": "integer", "minimum": 1}}],
                "get": {"operationId": "getLedgerEntry",
                    "responses": {"200": answer(entry), "404": problem("no such entry")}}}),
        ),
        (
            "/api/v1/ledger/verify",
            json!({"get": {"operationId": "verifyLedger", "responses": {"200": answer(json!({
                "type": "object", "description": "`verified`, or `broken` with the place",
            }))}}}),
        ),
    ]
}
