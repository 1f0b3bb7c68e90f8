//! Faults put into requests for drills: the request waits, is answered with an error, is cut off, or gets its answer slowly.
//!
//! Which requests is decided by `plan`; here is what happens to them. All of it counts against the version as if it had
//! failed by itself, for that is what a drill is for, and all of it is marked: in the answer, the figures and the log.

use std::num::NonZeroU64;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Frame;

use super::headers::{X_SERIN_ERROR, X_SERIN_VERSION};
use super::{Busy, Record, RelayBody, TimeLimit};
use crate::plan::{Abort, Service, ServiceId, Strike, VersionId};
use crate::proxy::caller::Caller;
use crate::proxy::deadlines::{Deadline, Deadlines};
use crate::proxy::problem::Problem;
use crate::proxy::retry::Trouble;
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::{ActiveFault, Failure, FaultCell, FaultKind};
use crate::upstream::Lease;
use crate::wire::Broken;
use crate::wire::grpc::Code;

const X_SERIN_FAULT: HeaderName = HeaderName::from_static("x-serin-fault");
/// gRPC's code for a service that cannot be reached.
const GRPC_UNAVAILABLE: u8 = 14;
const DETAIL: &str = "A drill answers in the version's place.";

/// A fault that strikes one request, for as long as that takes.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) name: Arc<str>,
    header: HeaderValue,
    delay: Option<Duration>,
    strike: Option<Strike>,
    active: ActiveFault,
}

/// Why a request under a fault does not reach its version.
#[derive(Debug, Clone, Copy)]
pub(super) enum Blow {
    /// A time limit passed while it waited.
    TimedOut,
    /// It is answered with an error.
    Abort(Abort),
    /// It is cut off.
    Reset,
}

/// Puts a try of a request with these headers under the fault that strikes it, if any does.
pub(super) fn strike(
    record: &mut Record,
    view: &View,
    service: ServiceId,
    version: VersionId,
    headers: &HeaderMap,
    worker: &Worker,
) {
    let cells = view.faults(service);
    if !cells.is_empty()
        && let Some(fault) = choose(view.plan.service(service), version, headers, cells, &mut worker.rng.borrow_mut())
    {
        record.struck(fault);
    }
}

/// `cells` are those of the service's faults, in their order.
fn choose(
    service: &Service,
    version: VersionId,
    headers: &HeaderMap,
    cells: &[Arc<FaultCell>],
    rng: &mut fastrand::Rng,
) -> Option<Box<Struck>> {
    let now = SystemTime::now();
    let mut of_version = service.faults.iter().zip(cells).filter(|(fault, _)| fault.version == version);
    let (fault, cell) = of_version.find(|(fault, _)| fault.strikes(headers, now, rng.u64(..)))?;
    let active = cell.begin(fault.max_concurrent)?;
    Some(Box::new(Struck {
        name: Arc::clone(&fault.name),
        header: fault.header.clone(),
        delay: fault.delay.map(|delay| delay.draw(rng.u64(..))),
        strike: fault.strike,
        active,
    }))
}

impl Struck {
    /// Delays the request; says what then keeps it from its version, if anything does.
    pub(super) async fn fall(&self, limit: &TimeLimit) -> Option<Blow> {
        if let Some(delay) = self.delay {
            self.active.injected(FaultKind::Delay);
            if limit.apply(pin!(tokio::time::sleep(delay))).await.is_none() {
                return Some(Blow::TimedOut);
            }
            limit.progressed(Instant::now());
        }
        match self.strike? {
            Strike::Abort(abort) => {
                self.active.injected(FaultKind::Abort);
                Some(Blow::Abort(abort))
            }
            Strike::Reset => {
                self.active.injected(FaultKind::Reset);
                Some(Blow::Reset)
            }
            Strike::SlowBody(_) => {
                self.active.injected(FaultKind::SlowBody);
                None
            }
        }
    }

    /// What slows the response's body down, if it is to be slow.
    pub(super) fn slow_body(&self, deadlines: &Rc<Deadlines>) -> Option<Box<SlowBody>> {
        match self.strike? {
            Strike::SlowBody(rate) => Some(Box::new(SlowBody::new(rate, deadlines.add()))),
            Strike::Abort(_) | Strike::Reset => None,
        }
    }

    /// The head of the answer to an aborted request, and its body: in the caller's own protocol.
    fn answer(&self, abort: Abort, caller: &Caller, version: HeaderValue) -> (Response<()>, String) {
        let code = Code::of_number(abort.grpc());
        let problem = Problem { status: abort.http(), code, kind: "fault", detail: DETAIL };
        let mut response = Response::new(());
        *response.status_mut() = caller.status(&problem);
        let headers = response.headers_mut();
        caller.describe(&problem, headers);
        headers.insert(X_SERIN_ERROR, problem.kind_header());
        headers.insert(X_SERIN_FAULT, self.header.clone());
        headers.insert(X_SERIN_VERSION, version);
        (response, caller.body(&problem))
    }
}

