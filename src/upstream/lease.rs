//! A connection in use by one request.

use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::address::Endpoint;
use super::body::RequestBody;
use super::h1::{Again, H1, Upgraded};
use super::h2::Stream;
use super::pool::Pool;
use crate::telemetry::Failure;
use crate::wire::Broken;
use crate::wire::grpc::{self, GRPC_STATUS};

/// Frames of a response that nobody wants which are read for the sake of its connection.
const FRAMES_DISCARDED: usize = 8;

/// One request's hold on a connection. Dropping it before the response is over closes the connection (HTTP/1.1) or
/// resets the stream (HTTP/2).
#[derive(Debug)]
pub struct Lease {
    connection: Option<Connection>,
    endpoint: Rc<Endpoint>,
    pool: Rc<Pool>,
    /// What the response's head says of the address; until it was told, or something worse was.
    verdict: Option<Verdict>,
}

/// What a response says of the address it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It does its work.
    Well,
    /// It answered, with its own failure.
    Failed,
    /// It cannot do its work: 502, 503, 504, gRPC's `UNAVAILABLE`.
    Unable,
}

/// What a lease is on.
#[derive(Debug)]
pub(super) enum Connection {
    H1(Box<H1>),
    H2(Stream),
}

impl Lease {
    pub(super) fn new(connection: Connection, endpoint: &Rc<Endpoint>, pool: &Rc<Pool>) -> Self {
        endpoint.pending.set(endpoint.pending.get() + 1);
        let (endpoint, pool) = (Rc::clone(endpoint), Rc::clone(pool));
        Self { connection: Some(connection), endpoint, pool, verdict: None }
    }

    /// Takes the request out of `request`, sends it and waits for the response's head. That is put into `head`, where it
    /// can stay: to hand it from future to future costs a copy each time. `replayable`: it has no body and its method is
    /// idempotent.
    ///
    /// # Errors
    /// What to tell the client and the figures, where no response came. If then not a byte of the request was sent, it is
    /// in `request` again and may go elsewhere, whatever its method.
    ///
    /// # Panics
    /// Never: a lease has its connection until it is used up.
    pub async fn send(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        replayable: bool,
        head: &mut Option<Response<()>>,
    ) -> Result<(), Failure> {
        // Invariant: the connection is taken only by `finish` and `into_upgraded`, both of which end the lease.
        let connection = self.connection.as_mut().expect("a lease in use has its connection");
        let over_h2 = matches!(connection, Connection::H2(_));
        match connection {
            Connection::H1(h1) => {
                let limit = self.pool.settings.connect_timeout;
                let again = Again { target: self.endpoint.witness.target(), limit };
                h1.send(request, replayable.then_some(again), head).await?;
            }
            Connection::H2(stream) => stream.send(request, replayable, head).await?,
        }
        match head.as_ref().map(|head| Verdict::of(head.status(), over_h2.then(|| head.headers()))) {
            Some(Verdict::Unable) => self.endpoint.witness.let_down(),
            // It is known to be so only when the response is over.
            verdict => self.verdict = verdict,
        }
        Ok(())
    }

    /// The response broke off, or was given up, for this reason.
    pub fn failed(&mut self, failure: Failure) {
        if self.verdict.take().is_some() {
            self.endpoint.witness.failed(failure);
        }
    }

    /// The next frame of the response's body. The rest of the request's body goes its way meanwhile.
    ///
    /// # Errors
    /// The response ended before it was complete.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = match &mut self.connection {
            Some(Connection::H1(h1)) => h1.poll_frame(cx),
            Some(Connection::H2(stream)) => stream.poll_frame(cx),
            None => Poll::Ready(None),
        };
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && frame.trailers_ref().is_some_and(is_unavailable)
            && self.verdict.take().is_some()
        {
            self.endpoint.witness.let_down();
        }
        frame
    }

    /// Goes on with what is still to be sent of the request, while nobody asks for more of the response.
    pub fn poll_ask(&mut self, cx: &mut Context<'_>) {
        match &mut self.connection {
            Some(Connection::H1(h1)) => h1.poll_ask(cx),
            Some(Connection::H2(stream)) => stream.poll_ask(cx),
            None => {}
        }
    }

    /// Whether nothing of the response's body is still to come.
    #[must_use]
    pub fn is_end_stream(&self) -> bool {
        match &self.connection {
            Some(Connection::H1(h1)) => h1.is_end_stream(),
            Some(Connection::H2(stream)) => stream.is_end_stream(),
            None => true,
        }
    }

    /// What is known of the length of the rest of the response's body.
    #[must_use]
    pub fn size_hint(&self) -> SizeHint {
        match &self.connection {
            Some(Connection::H1(h1)) => h1.size_hint(),
            Some(Connection::H2(stream)) => stream.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }

    /// The address it leads to.
    #[must_use]
    pub fn endpoint(&self) -> &Rc<Endpoint> {
        &self.endpoint
    }

    /// The response is not wanted. Where all of it is there already its connection is kept, else closed.
    pub fn discard(mut self) {
        // Whoever would be woken is gone in a moment.
        let mut no_one = Context::from_waker(Waker::noop());
        for _ in 0..FRAMES_DISCARDED {
            if self.is_end_stream() {
                return self.finish();
            }
            match self.poll_frame(&mut no_one) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None) => return self.finish(),
                Poll::Ready(Some(Err(_))) | Poll::Pending => return,
            }
        }
    }

    /// The response was read to its end: the connection is kept for the next request where it may be.
    pub fn finish(&mut self) {
        if let Some(Connection::H1(_)) = &self.connection
            && let Some(Connection::H1(h1)) = self.connection.take()
        {
            self.pool.put(&self.endpoint, h1);
        }
        self.connection = None;
    }

    /// The raw connection after a 101; `None` over HTTP/2, which has none.
    #[must_use]
    pub fn into_upgraded(mut self) -> Option<Upgraded> {
        match self.connection.take() {
            Some(Connection::H1(h1)) => {
                self.pool.cell.connection_closed();
                Some(h1.into_upgraded())
            }
            _ => None,
        }
    }
}

impl Verdict {
    /// `headers`: where they may be gRPC's, which is over HTTP/2 only.
    fn of(status: StatusCode, headers: Option<&HeaderMap>) -> Self {
        match status.as_u16() {
            502..=504 => Self::Unable,
            500.. => Self::Failed,
            // gRPC's failures without a message are told in the head.
            _ if headers.is_some_and(is_unavailable) => Self::Unable,
            _ => Self::Well,
        }
    }
}

/// Whether gRPC's status is `UNAVAILABLE`.
fn is_unavailable(headers: &HeaderMap) -> bool {
    grpc::header(headers, &GRPC_STATUS).is_some_and(|status| status == "14")
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.pending.set(self.endpoint.pending.get() - 1);
        if let Some(verdict) = self.verdict {
            // Also where the client left before the end: the address had answered.
            self.endpoint.witness.answered(verdict == Verdict::Well);
        }
        if let Some(Connection::H1(_)) = &self.connection {
            self.pool.cell.connection_closed();
        }
        self.connection = None;
        // Over HTTP/2 there is room for one more stream.
        self.endpoint.cap.freed();
    }
}
