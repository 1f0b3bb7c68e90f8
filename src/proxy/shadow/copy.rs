//! One copy of a request, sent and read to the end of its answer.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request};

use super::arm::Arm;
use super::capture::Keeping;
use super::paired::Paired;
use crate::diff::Answer;
use crate::plan::Rpc;
use crate::proxy::gate::Ticket;
use crate::proxy::worker::Worker;
use crate::telemetry::{Began, Failure, Outcome, ShadowResult};
use crate::upstream::{Lease, Leasing, RequestBody, Trail, Wish};
use crate::wire::grpc::{Code, GRPC_STATUS, WebTrailers};

/// Connections tried for a copy that was never sent on any of them.
const CONNECTIONS_TRIED: u32 = 3;

/// A copy that is ready to be sent, but for its body.
#[derive(Debug)]
pub(in crate::proxy) struct Copy {
    pub(in crate::proxy) arm: Rc<Arm>,
    pub(in crate::proxy) head: request::Parts,
    /// It is in flight where the version has a gate.
    pub(in crate::proxy) ticket: Option<Ticket>,
}

/// How much of an answer is read and kept, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) timeout: Duration,
    /// Most bytes of an answer's body that are read.
    pub(super) most: usize,
    /// Headers and most bytes of the body that are kept; `None`: nothing is.
    pub(super) keep: Option<(&'a [String], usize)>,
}

/// Why there is no answer.
enum Lost {
    /// This went wrong.
    To(Failure),
    /// It was longer than is read.
    TooLarge,
}

/// A copy in flight, counted whichever way it ends.
struct Flight {
    arm: Rc<Arm>,
    started: Instant,
    began: Began,
    ended: bool,
}

impl Copy {
    /// Sends it with this body and reads the answer to its end; gives what was kept of the answer. `Err`: there is none, and it
    /// is counted why. `paired`: the request as its client sees it, where the copy is held against that.
    pub(super) async fn send(
        self,
        worker: &Worker,
        body: Bytes,
        patience: Patience<'_>,
        paired: Option<&Paired>,
    ) -> Result<Option<Answer>, ShadowResult> {
        let flight = Flight::begin(Rc::clone(&self.arm));
        if let Some(paired) = paired {
            paired.copy_began(flight.began);
        }
        let trail = Trail::default();
        let sent = tokio::time::timeout(patience.timeout, self.exchange(worker, body, patience, &trail)).await;
        match sent {
            Ok(Ok((outcome, answer))) => {
                flight.end(Some(outcome), ShadowResult::Answered);
                Ok(answer)
            }
            Ok(Err(Lost::TooLarge)) => Err(flight.end(None, ShadowResult::AnswerTooLarge)),
            Ok(Err(Lost::To(failure))) => Err(flight.end(Some(Outcome::Failed(failure)), ShadowResult::Failed)),
            Err(_) => Err(flight.end(Some(Outcome::Failed(Failure::Timeout)), ShadowResult::Timeout)),
        }
    }

    async fn exchange(
        self,
        worker: &Worker,
        body: Bytes,
        patience: Patience<'_>,
        trail: &Trail,
    ) -> Result<(Outcome, Option<Answer>), Lost> {
        let Self { arm, head, mut ticket } = self;
        let (h2, rpc) = (head.version == http::Version::HTTP_2, Rpc::of_request(&head));
        let replayable = body.is_empty() && head.method.is_idempotent();
        let mut request = Some(Request::from_parts(head, RequestBody::taken(body)));
        let mut tried = 0;
        let (wish, mut response) = (Wish::default(), None);
        let mut lease = loop {
            let mut lease = match arm.pool.lease(&worker.rng, h2, &wish, trail) {
                Leasing::Kept(lease) => lease,
                Leasing::Awaited(opening) => opening.await.map_err(Lost::To)?,
            };
            tried += 1;
            match lease.send(&mut request, replayable, &mut response).await {
                Ok(()) => break lease,
                Err(_) if request.is_some() && tried < CONNECTIONS_TRIED => {}
                Err(failure) => return Err(Lost::To(failure)),
            }
        };
        let Some(response) = response.filter(|response| response.status() != StatusCode::SWITCHING_PROTOCOLS) else {
            // Nobody asked for that.
            return Err(Lost::To(Failure::Protocol));
        };
        if let Some(ticket) = &mut ticket {
            ticket.answered(!response.status().is_server_error());
        }
        let mut reading = Reading::begin(&response, rpc, patience);
        reading.finish(&mut lease).await?;
        lease.finish();
        Ok((reading.outcome, reading.keeping.map(Keeping::finish)))
    }
}

