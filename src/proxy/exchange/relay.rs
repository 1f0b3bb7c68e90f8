//! A response's body on its way to the client, with the upstream connection that brings it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::fault::SlowBody;
use super::{Busy, Record, TimeLimit};
use crate::proxy::shadow::Capture;
use crate::telemetry::Failure;
use crate::upstream::{BodyFault, Lease, clean_trailers};

/// Why a response that had begun could not be finished. The client's connection is closed, or its stream reset, so that
/// it cannot take what it got for the whole.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum BrokenOff {
    #[error("the upstream's response ended early")]
    Truncated,
    #[error("the upstream took too long")]
    TimedOut,
    #[error("a drill cuts it off")]
    Drill,
}

/// A response's body.
#[derive(Debug)]
pub(in crate::proxy) enum RelayBody {
    /// serin's own words, or none.
    Own(Option<Bytes>),
    /// What the upstream sends.
    Relayed(Box<Relay>),
    /// None: the connection or stream is reset in its place.
    Reset,
}

/// The connection is ridden by the body: whoever polls the one moves the other, and dropping the one drops the other.
#[derive(Debug)]
pub(in crate::proxy) struct Relay {
    /// Until the response is complete.
    ending: Option<Ending>,
    limit: TimeLimit,
    /// Something came since the limit was told of it.
    moved: bool,
    /// There where a drill makes the body slow.
    slow: Option<Box<SlowBody>>,
    /// There where the answer is compared with a copy's.
    capture: Option<Box<Capture>>,
}

#[derive(Debug)]
struct Ending {
    lease: Lease,
    record: Record,
    busy: Busy,
}

impl RelayBody {
    /// Passes on what the upstream sends. A body that has ended already is completed on the spot.
    pub(super) fn relay(
        lease: Lease,
        record: Record,
        limit: TimeLimit,
        busy: Busy,
        capture: Option<Box<Capture>>,
    ) -> Self {
        let is_over = lease.is_end_stream();
        let mut relay =
            Relay { ending: Some(Ending { lease, record, busy }), limit, moved: false, slow: None, capture };
        if is_over {
            relay.complete();
            return Self::Own(None);
        }
        Self::Relayed(Box::new(relay))
    }

    /// The same, slowed down where a drill wants that.
    pub(super) fn slowed(mut self, slow: Option<Box<SlowBody>>) -> Self {
        if let Self::Relayed(relay) = &mut self {
            relay.slow = slow;
        }
        self
    }

    /// serin's own answer. `record`: where a version was to answer.
    pub(super) fn own(body: String, record: Option<Record>, busy: &Busy) -> Self {
        match record {
            Some(record) => record.complete(&busy.0),
            None => busy.0.active_at.set(Instant::now()),
        }
        Self::Own((!body.is_empty()).then(|| body.into()))
    }
}

impl RelayBody {
    /// Goes on with the request while nothing of the response is wanted.
    pub(in crate::proxy) fn poll_ask(&mut self, cx: &mut Context<'_>) {
        if let Self::Relayed(relay) = self
            && let Some(ending) = &mut relay.ending
        {
            ending.lease.poll_ask(cx);
        }
    }
}

impl Relay {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(ending) = &mut self.ending else { return Poll::Ready(None) };
        let frame = match &mut self.slow {
            None => ending.lease.poll_frame(cx),
            Some(slow) => slow.poll_frame(&mut ending.lease, cx),
        };
        match frame {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(self.pass(frame)))),
            Poll::Ready(Some(Err(_))) => {
                let failure = match self.limit.body_fault() {
                    Some(BodyFault::TooLarge) => Failure::BodyTooLarge,
                    Some(BodyFault::Broken) => Failure::ClientGone,
                    None => Failure::Truncated,
                };
                Poll::Ready(Some(self.break_off(failure, BrokenOff::Truncated)))
            }
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Pending => {
                // Once for all that came at one time, and not at all where that was the rest.
                if std::mem::take(&mut self.moved) {
                    self.limit.progressed(Instant::now());
                }
                if !self.limit.poll_passed(cx) {
                    return Poll::Pending;
                }
                Poll::Ready(Some(self.break_off(Failure::Timeout, BrokenOff::TimedOut)))
            }
        }
    }

    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(ending) = &mut self.ending else { return frame };
        let frame = match frame.into_data() {
            Ok(data) => {
                ending.record.sent(&data);
                if let Some(capture) = &mut self.capture {
                    capture.data(&data);
                }
                Frame::data(data)
            }
            Err(other) => match other.into_trailers() {
                Ok(trailers) => {
                    let trailers = clean_trailers(trailers);
                    ending.record.trailers(&trailers);
                    if let Some(capture) = &mut self.capture {
                        capture.trailers(&trailers);
                    }
                    Frame::trailers(trailers)
                }
                Err(other) => other,
            },
        };
        let held = self.slow.as_ref().is_some_and(|slow| slow.held() > 0);
        if frame.is_trailers() || (ending.lease.is_end_stream() && !held) {
            self.complete();
        } else {
            self.moved = true;
        }
        frame
    }

    fn complete(&mut self) {
        if let Some(Ending { lease, record, busy }) = self.ending.take() {
            lease.finish();
            record.complete(&busy.0);
            if let Some(capture) = self.capture.take() {
                capture.finish();
            }
        }
    }

    /// Dropping what is left closes the upstream connection and writes the record. A gRPC caller can be told how its call
    /// ended, unless more bytes were promised than came.
    fn break_off(&mut self, failure: Failure, why: BrokenOff) -> Result<Frame<Bytes>, BrokenOff> {
        let Some(mut ending) = self.ending.take() else { return Err(why) };
        ending.record.fail(failure);
        let is_promised = ending.lease.size_hint().exact().is_some();
        let last = if is_promised { None } else { ending.record.last_words(failure, &ending.busy.0) };
        ending.lease.failed(failure);
        last.ok_or(why)
    }
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Own(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Relayed(relay) => relay.poll_frame(cx),
            Self::Reset => Poll::Ready(Some(Err(BrokenOff::Drill))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_none(),
            Self::Relayed(relay) => relay.ending.is_none(),
            Self::Reset => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Relayed(relay) => {
                relay.ending.as_ref().map_or(SizeHint::with_exact(0), |ending| ending.lease.size_hint())
            }
            Self::Reset => SizeHint::default(),
        }
    }
}
