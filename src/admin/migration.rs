//! Migrations: how far they are, moves, and the writes that cannot be delivered.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::api::{ServiceName, named, unknown_service};
use super::document::{Operation, Operations};
use super::guard::Caller;
use super::input;
use super::problem::Problem;
use super::serve::Admin;
use super::values::{self, Number, ShareText};
use crate::access::Right;
use crate::control::{Changed, Refused, StageChange};
use crate::ledger::{About, Draft, MAX_REASON, Source, What};
use crate::migration::course::{Course, course};
use crate::migration::gates::{self, Missing};
use crate::migration::journal::{DeadLetter, Journal, Status};
use crate::migration::reconcile::ConsistencyView;
use crate::plan::{Progress, Service, Share, Side, Stage};
use crate::telemetry::WriteResult;

/// Most dead letters of one answer.
const DEAD_LETTERS: usize = 100;

/// The routes of migrations.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/services/{service}/migration", get(show).put(change))
        .route("/api/v1/services/{service}/migration/deadLetters", get(dead_letters).post(settle))
}

/// How far a migration is, and what its journal holds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationView {
    /// The service.
    pub service: String,
    /// off, dualWrite, shadow, live, rampDown or complete.
    pub stage: String,
    /// The share of keys that are in the stage, such as `10%`; all others are in the one before.
    pub share: String,
    /// The version whose data is there at the beginning.
    pub from: String,
    /// The version whose data is there in the end.
    pub to: String,
    /// Whose answers clients get in the stage, and who is written to first.
    pub authoritative: String,
    /// Who is written to after that; nothing where nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_writes: Option<String>,
    /// Whether reads go to both, to be compared.
    pub compares: bool,
    /// The stage after this one; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What its plan makes of it; nothing where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanView>,
    /// What is missing before the next step, in numbers: nothing where it may be taken.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// What is shown of whether both versions say the same; nothing where nobody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<ConsistencyView>,
    /// The journal of writes to both.
    pub journal: JournalView,
    /// Writes since the start, by what became of them at the authoritative version.
    pub writes: BTreeMap<String, u64>,
    /// The entry of the ledger that says so; only in the answer to a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

/// What the plan of a migration makes of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// Somebody moved the migration by hand: the plan waits until they let it go on.
    pub paused: bool,
    /// Where it goes next, such as `live for 10%`; nothing at its end, and where the migration is at none of its steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What it waits for.
    pub missing: Vec<Missing>,
}

/// What the journal of a service holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalView {
    /// All writes in it.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Those that wait for the disk or for their turn.
    pub waiting: usize,
    /// Those sent to the authoritative version and not settled.
    pub in_flight: usize,
    /// Those to be delivered to the other version.
    pub pending: usize,
    /// Those of which nobody knows whether the authoritative version has done them.
    pub uncertain: usize,
    /// Those tried in vain; each stops its key.
    pub dead_letters: usize,
    /// Seconds since the oldest of them was journaled that is still tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<f64>,
    /// Keys to be reconciled.
    pub to_reconcile: usize,
    /// There were more of them than are listed: every key is to be looked at.
    pub all_to_reconcile: bool,
    /// Writes delivered since the start.
    pub delivered: u64,
    /// Tries to deliver that failed since the start.
    pub failed: u64,
    /// Why writes find no room now; nothing where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// It is kept in memory alone: a crash loses what is in it.
    pub in_memory: bool,
}

/// A write that cannot be delivered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterView {
    /// Its number.
    pub number: u64,
    /// What it is about; later writes of this key wait behind it.
    pub key: String,
    /// Its method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The version that does not take it.
    pub version: String,
    /// How often it was tried.
    pub tries: u32,
    /// What the version said the last time.
    pub why: String,
    /// Seconds since it was journaled.
    pub age_seconds: f64,
    /// Later writes that wait behind it.
    pub behind: usize,
}

/// The first writes that cannot be delivered.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLettersView {
    /// At most 100, by number.
    pub dead_letters: Vec<DeadLetterView>,
}

