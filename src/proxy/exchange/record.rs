//! What became of a request, in the figures and the access log.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;

use super::fault::Struck;
use super::log::LogLine;
use super::trace::SpanLine;
use crate::plan::{Rpc, Service, Version};
use crate::proxy::caller::{Caller, code_of_failure};
use crate::proxy::client::Client;
use crate::proxy::gate::Ticket;
use crate::proxy::problem::Problem;
use crate::proxy::shadow::Paired;
use crate::proxy::view::Target;
use crate::telemetry::{ArmCell, Began, Failure, Outcome, Shed, Why};
use crate::wire::grpc::{Code, GRPC_MESSAGE, GRPC_STATUS, WebTrailers, header, message_value};

/// One request's record, written exactly once: when the response's last byte was handed to the client's socket, or when
/// it became clear that it never will be.
#[derive(Debug)]
pub(in crate::proxy) struct Record {
    target: Rc<Target>,
    /// When this try began; the access log counts from when the request came.
    started: Instant,
    /// The same, as the version's figures know it.
    began: Began,
    /// What it is once the response was delivered whole.
    outcome: Outcome,
    status_in: StatusIn,
    written: bool,
    log: Option<Box<LogLine>>,
    /// There from when the version's gate let the request in until its response is complete.
    ticket: Option<Box<Ticket>>,
    /// There where a drill strikes it.
    fault: Option<Box<Struck>>,
    /// There where its trace is recorded.
    span: Option<Box<SpanLine>>,
    /// What else it counts in: where requests are measured by the variant of a flag, and where it is one of a control arm.
    arms: [Option<Arc<ArmCell>>; 2],
    /// There where it is copied: its copy is held against what the client gets of this try.
    paired: Option<Rc<Paired>>,
}

