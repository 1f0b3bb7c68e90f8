//! What happens, as server-sent events: what the ledger has after a place that is named, then everything as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http_body::Frame;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};

use super::connection::Peer;
use super::document::{Operation, Operations};
use super::input;
use super::problem::Problem;
use super::serve::{Admin, Phase};
use super::sse::{self, COMMENT, LATER, RETRY};
use super::values::{self, EventText, Name};
use crate::events::{Event, Feed, Id, Kind, Told};
use crate::ledger::{self, MAX_PAGE};
use crate::telemetry::Registry;

/// Most clients that are told at a time.
const STREAMS: usize = 64;
/// How often a client is told that nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest that a client may take nothing.
const TAKING: Duration = Duration::from_secs(10);
/// Pieces on their way to a client, beside what its connection holds.
const PIECES: usize = 16;

/// Clients that are told of what happens.
#[derive(Debug)]
pub struct EventStreams {
    feed: Feed,
    places: Arc<Semaphore>,
}

impl EventStreams {
    /// None yet, of what `feed` is told.
    #[must_use]
    pub fn new(feed: Feed) -> Self {
        Self { feed, places: Arc::new(Semaphore::new(STREAMS)) }
    }
}

/// The route of events.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/events", get(events))
}

/// What may be asked for in the query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only events that concern this service.
    service: Option<Name>,
    /// The id of an event: first come the ledger's entries after it; without it, only what happens from now on.
    #[schemars(with = "Option<EventText>")]
    after: Option<String>,
}

async fn events(
    State(admin): State<Arc<Admin>>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = input::query(asked)?;
    let after = known(asked.after.as_deref(), &headers)?;
    let place = Arc::clone(&admin.events.places).try_acquire_owned().map_err(|_| {
        let detail = format!("{STREAMS} clients are told of events already, and more are not.");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, LATER)
    })?;
    let (pieces, body) = mpsc::channel(PIECES);
    let telling = Telling {
        following: admin.events.feed.follow(),
        begin: admin.events.feed.last(),
        service: asked.service.map(|Name(name)| name),
        pieces,
        taking: TAKING,
        _open: Open::new(Arc::clone(&admin.registry), place),
    };
    let closing = admin.readiness.watch();
    tokio::spawn(async move {
        let figures = Arc::clone(&admin.registry);
        if telling.run(&admin, after, closing).await == Err(Cut::TooSlow) {
            figures.events().stream_dropped();
            // It may be stuck in the middle of a piece, where nothing but this ends it.
            peer.hang_up.notify_one();
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // For nginx and what follows its habits: pieces are to pass as they come.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::new(Pieces(body))).into_response())
}

/// The last event that the client knows. What its connection was lost at is later than what its address names.
fn known(after: Option<&str>, headers: &HeaderMap) -> Result<Option<Id>, Problem> {
    let wrong = |what: &str, why: &str| Problem::new(StatusCode::BAD_REQUEST, format!("`{what}` is {why}."));
    match (headers.get("last-event-id").filter(|id| !id.is_empty()), after) {
        (Some(id), _) => {
            let id = id.to_str().unwrap_or_default();
            values::check::<EventText>("Last-Event-ID", id)?;
            id.parse().map(Some).map_err(|why| wrong("Last-Event-ID", why))
        }
        (None, Some(after)) => {
            values::check::<EventText>("after", after)?;
            after.parse().map(Some).map_err(|why| wrong("after", why))
        }
        (None, None) => Ok(None),
    }
}

/// Why a client is told no more before it leaves.
#[derive(Debug, PartialEq)]
enum Cut {
    /// It has not taken what it was sent, or is too far behind.
    TooSlow,
    /// The ledger cannot be read now; it may be when the client comes again.
    Unreadable,
}

/// Telling one client.
struct Telling {
    following: broadcast::Receiver<Arc<Told>>,
    /// The place of the last event before those that come from `following`, or one of these.
    begin: Id,
    service: Option<String>,
    pieces: mpsc::Sender<Bytes>,
    taking: Duration,
    _open: Open,
}

impl Telling {
    /// Tells the client until it leaves, or serin shuts down.
    async fn run(mut self, admin: &Admin, after: Option<Id>, mut closing: watch::Receiver<Phase>) -> Result<(), Cut> {
        let left = self.pieces.clone();
        tokio::select! {
            biased;
            _ = closing.wait_for(|phase| *phase == Phase::Draining) => Ok(()),
            () = left.closed() => Ok(()),
            ended = self.tell(admin, after) => ended,
        }
    }

    async fn tell(&mut self, admin: &Admin, after: Option<Id>) -> Result<(), Cut> {
        // A place that is yet to come is one of another ledger, before a restart: nothing of this one is known then.
        let after = after.map(|after| if after.entry > self.begin.entry { Id::default() } else { after });
        let from = after.unwrap_or(self.begin);
        // An id without data is remembered by the client, should it lose the connection before the first event.
        self.send(format!("{RETRY}id: {from}\n\n").into()).await?;
        let told = match after {
            Some(after) => self.catch_up(admin, after.entry).await?,
            None => from.entry,
        };
        self.go_on(told).await
    }

    /// Tells of the entries after this one; gives the last of them. Those without an entry are gone.
    async fn catch_up(&mut self, admin: &Admin, after: u64) -> Result<u64, Cut> {
        let mut after = after;
        loop {
            let query =
                ledger::Query { service: self.service.clone(), after: Some(after), limit: MAX_PAGE, rollout: None };
            let page = admin.ledger.read(move |reader| reader.page(&query)).await.map_err(|_| Cut::Unreadable)?;
            for event in page.lines.iter().filter_map(|line| Event::of_entry(line)) {
                let Some(entry) = event.number else { continue };
                after = after.max(entry);
                self.send(piece(Id { entry, since: 0 }, &event)).await?;
            }
            match page.next {
                Some(next) => after = after.max(next),
                None => return Ok(after),
            }
        }
    }

    /// Tells of everything that comes and was not told yet.
    async fn go_on(&mut self, told: u64) -> Result<(), Cut> {
        loop {
            let next = tokio::select! {
                next = self.following.recv() => next,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    self.send(COMMENT).await?;
                    continue;
                }
            };
            match next {
                Ok(next) if self.concerns(&next, told) => self.send(piece(next.id, &next.event)).await?,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Err(Cut::TooSlow),
                // Nobody is left who could tell.
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            }
        }
    }

    fn concerns(&self, next: &Told, told: u64) -> bool {
        let is_new = next.event.number.is_none_or(|number| number > told);
        is_new && self.service.as_ref().is_none_or(|service| next.event.service.as_deref() == Some(service))
    }

    async fn send(&self, piece: Bytes) -> Result<(), Cut> {
        match self.pieces.send_timeout(piece, self.taking).await {
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Cut::TooSlow),
            // One that has left is noticed elsewhere.
            Ok(()) | Err(mpsc::error::SendTimeoutError::Closed(_)) => Ok(()),
        }
    }
}