/// What `PUT …/migration` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("if" = { "properties": { "force": { "const": true } }, "required": ["force"] }))]
#[schemars(extend("then" = { "properties": { "reason": { "pattern": "[^ \\t\\n\\r]" } }, "required": ["reason"] }))]
struct Asked {
    /// off, dualWrite, shadow, live, rampDown or complete.
    #[schemars(extend("enum" = Stage::WORDS))]
    stage: String,
    /// The share of keys that are to be in it, such as `10%`; all others are in the one before. Default: 100%.
    #[serde(default)]
    #[schemars(with = "Option<ShareText>")]
    share: Option<String>,
    /// Why, for whoever looks later.
    #[serde(default)]
    #[schemars(length(max = MAX_REASON))]
    reason: String,
    /// Whatever stands in the way; for admins, with a reason.
    #[serde(default)]
    force: bool,
    /// The plan goes on from there; else it waits, as somebody has taken over.
    #[serde(default, rename = "byPlan")]
    by_plan: bool,
}

/// What `POST …/migration/deadLetters` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskedOfLetter {
    /// What is to become of it.
    action: LetterAction,
    /// Which one.
    number: Number<1>,
    /// Why, for whoever looks later.
    #[serde(default)]
    #[schemars(length(max = MAX_REASON))]
    reason: String,
}

/// What can become of a write that cannot be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum LetterAction {
    /// It is tried again.
    Retry,
    /// Its key goes on without it, and is to be reconciled.
    GiveUp,
}