/// What a blow is to whoever decides whether the request is sent again.
pub(super) fn trouble(blow: Blow, caller: &Caller) -> Trouble {
    match blow {
        Blow::TimedOut => Trouble::Failed(Failure::Timeout),
        Blow::Reset => Trouble::Failed(Failure::Reset),
        Blow::Abort(abort) if caller.rpc().is_some() => {
            Trouble::Answered { status: StatusCode::OK.as_u16(), grpc_unavailable: abort.grpc() == GRPC_UNAVAILABLE }
        }
        Blow::Abort(abort) => Trouble::Answered { status: abort.http().as_u16(), grpc_unavailable: false },
    }
}

/// Counts a blow of which the client gets nothing, because another try follows.
pub(super) fn count(blow: Blow, record: &mut Record, caller: &Caller, version: HeaderValue, now: Instant) {
    match blow {
        Blow::TimedOut => record.fail(Failure::Timeout),
        Blow::Reset => record.fail(Failure::Reset),
        Blow::Abort(abort) => {
            if let Some((head, _)) = record.fault().map(|fault| fault.answer(abort, caller, version)) {
                record.head(&head, caller, now);
            }
        }
    }
}

/// Answers an aborted request. `closes`: what follows on the connection may be the rest of its body.
pub(super) fn abort(
    abort: Abort,
    caller: &Caller,
    version: HeaderValue,
    closes: bool,
    mut record: Record,
    busy: &Busy,
) -> Response<RelayBody> {
    // Invariant: only a request under a fault is aborted, and its record holds the fault.
    let fault = record.fault().expect("an aborted request is under a fault");
    let (mut response, body) = fault.answer(abort, caller, version);
    if closes {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    record.head(&response, caller, Instant::now());
    record.sent(body.as_bytes());
    response.map(|()| RelayBody::own(body, Some(record), busy))
}

/// Cuts a request off: what is given for a response makes its connection or stream end in a reset.
pub(super) fn reset(mut record: Record) -> Response<RelayBody> {
    record.fail(Failure::Reset);
    Response::new(RelayBody::Reset)
}

/// Gives the bytes of a response's body no faster than its rate.
#[derive(Debug)]
pub(super) struct SlowBody {
    rate: NonZeroU64,
    /// Most bytes given at once.
    piece: usize,
    /// What has come from the upstream and was not given yet.
    held: Bytes,
    deadline: Deadline,
    /// When the next piece may be given; `None` until there is one.
    due: Option<Instant>,
    /// When the last piece was due.
    last: Option<Instant>,
}

/// Pieces a second, unless that were less than a byte each: often enough to look like a slow line and not like a pause.
const PIECES: u64 = 20;

impl SlowBody {
    fn new(rate: NonZeroU64, deadline: Deadline) -> Self {
        let piece = usize::try_from((rate.get() / PIECES).max(1)).unwrap_or(usize::MAX);
        Self { rate, piece, held: Bytes::new(), deadline, due: None, last: None }
    }

    /// Bytes that have come and were not given yet.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The next frame that `lease` brings, in pieces and in time.
    pub(super) fn poll_frame(
        &mut self,
        lease: &mut Lease,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.held.is_empty() {
            let Some(frame) = ready!(lease.poll_frame(cx)?) else { return Poll::Ready(None) };
            match frame.into_data() {
                Ok(data) if data.is_empty() => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(data) => self.held = data,
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        let length = self.piece.min(self.held.len());
        let due = *self.due.get_or_insert_with(|| next(self.last, Instant::now(), length, self.rate));
        self.deadline.set(Some(due));
        if !self.deadline.poll_passed(cx) {
            return Poll::Pending;
        }
        (self.last, self.due) = (Some(due), None);
        Poll::Ready(Some(Ok(Frame::data(self.held.split_to(length)))))
    }
}

/// When a piece of `length` bytes may be given, `last` being when the one before it might: what was late a little is made
/// up for, what was not there to give is not.
fn next(last: Option<Instant>, now: Instant, length: usize, rate: NonZeroU64) -> Instant {
    const LATE: Duration = Duration::from_millis(100);
    let from = last.filter(|last| *last + LATE > now).unwrap_or(now);
    from + Duration::from_nanos((length as u64).saturating_mul(1_000_000_000) / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_at_the_rate_whether_or_not_the_last_was_late() {
        let start = Instant::now();
        let rate = NonZeroU64::new(1000).unwrap();
        let ms = Duration::from_millis;
        assert_eq!(next(None, start, 50, rate), start + ms(50));
        assert_eq!(next(Some(start), start + ms(7), 50, rate), start + ms(50), "a little late is made up for");
        assert_eq!(next(Some(start), start + ms(500), 50, rate), start + ms(550), "a pause is not");
    }

    #[test]
    fn a_piece_is_a_twentieth_of_a_second_but_never_nothing() {
        let deadlines = Rc::<Deadlines>::default();
        let piece = |rate| SlowBody::new(NonZeroU64::new(rate).unwrap(), deadlines.add()).piece;
        assert_eq!([1, 19, 20, 10_240].map(piece), [1, 1, 1, 512]);
    }
}
