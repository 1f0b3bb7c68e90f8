//! A response's body on its way to the client, with the upstream connection that brings it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::fault::SlowBody;
use super::{Busy, Record, TimeLimit};
use crate::proxy::client::Client;
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
    /// serin's own words, or none. `record`: where a version was to answer.
    Own { body: Option<Bytes>, record: Option<Box<Record>> },
    /// What the upstream sends.
    Relayed(Box<Relay>),
    /// None: the connection or stream is reset in its place.
    Reset,
}

/// What an exchange with a version has until its response is over. All of it stays where it is from the beginning: to move
/// it costs more than to look at it.
///
/// The connection is ridden by the body: whoever polls the one moves the other, and dropping the one drops the other.
#[derive(Debug)]
pub(in crate::proxy) struct Relay {
    /// The connection that the response comes on, until it has come whole.
    pub(super) lease: Option<Lease>,
    pub(super) record: Record,
    pub(super) limit: TimeLimit,
    /// The response has come whole.
    is_over: bool,
    /// Something came since the limit was told of it.
    moved: bool,
    /// There where a drill makes the body slow.
    pub(super) slow: Option<Box<SlowBody>>,
    /// There where the answer is compared with a copy's.
    pub(super) capture: Option<Box<Capture>>,
    pub(super) busy: Busy,
}

impl RelayBody {
    /// Passes on what the upstream sends. A body that has ended already is completed on the spot.
    pub(super) fn relay(mut relay: Box<Relay>) -> Self {
        if relay.lease.as_ref().is_none_or(Lease::is_end_stream) {
            relay.complete();
        }
        Self::Relayed(relay)
    }

    /// serin's own answer. `record`: where a version was to answer.
    pub(super) fn own(body: String, record: Option<Record>, busy: &Busy) -> Self {
        let body = (!body.is_empty()).then(|| body.into());
        let mut record = record.map(Box::new);
        match &mut record {
            Some(record) => record.complete(&busy.0),
            None => busy.0.active_at.set(Instant::now()),
        }
        Self::Own { body, record }
    }

    /// Goes on with the request while nothing of the response is wanted.
    pub(in crate::proxy) fn poll_ask(&mut self, cx: &mut Context<'_>) {
        if let Self::Relayed(relay) = self
            && let Some(lease) = &mut relay.lease
        {
            lease.poll_ask(cx);
        }
    }

    /// Everything written so far has reached the client's socket.
    pub(in crate::proxy) fn delivered(mut self, client: &Client) {
        let record = match &mut self {
            Self::Own { record: Some(record), .. } => record,
            Self::Relayed(relay) if relay.is_over => &mut relay.record,
            _ => return,
        };
        let now = Instant::now();
        client.active_at.set(now);
        record.delivered(now);
    }
}

impl Relay {
    /// Of a request that is not sent yet.
    pub(super) fn new(record: Record, limit: TimeLimit, busy: Busy) -> Box<Self> {
        Box::new(Self { lease: None, record, limit, is_over: false, moved: false, slow: None, capture: None, busy })
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(None) };
        let frame = match &mut self.slow {
            None => lease.poll_frame(cx),
            Some(slow) => slow.poll_frame(lease, cx),
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
        let frame = match frame.into_data() {
            Ok(data) => {
                self.record.sent(&data);
                if let Some(capture) = &mut self.capture {
                    capture.data(&data);
                }
                Frame::data(data)
            }
            Err(other) => match other.into_trailers() {
                Ok(trailers) => {
                    let trailers = clean_trailers(trailers);
                    self.record.trailers(&trailers);
                    if let Some(capture) = &mut self.capture {
                        capture.trailers(&trailers);
                    }
                    Frame::trailers(trailers)
                }
                Err(other) => other,
            },
        };
        let held = self.slow.as_ref().is_some_and(|slow| slow.held() > 0);
        if frame.is_trailers() || (self.lease.as_ref().is_none_or(Lease::is_end_stream) && !held) {
            self.complete();
        } else {
            self.moved = true;
        }
        frame
    }

    fn complete(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.finish();
            self.lease = None;
        }
        self.is_over = true;
        self.record.complete(&self.busy.0);
        if let Some(capture) = self.capture.take() {
            capture.finish();
        }
    }

    /// Dropping what is left closes the upstream connection and writes the record. A gRPC caller can be told how its call
    /// ended, unless more bytes were promised than came.
    fn break_off(&mut self, failure: Failure, why: BrokenOff) -> Result<Frame<Bytes>, BrokenOff> {
        let Some(mut lease) = self.lease.take() else { return Err(why) };
        self.record.fail(failure);
        let is_promised = lease.size_hint().exact().is_some();
        let last = if is_promised { None } else { self.record.last_words(failure, &self.busy.0) };
        lease.failed(failure);
        last.ok_or(why)
    }
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Own { body, .. } => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Relayed(relay) => relay.poll_frame(cx),
            Self::Reset => Poll::Ready(Some(Err(BrokenOff::Drill))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own { body, .. } => body.is_none(),
            Self::Relayed(relay) => relay.lease.is_none(),
            Self::Reset => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own { body, .. } => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Relayed(relay) => relay.lease.as_ref().map_or(SizeHint::with_exact(0), Lease::size_hint),
            Self::Reset => SizeHint::default(),
        }
    }
}