/// Where else than in a response's head its gRPC status may be.
#[derive(Debug)]
enum StatusIn {
    /// Nowhere.
    Head,
    /// In its trailers.
    Trailers,
    /// In the last frame of its body. Boxed, as most requests have no use for it.
    Body(Box<WebTrailers>),
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
        Self {
            target: Rc::clone(target),
            started,
            began: target.cell.entered(started),
            outcome,
            status_in: StatusIn::Head,
            written: false,
            log,
            ticket: None,
            fault: None,
            span: None,
            arms: [None, None],
            paired: None,
        }
    }

    /// The request also counts in these cells, as far as there are any. Said once.
    pub(super) fn measured(&mut self, arms: [Option<&Arc<ArmCell>>; 2]) {
        for (place, cell) in self.arms.iter_mut().zip(arms) {
            if let Some(cell) = cell {
                cell.begin(self.began);
                *place = Some(Arc::clone(cell));
            }
        }
    }

    /// It is copied, and its copy is held against what becomes of it.
    pub(super) fn paired(&mut self, paired: Rc<Paired>) {
        self.paired = Some(paired);
    }

    /// Its trace is recorded, if there is a span for that.
    pub(super) fn traced(&mut self, span: Option<Box<SpanLine>>) {
        self.span = span;
    }

    /// A drill strikes the request.
    pub(super) fn struck(&mut self, fault: Box<Struck>) {
        if let Some(log) = &mut self.log {
            log.fault(&fault.name);
        }
        if let Some(span) = &mut self.span {
            span.fault(&fault.name);
        }
        self.fault = Some(fault);
    }

    /// The fault of a drill it is under.
    pub(super) fn fault(&self) -> Option<&Struck> {
        self.fault.as_deref()
    }

    /// The version's gate has let the request in.
    pub(super) fn admitted(&mut self, ticket: Ticket) {
        self.ticket = Some(Box::new(ticket));
    }

    /// The version's gate has turned the request away: it counts among what never reached a version.
    pub(super) fn turned_away(mut self, shed: Shed, problem: &Problem, caller: &Caller) {
        self.written = true;
        self.target.cell.left(self.began);
        self.target.cell.shed(shed);
        self.unrouted(problem, caller);
    }

    fn unrouted(&mut self, problem: &Problem, caller: &Caller) {
        for cell in self.arms.iter().flatten() {
            cell.turned_away(self.began);
        }
        let status = caller.status(problem);
        if let Some(log) = self.log.take() {
            log.unrouted(status, problem.kind);
        }
        if let Some(span) = self.span.take() {
            span.unrouted(status, problem.kind);
        }
    }

    /// It never reaches its version, and serin says so.
    pub(super) fn refused(mut self, problem: &Problem, caller: &Caller) {
        self.written = true;
        self.target.cell.left(self.began);
        self.unrouted(problem, caller);
    }

    /// Its log line goes on with the next try.
    pub(super) fn take_log(&mut self) -> Option<Box<LogLine>> {
        self.log.take()
    }

    /// Its span goes on with the next try.
    pub(super) fn take_span(&mut self) -> Option<Box<SpanLine>> {
        self.span.take()
    }

    /// The next try begins now, after a wait perhaps.
    pub(super) fn sent_again(&mut self, service: &Service, version: &Version, now: Instant) {
        self.started = now;
        self.target.cell.left(self.began);
        let before = std::mem::replace(&mut self.began, self.target.cell.entered(now));
        for cell in self.arms.iter().flatten() {
            cell.begin_again(before, self.began);
        }
        if let Some(log) = &mut self.log {
            log.sent_again(service, version);
        }
        if let Some(span) = &mut self.span {
            span.sent_again(service, version);
        }
    }

    /// This try is over, and the client gets another one's answer.
    pub(super) fn give_up(&mut self, now: Instant) {
        self.write(self.outcome, now);
    }

    /// The response's head has come.
    pub(super) fn head<B>(&mut self, response: &Response<B>, caller: &Caller, now: Instant) {
        let nanos = nanos_between(self.started, now);
        self.target.cell.first_byte(nanos);
        if let Some(ticket) = &mut self.ticket {
            ticket.answered(!response.status().is_server_error());
        }
        let rpc = Rpc::of(response.headers());
        self.status_in = match rpc {
            None => StatusIn::Head,
            Some(Rpc::Grpc) => StatusIn::Trailers,
            Some(web) => StatusIn::Body(Box::new(WebTrailers::new(web == Rpc::WebText))),
        };
        self.outcome = if rpc.is_some() || caller.rpc().is_some() {
            grpc_outcome(response.headers()).unwrap_or(Outcome::Grpc(Code::of_http(response.status()) as u8))
        } else {
            Outcome::of_status(response.status().as_u16())
        };
        if let Some(log) = &mut self.log {
            log.head(response.status(), now);
        }
        if let Some(span) = &mut self.span {
            span.head(response.status(), now);
        }
    }

    /// The response's trailers have come.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if matches!(self.status_in, StatusIn::Trailers)
            && let Some(outcome) = grpc_outcome(trailers)
        {
            self.outcome = outcome;
        }
    }

    /// A piece of the response's body is passed on.
    pub(super) fn sent(&mut self, data: &[u8]) {
        if let StatusIn::Body(trailers) = &mut self.status_in {
            trailers.read(data);
            if let Some(status) = trailers.status() {
                self.outcome = Outcome::Grpc(status);
            }
        }
        if let Some(log) = &mut self.log {
            log.sent(data.len());
        }
    }

    /// What ends a response that broke off, where its protocol has words for that.
    pub(super) fn last_words(&self, failure: Failure, client: &Client) -> Option<Frame<Bytes>> {
        let detail = Problem::failed(failure).detail;
        let code = code_of_failure(failure);
        match &self.status_in {
            StatusIn::Trailers if client.is_h2.get() => {
                let fields = [(GRPC_STATUS, code.value()), (GRPC_MESSAGE, message_value(detail))];
                Some(Frame::trailers(fields.into_iter().collect()))
            }
            StatusIn::Body(trailers) => trailers.closing(code, detail).map(Frame::data),
            StatusIn::Head | StatusIn::Trailers => None,
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
        let now = Instant::now();
        if let Some(log) = &mut self.log {
            log.head(status, now);
        }
        if let Some(span) = &mut self.span {
            span.head(status, now);
        }
    }

    /// The response is complete; over HTTP/1 its last bytes are still on their way.
    pub(super) fn complete(&mut self, client: &Client) {
        self.ticket = None;
        if client.is_h2.get() {
            let now = Instant::now();
            client.active_at.set(now);
            self.delivered(now);
        }
    }

    /// The response's last byte was handed to the client's socket.
    pub(super) fn delivered(&mut self, now: Instant) {
        self.write(self.outcome, now);
    }

    fn write(&mut self, outcome: Outcome, now: Instant) {
        self.written = true;
        let nanos = nanos_between(self.started, now);
        self.target.cell.left(self.began);
        self.target.cell.end(outcome, nanos);
        for cell in self.arms.iter().flatten() {
            cell.end(self.began, outcome, nanos);
        }
        if let Some(paired) = &self.paired {
            paired.answered(outcome, now);
        }
        if let Some(log) = self.log.take() {
            log.write(outcome.label(), now);
        }
        if let Some(span) = self.span.take() {
            span.finish(outcome, now);
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

/// gRPC's code for a service that cannot be reached.
const UNAVAILABLE: Outcome = Outcome::Grpc(Code::Unavailable as u8);

/// Whether an answer's head says that the call was not taken up: a trailers-only UNAVAILABLE
/// (gRPC proposal A6, which lets such a call be sent again whatever it does).
pub(super) fn is_grpc_unavailable(headers: &HeaderMap) -> bool {
    Rpc::of(headers).is_some() && grpc_outcome(headers) == Some(UNAVAILABLE)
}

fn grpc_outcome(headers: &HeaderMap) -> Option<Outcome> {
    let status = header(headers, &GRPC_STATUS)?;
    Some(Outcome::Grpc(Code::parse(status.as_bytes()).unwrap_or(Code::Unknown as u8)))
}

/// Nanoseconds from `start` to `end`; 0 where they are out of order.
pub(super) fn nanos_between(start: Instant, end: Instant) -> u64 {
    u64::try_from(end.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}
