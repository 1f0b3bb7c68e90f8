//! A write to both versions: taken whole, journaled, sent, settled.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Response, request};
use http_body::Body;
use tokio::sync::oneshot;

use super::{Landing, Placed, PlacedWrite, TOO_LARGE, not_journaled};
use crate::migration::journal::{self, Outcome};
use crate::plan::{Matched, Migration, ServiceId, Timeouts, VersionId};
use crate::proxy::exchange::ask::Asked;
use crate::proxy::exchange::forward::Forward;
use crate::proxy::exchange::headers::X_SERIN_VERSION;
use crate::proxy::exchange::{Arrival, RelayBody, TimeLimit, refuse};
use crate::proxy::problem::Problem;
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::{Failure, MigrationCell, Refusal, WriteResult};
use crate::upstream::{BodyFault, BodyWatch, RequestBody};
use crate::wire::Incoming;

/// A write to both versions.
pub(super) struct Writing {
    pub(super) service: ServiceId,
    pub(super) migration: Arc<Migration>,
    pub(super) authoritative: VersionId,
    pub(super) other: VersionId,
    /// What it is about.
    pub(super) key: Arc<str>,
    /// The key against repetition.
    pub(super) idempotency: HeaderValue,
    /// It was made here, so that a version may know nothing of such keys.
    pub(super) made: bool,
    /// The client named a host.
    pub(super) names_host: bool,
    pub(super) timeouts: Timeouts,
    pub(super) cell: Arc<MigrationCell>,
}

/// A request as it came.
pub(super) struct Asking {
    pub(super) position: usize,
    pub(super) prefix: Option<Box<str>>,
    pub(super) asked: Asked,
    pub(super) parts: request::Parts,
    pub(super) body: Incoming,
    pub(super) arrival: Arrival,
}

/// What is sent, without its body and what frames that.
pub(in crate::proxy::exchange) struct Sent {
    pub(in crate::proxy::exchange) method: Method,
    /// Path and query.
    pub(in crate::proxy::exchange) target: String,
    pub(in crate::proxy::exchange) headers: HeaderMap,
}

/// Answers a write. Once its body is there it goes on by itself, and this only waits for it.
pub(super) async fn run(
    worker: Rc<Worker>,
    view: Rc<View>,
    writing: Box<Writing>,
    asking: Asking,
) -> Response<RelayBody> {
    let Asking { position, prefix, asked, parts, body, arrival } = asking;
    let started = arrival.started;
    let body = match take(&worker, &writing, body, started).await {
        Ok(body) => body,
        Err((result, refusal, detail)) => {
            writing.cell.wrote(result);
            return refuse(&worker, refusal, detail, arrival);
        }
    };
    let landing = Rc::<Landing>::default();
    let own_key = writing.made.then(|| (writing.migration.rules.idempotency_key.clone(), writing.idempotency.clone()));
    let placed = Placed {
        version: writing.authoritative,
        compared: None,
        write: Some(PlacedWrite { own_key, landing: Rc::clone(&landing) }),
    };
    let matched = Matched { route: &view.plan.routes.routes()[position], position, prefix: prefix.as_deref() };
    let whole = Incoming::Whole(body.clone());
    let forward = Forward::new(&worker, &view, matched, writing.service, &asked, parts, whole, arrival, Some(placed));
    let (answer, answered) = oneshot::channel();
    let finishing = worker.finish();
    tokio::task::spawn_local(async move {
        carry_out(&worker, &view, &writing, body, forward, &landing, answer, started).await;
        drop(finishing);
    });
    // Dropped only where the task panicked: the client is cut off then, as nobody knows what became of its write.
    answered.await.unwrap_or_else(|_| Response::new(RelayBody::Reset))
}

