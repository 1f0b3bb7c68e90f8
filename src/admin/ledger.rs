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

use super::document::{Operation, Operations};
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use super::values::{Name, Number};
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only entries that concern this service.
    service: Option<Name>,
    /// Only entries that belong to this rollout.
    rollout: Option<Number<1>>,
    /// Entries with a greater number, the first of them first; without it, the last there are.
    after: Option<Number<0>>,
    /// Most entries.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = MAX_PAGE))]
    limit: usize,
}

fn limit() -> usize {
    LIMIT
}

async fn list(
    State(admin): State<Arc<Admin>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = input::query(asked)?;
    let limit = asked.limit;
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("`limit` is {limit}; expected a number from 1 to {MAX_PAGE}.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let query = ledger::Query {
        service: asked.service.map(|Name(name)| name),
        rollout: asked.rollout.map(|Number(number)| number),
        after: asked.after.map(|Number(number)| number),
        limit,
    };
    let page = admin.ledger.read(move |reader| reader.page(&query)).await?;
    // Put together and not parsed: the entries stay what their hashes are of.
    let next = page.next.map_or_else(|| "null".to_owned(), |next| next.to_string());
    Ok(as_json(format!("{{\"entries\":[{}],\"next\":{next}}}", page.lines.join(","))))
}

async fn show(
    State(admin): State<Arc<Admin>>,
    number: Result<Path<Number<1>>, PathRejection>,
) -> Result<Response, Problem> {
    let Number(number) = input::path(number)?;
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
#[schemars(rename = "LedgerDependency")]
#[serde(untagged)]
#[expect(dead_code, reason = "it is described, not made")]
enum DependencyView {
    /// In the same ledger.
    Entry(u64),
    /// `SERVICE@NUMBER`.
    Service(String),
}

/// A page of the ledger, for the schema.
#[derive(JsonSchema)]
#[schemars(rename = "LedgerView")]
#[expect(dead_code, reason = "it is described, not made")]
struct PageView {
    /// In their order.
    entries: Vec<EntryView>,
    /// What to ask for next with `after`; null: no more now.
    next: Option<u64>,
}

/// One line of the ledger, for the schema; each `kind` has fields of its own besides.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LedgerEntryView")]
#[expect(dead_code, reason = "it is described, not made")]
struct EntryView {
    /// From 1, without gaps.
    number: u64,
    /// RFC 3339 in UTC, to the millisecond.
    time: String,
    /// genesis, started, weights, migration, files, flags, event, approval, refusal, note or rotated.
    kind: String,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// Who did it.
    actor: String,
    /// Why.
    reason: String,
    /// Weights by version before, in an entry of kind weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    /// Weights by version after.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
    /// Entries it builds on.
    #[serde(skip_serializing_if = "Option::is_none")]
    depends_on: Option<Vec<DependencyView>>,
    /// Approvals that it needed and has: who, and the entry that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals: Option<Vec<Value>>,
    /// The rollout it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<u64>,
    /// What a rollout decided that changed weights: started, advanced, rolledBack and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    /// What both versions of the rollout had counted: in the run and in the step, and when the first failure was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Value>,
    /// The verdict it goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Value>,
    /// Hash of the plan in force from this entry on.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// By name: SHA-256 of the files in force from this entry on.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Value>,
    /// It was written after it took effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
    /// SHA-256 of the entry before.
    before: String,
}

/// What the document says of the ledger.
pub(super) fn operations() -> Operations {
    let entry = json!({"number": 42, "time": "2026-11-21T17:58:03.120Z", "kind": "weights", "service": "shop", "actor": "alice",
        "reason": "looks good", "from": {"old": 95, "new": 5}, "to": {"old": 90, "new": 10},
        "before": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"});
    let unreadable = "the ledger cannot be read";
    let said = "ledger-00000001.jsonl: Input/output error";
    let verified = json!({"type": "object", "description": "`verified`, or `broken` with the place",
        "minProperties": 1, "maxProperties": 1,
        "properties": {"verified": {"type": "object"}, "broken": {"type": "object"}}});
    vec![
        (
            "/api/v1/ledger",
            "get",
            Operation::new("listLedger", "ledger", "Entries of the ledger")
                .query::<Asked>()
                .answer::<PageView>(200, "entries, in their order", json!({"entries": [entry], "next": null}))
                .link(200, "getLedgerEntry", json!({"number": "$response.body#/entries/0/number"}))
                .problem(StatusCode::INTERNAL_SERVER_ERROR, unreadable, said),
        ),
        (
            "/api/v1/ledger/{number}",
            "get",
            Operation::new("getLedgerEntry", "ledger", "One entry of the ledger")
                .answer::<EntryView>(200, "the entry as it is written", entry)
                .problem(StatusCode::NOT_FOUND, "no such entry", "There is no entry 99 in the ledger.")
                .problem(StatusCode::INTERNAL_SERVER_ERROR, unreadable, said),
        ),
        (
            "/api/v1/ledger/verify",
            "get",
            Operation::new("verifyLedger", "ledger", "Whether the ledger is as it was written")
                .answer_as(200, "what was found", "application/json", verified, json!({"verified": {}}))
                .problem(StatusCode::INTERNAL_SERVER_ERROR, unreadable, said),
        ),
    ]
}
