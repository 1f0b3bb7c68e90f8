//! What open pages are shown: the state of the services, once a second and whenever something changes, as server-sent
//! events.
//!
//! All pages that show the same share one answer, and where answers take long to make they become rarer, so that pages
//! left open cost less than a hundredth of a core whatever the configuration.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http_body::Frame;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::error::Elapsed;

use super::api::unknown_service;
use super::connection::Peer;
use super::document::{Operation, Operations};
use super::input;
use super::problem::Problem;
use super::serve::{Admin, Phase};
use super::sse::{self, LATER};
use super::values::Name;
use crate::telemetry::history::Step;

/// Most pages at a time.
const PAGES: usize = 64;
/// How often a page is told where nothing changes.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(100);
/// An answer is made no sooner than so many times its own cost after the one before …
const COST: u32 = 200;
/// … but for this long at most, as pages are to be live.
const RAREST: Duration = Duration::from_secs(5);
/// Longest that a page may leave unread what it is sent.
const UNREAD: Duration = Duration::from_secs(30);

/// What is shown to open pages.
#[derive(Debug)]
pub struct Live {
    places: Arc<Semaphore>,
    /// By what is shown, all services or one: the last answer.
    made: Mutex<BTreeMap<Option<String>, Made>>,
}

/// An answer, and what it is an answer to.
#[derive(Debug, Clone)]
struct Made {
    at: Instant,
    took: Duration,
    state: Changes,
    event: Bytes,
}

/// Changes when there is something new to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Changes {
    generation: u64,
    entries: u64,
    /// Where rollouts stand.
    rollouts: u64,
    phase: Phase,
}

impl Default for Live {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PAGES)), made: Mutex::default() }
    }
}

/// The route.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/live", get(watch))
}

/// What may be asked for in the query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// This service alone, with its last rows of history.
    service: Option<Name>,
}

async fn watch(
    State(admin): State<Arc<Admin>>,
    Extension(peer): Extension<Arc<Peer>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Asked { service } = input::query(asked)?;
    let service = service.map(|Name(name)| name);
    if let Some(name) = service.as_ref().filter(|name| admin.plan().service_named(name).is_none()) {
        return Err(unknown_service(name));
    }
    let Ok(place) = Arc::clone(&admin.live.places).try_acquire_owned() else {
        let detail = format!("{PAGES} pages are open already, and no more are shown live.");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, LATER));
    };
    let (sender, events) = mpsc::channel(1);
    tokio::spawn(async move {
        if tell(&admin, service, sender).await.is_err() {
            // It may be stuck in the middle of an answer, where nothing but this ends it.
            peer.hang_up.notify_one();
        }
        drop(place);
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // For nginx and what follows its habits: pieces are to pass as they come.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::new(Events(events))).into_response())
}

/// Tells one page until it goes, leaves too much unread, or those who may look are others than before.
///
/// # Errors
/// Where it has left too much unread.
async fn tell(admin: &Admin, service: Option<String>, page: mpsc::Sender<Bytes>) -> Result<(), Elapsed> {
    let access = admin.access.load_full();
    let mut told: Option<Made> = None;
    while Arc::ptr_eq(&access, &admin.access.load()) {
        let due = told.as_ref().is_none_or(|told| {
            let rest = (told.took * COST).clamp(EVERY, RAREST);
            told.at.elapsed() >= rest || told.state != admin.changes()
        });
        if due {
            let Some(made) = admin.made(service.as_deref()) else { return Ok(()) };
            if tokio::time::timeout(UNREAD, page.send(made.event.clone())).await?.is_err() {
                return Ok(());
            }
            told = Some(made);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = page.closed() => return Ok(()),
        }
    }
    Ok(())
}

impl Admin {
    fn changes(&self) -> Changes {
        Changes {
            generation: self.plan().generation,
            entries: self.registry.control().ledger_entries(),
            rollouts: self.control.rollouts_mark(),
            phase: self.readiness.phase(),
        }
    }

    /// What there is to show now, of all services or of one; `None` where that is gone.
    fn made(&self, service: Option<&str>) -> Option<Made> {
        let key = service.map(str::to_owned);
        let state = self.changes();
        let known = |made: &BTreeMap<_, Made>| made.get(&key).cloned();
        let mut all = self.live.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = known(&all)
            && made.state == state
            && made.at.elapsed() + LOOK < EVERY
        {
            return Some(made);
        }
        let begin = Instant::now();
        let data = self.shown(service, state)?;
        let event = format!("event: state\ndata: {data}\n\n").into();
        let made = Made { at: begin, took: begin.elapsed(), state, event };
        // Of services that are gone nobody asks any more.
        all.retain(|_, made| made.at.elapsed() < Duration::from_mins(1));
        all.insert(key, made.clone());
        Some(made)
    }

    fn shown(&self, service: Option<&str>, state: Changes) -> Option<Value> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let phase = match state.phase {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
        };
        let common = json!({ "at": now, "generation": state.generation, "entries": state.entries, "phase": phase });
        let own = match service {
            None => json!({ "services": self.services_view().services }),
            Some(name) => json!({
                "service": self.service_view(name)?,
                // What a page has missed at most since the answer before.
                "rows": self.history(Step::Second, name, now.saturating_sub(5000)),
            }),
        };
        let (Value::Object(mut shown), Value::Object(own)) = (common, own) else { return None };
        shown.extend(own);
        Some(Value::Object(shown))
    }
}

/// The body of one page's stream.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// What the document says of it.
pub(super) fn operations() -> Operations {
    vec![(
        "/api/v1/live",
        "get",
        Operation::new("watchLive", "events", "What open pages are shown, as server-sent events")
            .about(
                "Events named `state`, about once a second and after each change: `at` (milliseconds since 1970), \
                 `generation`, `entries` (written to the ledger since the start), `phase`, and `services` as in \
                 listServices, or `service` as in getService with `rows` as in getHistory. They end when the client leaves, \
                 or those who may look are others than before.",
            )
            .query::<Asked>()
            .answer_as(
                200,
                "events without end",
                "text/event-stream",
                sse::schema(json!({"const": "state"}), json!({"type": "object", "required": ["at", "generation", "entries", "phase"]})),
                json!({"event": "state",
                    "data": "{\"at\":1795283883120,\"generation\":7,\"entries\":42,\"phase\":\"ready\",\"services\":[]}"}),
            )
            .problem(StatusCode::NOT_FOUND, "no such service", "There is no service `ship`.")
            .problem(
                StatusCode::TOO_MANY_REQUESTS,
                "too many pages are open, or too many wrong credentials came from there",
                "64 pages are open already, and no more are shown live.",
            ),
    )]
}
