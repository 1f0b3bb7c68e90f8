//! What became of a request, in the figures and the access log.

use std::rc::Rc;
use std::time::Instant;

use http::{HeaderMap, Response};

use super::headers::is_grpc;
use super::log::LogLine;
use crate::plan::{Service, Version};
use crate::proxy::client::Client;
use crate::proxy::gate::Ticket;
use crate::proxy::problem::Problem;
use crate::proxy::view::Target;
use crate::telemetry::{Failure, Outcome, Shed, Why};

const GRPC_STATUS: &str = "grpc-status";

/// One request's record, written exactly once: when the response's last byte was handed to the client's socket, or when
/// it became clear that it never will be.
#[derive(Debug)]
pub(in crate::proxy) struct Record {
    target: Rc<Target>,
    /// When this try began; the access log counts from when the request came.
    started: Instant,
    /// What it is once the response was delivered whole.
    outcome: Outcome,
    is_grpc: bool,
    written: bool,
    log: Option<Box<LogLine>>,
    /// There from when the version's gate let the request in until its response is complete.
    ticket: Option<Box<Ticket>>,
}

impl Record {
    /// A version was picked for a request that came at `started`.
    pub(super) fn begin(target: &Rc<Target>, started: Instant, why: Why, log: Option<Box<LogLine>>) -> Self {
        target.cell.begin(why);
        Self::new(target, started, log)
    }

    /// The request goes to `target` now, after another try. `why`: where that is another version.
    pub(super) fn begin_again(target: &Rc<Target>, now: Instant, why: Option<Why>, log: Option<Box<LogLine>>) -> Self {
        match why {
            Some(why) => target.cell.begin(why),
            None => target.cell.begin_again(),
        }
        Self::new(target, now, log)
    }

    fn new(target: &Rc<Target>, started: Instant, log: Option<Box<LogLine>>) -> Self {
        let outcome = Outcome::Failed(Failure::ClientGone);
        Self { target: Rc::clone(target), started, outcome, is_grpc: false, written: false, log, ticket: None }
    }

    /// The version's gate has let the request in.
    pub(super) fn admitted(&mut self, ticket: Ticket) {
        self.ticket = Some(Box::new(ticket));
    }

    /// The version's gate has turned the request away: it counts among what never reached a version.
    pub(super) fn turned_away(mut self, shed: Shed, problem: &Problem) {
        self.written = true;
        self.target.cell.shed(shed);
        if let Some(log) = self.log.take() {
            log.unrouted(problem.status, problem.kind);
        }
    }

    /// Its log line goes on with the next try.
    pub(super) fn take_log(&mut self) -> Option<Box<LogLine>> {
        self.log.take()
    }

    /// The next try begins now, after a wait perhaps.
    pub(super) fn sent_again(&mut self, service: &Service, version: &Version, now: Instant) {
        self.started = now;
        if let Some(log) = &mut self.log {
            log.sent_again(service, version);
        }
    }

    /// This try is over, and the client gets another one's answer.
    pub(super) fn give_up(&mut self, now: Instant) {
        self.write(self.outcome, now);
    }

    /// The response's head has come.
    pub(super) fn head<B>(&mut self, response: &Response<B>, now: Instant) {
        let nanos = nanos_between(self.started, now);
        self.target.cell.first_byte(nanos);
        if let Some(ticket) = &mut self.ticket {
            ticket.answered(!response.status().is_server_error());
        }
        let class = (response.status().as_u16() / 100) as u8;
        self.outcome = Outcome::Status(class);
        self.is_grpc = is_grpc(response.headers());
        if self.is_grpc {
            self.outcome = grpc_outcome(response.headers()).unwrap_or(Outcome::Grpc(GRPC_UNKNOWN));
        }
        if let Some(log) = &mut self.log {
            log.head(response.status(), now);
        }
    }

    /// The response's trailers have come.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if self.is_grpc
            && let Some(outcome) = grpc_outcome(trailers)
        {
            self.outcome = outcome;
        }
    }

    /// So many bytes of the response's body were passed on.
    pub(super) fn sent(&mut self, bytes: usize) {
        if let Some(log) = &mut self.log {
            log.sent(bytes);
        }
    }

    /// It failed, whatever else is still sent.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.outcome = Outcome::Failed(failure);
        // The client's doing is not the upstream's, and the pool has counted every address it could not connect to.
        let counted = matches!(failure, Failure::Connect | Failure::ConnectTimeout);
        if !counted && !matches!(failure, Failure::ClientGone | Failure::BodyTooLarge) {
            self.target.cell.upstream_failure(failure);
        }
    }

    /// serin answers in the version's place.
    pub(super) fn answered(&mut self, status: http::StatusCode) {
        if let Some(log) = &mut self.log {
            log.head(status, Instant::now());
        }
    }

    /// The response is complete; over HTTP/1 its last bytes are still on their way.
    pub(super) fn complete(mut self, client: &Client) {
        self.ticket = None;
        if client.is_h2.get() {
            let now = Instant::now();
            client.active_at.set(now);
            self.delivered(now);
        } else {
            // A response before it that was not flushed yet goes with the same flush.
            if let Some(before) = client.finishing.replace(Some(self)) {
                before.delivered(Instant::now());
            }
        }
    }

    /// The response's last byte was handed to the client's socket.
    pub(in crate::proxy) fn delivered(mut self, now: Instant) {
        self.write(self.outcome, now);
    }

    fn write(&mut self, outcome: Outcome, now: Instant) {
        self.written = true;
        let nanos = nanos_between(self.started, now);
        self.target.cell.end(outcome, nanos);
        if let Some(log) = self.log.take() {
            log.write(outcome.label(), now);
        }
    }
}

impl Drop for Record {
    /// Nobody will see the end of this response: if nothing else is to blame, the client left.
    fn drop(&mut self) {
        if !self.written {
            let outcome = match self.outcome {
                failed @ Outcome::Failed(_) => failed,
                Outcome::Status(_) | Outcome::Grpc(_) => Outcome::Failed(Failure::ClientGone),
            };
            self.write(outcome, Instant::now());
        }
    }
}

/// gRPC's code for an answer without a status.
const GRPC_UNKNOWN: u8 = 2;
/// gRPC's code for a service that cannot be reached.
const GRPC_UNAVAILABLE: u8 = 14;

/// Whether an answer's head says that the call was not taken up: a trailers-only UNAVAILABLE
/// (gRPC proposal A6, which lets such a call be sent again whatever it does).
pub(super) fn is_grpc_unavailable(headers: &HeaderMap) -> bool {
    is_grpc(headers) && grpc_outcome(headers) == Some(Outcome::Grpc(GRPC_UNAVAILABLE))
}

fn grpc_outcome(headers: &HeaderMap) -> Option<Outcome> {
    let status = headers.get(GRPC_STATUS)?;
    let code = status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(GRPC_UNKNOWN);
    Some(Outcome::Grpc(code))
}

/// Nanoseconds from `start` to `end`; 0 where they are out of order.
pub(super) fn nanos_between(start: Instant, end: Instant) -> u64 {
    u64::try_from(end.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}