async fn show(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<MigrationView>, Problem> {
    let name = named(name)?;
    Ok(Json(admin.migration(&admin.plan(), &name)?))
}

async fn change(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<MigrationView>, Problem> {
    let name = named(name)?;
    let asked: Asked = input::body(body)?;
    input::check_reason(&asked.reason)?;
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let stage = Stage::named(&asked.stage)
        .ok_or_else(|| bad(format!("`stage` is `{}`; expected one of: {}.", asked.stage, Stage::WORDS.join(", "))))?;
    let share = asked.share.as_deref().map(|share| {
        values::check::<ShareText>("share", share)?;
        crate::config::share(share).map_err(|error| bad(format!("`share` is `{share}`: {error}.")))
    });
    let share = share.transpose()?;
    if asked.force {
        caller.require(Right::Administer, &admin)?;
        if asked.reason.trim().is_empty() {
            return Err(bad("`force` needs a `reason`.".to_owned()));
        }
    }
    let change = StageChange {
        actor: caller.name.to_string(),
        reason: asked.reason,
        service: name.clone(),
        stage,
        share,
        force: asked.force,
        source: if asked.by_plan { Source::Plan } else { Source::Admin },
        about: About::default(),
    };
    let Changed { plan, entry } = admin.control.change_stage(change).await?;
    Ok(Json(MigrationView { entry, ..admin.migration(&plan, &name)? }))
}

async fn dead_letters(State(admin): State<Arc<Admin>>, name: ServiceName) -> Result<Json<DeadLettersView>, Problem> {
    let name = named(name)?;
    migrating(&admin.plan(), &name)?;
    let letters = (admin.journal)().map(|journal| journal.dead_letters(&name, 0, DEAD_LETTERS)).unwrap_or_default();
    Ok(Json(DeadLettersView { dead_letters: letters.iter().map(DeadLetterView::from).collect() }))
}

async fn settle(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    name: ServiceName,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<MigrationView>, Problem> {
    let name = named(name)?;
    let AskedOfLetter { action, number: Number(number), reason } = input::body(body)?;
    input::check_reason(&reason)?;
    let plan = admin.plan();
    migrating(&plan, &name)?;
    let none = || Problem::new(StatusCode::NOT_FOUND, format!("There is no dead letter {number} of `{name}`."));
    let journal: Journal = (admin.journal)().ok_or_else(none)?;
    let after = number.checked_sub(1).ok_or_else(none)?;
    let letter = journal.dead_letters(&name, after, 1).into_iter().find(|letter| letter.number == number);
    let letter = letter.ok_or_else(none)?;
    let event = match action {
        LetterAction::Retry => "deadLetterRetried",
        LetterAction::GiveUp => "deadLetterGivenUp",
    };
    let fields = Map::from_iter([("number".to_owned(), number.into()), ("key".to_owned(), letter.key.as_ref().into())]);
    let what = What::Event { event: event.to_owned(), fields };
    let draft = Draft::new(caller.name.to_string(), reason, what).of_service(&name);
    // Before it happens, as everything that somebody answers for.
    let entry = admin.control.record(draft).await?;
    let done = match action {
        LetterAction::Retry => journal.retry(&name, number),
        LetterAction::GiveUp => journal.give_up(&name, number),
    };
    if !done {
        return Err(none());
    }
    Ok(Json(MigrationView { entry: Some(entry), ..admin.migration(&plan, &name)? }))
}

fn migrating<'a>(plan: &'a crate::plan::Plan, name: &str) -> Result<&'a Arc<Service>, Problem> {
    let (_, service) = plan.service_named(name).ok_or_else(|| unknown_service(name))?;
    if service.migration.is_none() {
        return Err(Refused::NoMigration(name.to_owned()).into());
    }
    Ok(service)
}

impl Admin {
    /// How far the migration of a service is by `plan`.
    fn migration(&self, plan: &crate::plan::Plan, name: &str) -> Result<MigrationView, Problem> {
        let service = migrating(plan, name)?;
        let status = (self.journal)().map(|journal| journal.status(name)).unwrap_or_default();
        let figures = self.registry.snapshot().migrations.into_iter().find(|m| *m.service == *name);
        let writes = WriteResult::ALL.into_iter().map(|result| {
            (result.label().to_owned(), figures.as_ref().map_or(0, |figures| figures.writes[result as usize]))
        });
        let view = MigrationView::new(service, &status, writes.collect());
        let view = view.ok_or_else(|| Problem::from(Refused::NoMigration(name.to_owned())))?;
        let consistency = self.reconciler.consistency(name);
        let (missing, plan) = (self.missing(service).unwrap_or_default(), self.plan_view(service));
        Ok(MigrationView { plan, missing, consistency, ..view })
    }

    /// What its plan makes of it; `None` where it has none.
    fn plan_view(&self, service: &Service) -> Option<PlanView> {
        let checks =
            &service.migration.as_ref().filter(|migration| !migration.rules.checks.steps.is_empty())?.rules.checks;
        let (next, missing) = match course(checks, &self.reconciler.facts(&service.name)?) {
            Course::Nothing => (None, Vec::new()),
            Course::Waits { next, missing } => (Some(next.to_string()), missing),
            Course::Goes(next) => (Some(next.to_string()), Vec::new()),
        };
        Some(PlanView { paused: self.control.is_by_hand(&service.name), next, missing })
    }

    /// What is missing before the next step; `None` where there is none.
    fn missing(&self, service: &Service) -> Option<Vec<Missing>> {
        let of = &service.migration.as_ref()?.rules.checks.gates;
        let facts = self.reconciler.facts(&service.name)?;
        Some(gates::missing(of, &facts, gates::next(facts.progress)?))
    }
}

impl MigrationView {
    fn new(service: &Service, status: &Status, writes: BTreeMap<String, u64>) -> Option<Self> {
        let migration = service.migration.as_ref()?;
        let name = |side: Side| service.version(migration.version(side)).name.to_string();
        let Progress { stage, share } = migration.progress;
        Some(Self {
            service: service.name.to_string(),
            stage: stage.word().to_owned(),
            share: share.to_string(),
            from: name(Side::From),
            to: name(Side::To),
            authoritative: name(stage.authoritative()),
            also_writes: stage.also_writes().map(name),
            compares: migration.compares(),
            next: if share == Share::ALL { stage.after() } else { Some(stage) }.map(|next| next.word().to_owned()),
            plan: None,
            missing: Vec::new(),
            consistency: None,
            journal: status.into(),
            writes,
            entry: None,
        })
    }
}

impl From<&Status> for JournalView {
    fn from(status: &Status) -> Self {
        Self {
            entries: status.entries,
            bytes: status.bytes,
            waiting: status.waiting,
            in_flight: status.in_flight,
            pending: status.pending,
            uncertain: status.uncertain,
            dead_letters: status.dead_letters,
            oldest_seconds: status.oldest.map(|oldest| oldest.as_secs_f64()),
            to_reconcile: status.to_reconcile,
            all_to_reconcile: status.all_to_reconcile,
            delivered: status.delivered,
            failed: status.failed,
            full: status.full.map(|why| why.to_string()),
            in_memory: status.in_memory,
        }
    }
}

impl From<&DeadLetter> for DeadLetterView {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            number: letter.number,
            key: letter.key.to_string(),
            method: letter.method.to_string(),
            target: letter.target.clone(),
            version: letter.other.to_string(),
            tries: letter.tries,
            why: letter.why.to_string(),
            age_seconds: letter.age.as_secs_f64(),
            behind: letter.behind,
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::UnknownService { .. } | Refused::NoMigration(_) => StatusCode::NOT_FOUND,
            Refused::ShuttingDown | Refused::Ledger(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Missing(_) | Refused::UnderMigration(_) => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refused.to_string())
    }
}