/// An answer while it is read.
struct Reading {
    outcome: Outcome,
    keeping: Option<Keeping>,
    /// Bytes that may still come.
    left: usize,
    /// There where the gRPC status is the last frame of the body.
    web: Option<WebTrailers>,
}

impl Reading {
    fn begin(response: &Response<()>, rpc: Option<Rpc>, patience: Patience<'_>) -> Self {
        let answered = Rpc::of(response.headers());
        let outcome = if rpc.is_some() || answered.is_some() {
            let by_status = || Outcome::Grpc(Code::of_http(response.status()) as u8);
            grpc_outcome(response.headers()).unwrap_or_else(by_status)
        } else {
            Outcome::of_status(response.status().as_u16())
        };
        let web = answered.filter(|rpc| *rpc != Rpc::Grpc).map(|rpc| WebTrailers::new(rpc == Rpc::WebText));
        let keeping = patience.keep.map(|(headers, most)| Keeping::new(response, headers, most));
        Self { outcome, keeping, left: patience.most, web }
    }

    async fn finish(&mut self, lease: &mut Lease) -> Result<(), Lost> {
        if lease.size_hint().lower() > self.left as u64 {
            return Err(Lost::TooLarge);
        }
        while !lease.is_end_stream() {
            let Some(frame) = poll_fn(|cx| lease.poll_frame(cx)).await else { break };
            let frame = frame.map_err(|_| Lost::To(Failure::Truncated))?;
            match frame.into_data() {
                Ok(data) => self.data(&data)?,
                Err(other) => {
                    if let Ok(trailers) = other.into_trailers() {
                        self.trailers(&trailers);
                    }
                }
            }
        }
        Ok(())
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let (Outcome::Grpc(_), Some(outcome)) = (self.outcome, grpc_outcome(trailers)) {
            self.outcome = outcome;
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.trailers(trailers);
        }
    }

    fn data(&mut self, data: &Bytes) -> Result<(), Lost> {
        self.left = self.left.checked_sub(data.len()).ok_or(Lost::TooLarge)?;
        if let Some(keeping) = &mut self.keeping {
            keeping.data(data);
        }
        if let Some(web) = &mut self.web {
            web.read(data);
            if let Some(status) = web.status() {
                self.outcome = Outcome::Grpc(status);
            }
        }
        Ok(())
    }
}

fn grpc_outcome(headers: &HeaderMap) -> Option<Outcome> {
    let status = headers.get(GRPC_STATUS)?;
    Some(Outcome::Grpc(Code::parse(status.as_bytes()).unwrap_or(Code::Unknown as u8)))
}

impl Flight {
    fn begin(arm: Rc<Arm>) -> Self {
        let started = Instant::now();
        arm.cell.begin_again();
        let began = arm.cell.entered(started);
        Self { arm, started, began, ended: false }
    }

    /// `outcome`: `None` where how long it took is not known.
    fn end(mut self, outcome: Option<Outcome>, result: ShadowResult) -> ShadowResult {
        self.count(outcome, result);
        result
    }

    fn count(&mut self, outcome: Option<Outcome>, result: ShadowResult) {
        self.ended = true;
        self.arm.cell.left(self.began);
        match outcome {
            Some(outcome) => {
                let nanos = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.arm.cell.end(outcome, nanos);
            }
            None => self.arm.cell.given_up(),
        }
        self.arm.shared.ended(result);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.ended {
            self.count(None, ShadowResult::Abandoned);
        }
    }
}