fn piece(id: Id, event: &Event) -> Bytes {
    sse::event(id, event.kind.word(), &event.json).into()
}

/// One client that is told, counted for as long as this lives.
struct Open {
    registry: Arc<Registry>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(registry: Arc<Registry>, place: OwnedSemaphorePermit) -> Self {
        registry.events().stream_begins();
        Self { registry, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.registry.events().stream_ends();
    }
}

/// The body: pieces as they come.
struct Pieces(mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.get_mut().0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// What the document says of it.
pub(super) fn operations() -> Operations {
    let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("- `{}`: {}", kind.word(), kind.about())).collect();
    let data = json!({"type": "object", "required": ["type", "timestamp", "data"], "properties": {
        "type": {"enum": Kind::WORDS, "description": "the name of the event"},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": {"type": "object", "description": "the entry of the ledger as it is written; of more than 64 KiB only number, time, kind, service, actor, reason and rollout, and `shortened`. For `verdict` the service, the versions `from` and `to`, the `rollout`, what was said `before` and the verdict. For a `drill` without an entry the service, version and fault, whether it `began`, and `until` when."},
    }});
    let about = format!(
        "Server-sent events, each with an id (the number of its entry in the ledger; `42.3` is the third without one after \
         entry 42), a name and one line of JSON. A comment every {} seconds says that nothing \
         happened. They end when the client leaves or is too slow, or serin shuts down. Names:\n\n{}",
        KEEP_ALIVE.as_secs(),
        kinds.join("\n")
    );
    let example = json!({"id": "43", "event": "weights",
        "data": "{\"type\":\"weights\",\"timestamp\":\"2026-11-21T17:58:03.120Z\",\"data\":{\"number\":43}}"});
    vec![(
        "/api/v1/events",
        "get",
        Operation::new("followEvents", "events", "What happens, as server-sent events")
            .about(about)
            .query::<Asked>()
            .header::<EventText>(
                "Last-Event-ID",
                "the same as `after`, as clients send it that have lost their connection; it goes before `after`",
            )
            .answer_as(
                200,
                "events without end",
                "text/event-stream",
                sse::schema(json!({"enum": Kind::WORDS}), data),
                example,
            )
            .problem(
                StatusCode::TOO_MANY_REQUESTS,
                "so many clients are told already, or too many wrong credentials came from there",
                "64 clients are told of events already, and more are not.",
            ),
    )]
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