/// What the document says of migrations.
pub(super) fn operations() -> Operations {
    let example = json!({"service": "shop", "stage": "shadow", "share": "100%", "from": "old", "to": "new", "authoritative": "old",
        "alsoWrites": "new", "compares": true, "next": "live",
        "missing": [{"gate": "journal", "detail": "12 writes wait to be delivered to new: at most 0 may"}],
        "journal": {"entries": 12, "bytes": 4096, "waiting": 0, "inFlight": 1, "pending": 11, "uncertain": 0,
            "deadLetters": 0, "toReconcile": 0, "allToReconcile": false, "delivered": 2048, "failed": 3, "inMemory": false},
        "writes": {"ok": 2060}});
    let letter = json!({"number": 7, "key": "/orders/31", "method": "PUT", "target": "/orders/31", "version": "new", "tries": 25,
        "why": "status 422", "ageSeconds": 812.5, "behind": 2});
    let none = (StatusCode::NOT_FOUND, "no such service, or it has no migration", "There is no service `ship`.");
    let unwritten =
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down, or the ledger cannot be written", "serin is shutting down");
    vec![
        (
            "/api/v1/services/{service}/migration",
            "get",
            Operation::new("getMigration", "migrations", "How far a migration is")
                .answer::<MigrationView>(200, "its stage, and what its journal holds", example.clone())
                .problem(none.0, none.1, none.2),
        ),
        (
            "/api/v1/services/{service}/migration",
            "put",
            Operation::new("setMigration", "migrations", "Move a migration to another stage")
                .body::<Asked>(json!({"stage": "dualWrite", "share": "10%", "reason": "a tenth of the keys first"}))
                .answer::<MigrationView>(200, "where it is now", example.clone())
                .link(200, "getLedgerEntry", json!({"number": "$response.body#/entry"}))
                .problem(
                    StatusCode::FORBIDDEN,
                    "only admins may force",
                    "alice is operator here; this needs the role admin.",
                )
                .problem(none.0, none.1, none.2)
                .problem(
                    StatusCode::CONFLICT,
                    "something is missing, which the answer says in numbers",
                    "12 writes wait to be delivered to new: at most 0 may",
                )
                .problem(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "no such point of the migration",
                    "there is no stage before `off` that the other keys could be in",
                )
                .problem(unwritten.0, unwritten.1, unwritten.2),
        ),
        (
            "/api/v1/services/{service}/migration/deadLetters",
            "get",
            Operation::new("listDeadLetters", "migrations", "Writes that cannot be delivered")
                .answer::<DeadLettersView>(200, "the first of them", json!({"deadLetters": [letter]}))
                .link(200, "settleDeadLetter", json!({"service": "$request.path.service"}))
                .problem(none.0, none.1, none.2),
        ),
        (
            "/api/v1/services/{service}/migration/deadLetters",
            "post",
            Operation::new("settleDeadLetter", "migrations", "Settle a write that cannot be delivered")
                .body::<AskedOfLetter>(json!({"action": "retry", "number": 7, "reason": "new was mended"}))
                .answer::<MigrationView>(200, "what the journal holds now", example)
                .problem(
                    StatusCode::NOT_FOUND,
                    "no such service, migration or dead letter",
                    "There is no dead letter 7 of `shop`.",
                )
                .problem(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "it cannot be an entry of the ledger",
                    "what belongs to the event is longer than 262144 bytes: 300000",
                )
                .problem(unwritten.0, unwritten.1, unwritten.2),
        ),
    ]
}