/// The whole body.
async fn take(
    worker: &Worker,
    writing: &Writing,
    body: Incoming,
    started: Instant,
) -> Result<Bytes, (WriteResult, Refusal, &'static str)> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let watch = Rc::<BodyWatch>::default();
    let limit = TimeLimit::new(worker, writing.timeouts, started, Some(Rc::clone(&watch)));
    let most = writing.migration.rules.max_body as u64;
    let mut body = RequestBody::streamed(body, Some(most), watch);
    let taking = async move {
        let mut taken = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            // Trailers are about a body on its way, and this one has arrived.
            if let Ok(data) = frame?.into_data() {
                taken.extend_from_slice(&data);
            }
        }
        Ok(taken.freeze())
    };
    match limit.apply(pin!(taking)).await {
        Some(Ok(body)) => Ok(body),
        Some(Err(BodyFault::TooLarge)) => Err((WriteResult::TooLarge, Refusal::BodyTooLarge, TOO_LARGE)),
        Some(Err(BodyFault::Broken)) => {
            let detail = "The request body is not well-formed, or did not arrive whole.";
            Err((WriteResult::Broken, Refusal::Malformed, detail))
        }
        None => Err((WriteResult::Broken, Refusal::BodyTimeout, "The request body took too long.")),
    }
}

/// Journals a write, sends it to the authoritative version, and settles it.
#[expect(clippy::too_many_arguments, reason = "all that is known of a write")]
async fn carry_out(
    worker: &Worker,
    view: &View,
    writing: &Writing,
    body: Bytes,
    mut forward: Box<Forward>,
    landing: &Landing,
    mut answer: oneshot::Sender<Response<RelayBody>>,
    started: Instant,
) {
    let refused = |forward: Box<Forward>, problem: &Problem| {
        writing.cell.wrote(WriteResult::NotJournaled);
        forward.refuse(Refusal::Journal, problem)
    };
    let (Some(journal), Some(sent)) = (worker.shared.journal.get(), forward.copy()) else {
        let problem = not_journaled(journal::Refused::NoJournal.label(), "There is no journal for writes.");
        let _ = answer.send(refused(forward, &problem));
        return;
    };
    let begun = tokio::select! {
        biased;
        begun = async {
            let beginning = pin!(journal.begin(journal_entry(view, writing, body, sent)));
            forward.limit().apply(beginning).await
        } => begun,
        // A write that is still waiting is the client's to take back.
        () = answer.closed() => {
            writing.cell.wrote(WriteResult::ClientGone);
            return;
        }
    };
    let ticket = match begun {
        Some(Ok(ticket)) => ticket,
        Some(Err(why)) => {
            let _ = answer.send(refused(forward, &not_journaled(why.label(), detail(why))));
            return;
        }
        None => {
            writing.cell.wrote(WriteResult::NotJournaled);
            let _ = answer.send(forward.fail(Failure::Timeout));
            return;
        }
    };
    if answer.is_closed() {
        writing.cell.wrote(WriteResult::ClientGone);
        ticket.settle(Outcome::Refused);
        return;
    }
    forward.begin_late(writing.timeouts, started);
    let response = forward.run().await;
    let outcome = landing.outcome();
    ticket.settle(outcome);
    writing.cell.wrote(match outcome {
        Outcome::Applied => WriteResult::Applied,
        Outcome::Refused => WriteResult::Refused,
        Outcome::Unknown => WriteResult::Unknown,
    });
    // Where the client has left, dropping the answer ends the exchange.
    let _ = answer.send(response);
}

/// The write as the other version is to get it.
fn journal_entry(view: &View, writing: &Writing, body: Bytes, sent: Sent) -> journal::Write {
    let Sent { method, target, mut headers } = sent;
    let service = view.plan.service(writing.service);
    let (authoritative, other) = (service.version(writing.authoritative), service.version(writing.other));
    if !writing.names_host {
        headers.remove(http::header::HOST);
    }
    headers.insert(X_SERIN_VERSION, other.header.clone());
    journal::Write {
        service: Arc::clone(&service.name),
        key: Arc::clone(&writing.key),
        method,
        target,
        headers,
        body,
        idempotency: (writing.migration.rules.idempotency_key.clone(), writing.idempotency.clone()),
        authoritative: Arc::clone(&authoritative.name),
        other: Arc::clone(&other.name),
    }
}

/// A sentence for the client.
fn detail(why: journal::Refused) -> &'static str {
    match why {
        journal::Refused::Busy => "Earlier writes of the same key are not done yet.",
        journal::Refused::Closed => "serin is stopping.",
        journal::Refused::NoJournal => "There is no journal for writes.",
        journal::Refused::TooLarge => "The write is larger than the journal takes.",
        journal::Refused::Entries | journal::Refused::Bytes | journal::Refused::Age | journal::Refused::Disk => {
            "The service is under migration, and its journal takes no writes now."
        }
    }
}
