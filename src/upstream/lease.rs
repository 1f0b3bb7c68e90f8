//! A connection in use by one request.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::address::Endpoint;
use super::body::RequestBody;
use super::h1::{H1, Upgraded};
use super::h2::{H2, StreamCount};
use super::pool::Pool;
use crate::telemetry::Failure;

/// One request's hold on a connection. Dropping it before the response is over closes the connection (HTTP/1.1) or
/// resets the stream (HTTP/2).
#[derive(Debug)]
pub struct Lease {
    connection: Option<Connection>,
    endpoint: Rc<Endpoint>,
    pool: Rc<Pool>,
}

#[derive(Debug)]
enum Connection {
    H1(Box<H1>),
    H2(H2, #[expect(dead_code, reason = "counts the stream while it lives")] StreamCount),
}

impl Lease {
    pub(super) fn h1(connection: Box<H1>, endpoint: Rc<Endpoint>, pool: Rc<Pool>) -> Self {
        Self::new(Connection::H1(connection), endpoint, pool)
    }

    pub(super) fn h2(connection: H2, endpoint: Rc<Endpoint>, pool: Rc<Pool>) -> Self {
        let stream = connection.count();
        Self::new(Connection::H2(connection, stream), endpoint, pool)
    }

    fn new(connection: Connection, endpoint: Rc<Endpoint>, pool: Rc<Pool>) -> Self {
        endpoint.pending.set(endpoint.pending.get() + 1);
        Self { connection: Some(connection), endpoint, pool }
    }

    /// Takes the request out of `request`, sends it and waits for the response's head. `replayable`: it has no body and
    /// its method is idempotent.
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
    ) -> Result<Response<Incoming>, Failure> {
        // Invariant: the connection is taken only by `finish` and `into_upgraded`, both of which end the lease.
        let sent = match self.connection.as_mut().expect("a lease in use has its connection") {
            Connection::H1(h1) => h1.send(request, replayable).await,
            Connection::H2(h2, _) => h2.send(request).await,
        };
        sent.map_err(|error| self.classify(&error))
    }

    fn classify(&self, error: &hyper::Error) -> Failure {
        let faulty = matches!(&self.connection, Some(Connection::H1(h1)) if h1.is_faulty());
        let answered = matches!(&self.connection, Some(Connection::H1(h1)) if h1.answered());
        if faulty || error.is_parse() || (answered && error.is_incomplete_message()) {
            Failure::Protocol
        } else {
            Failure::Reset
        }
    }

    /// The next frame of the response's body. HTTP/1.1 connections move their bytes by this; HTTP/2 connections move
    /// theirs by themselves.
    pub fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.connection {
            Some(Connection::H1(h1)) => h1.poll_frame(body, cx),
            _ => Pin::new(body).poll_frame(cx),
        }
    }

    /// The response was read to its end: the connection is kept for the next request where it may be.
    pub fn finish(mut self) {
        if let Some(Connection::H1(h1)) = self.connection.take() {
            self.pool.put(&self.endpoint, h1);
        }
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

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.pending.set(self.endpoint.pending.get() - 1);
        if let Some(Connection::H1(_)) = self.connection.take() {
            self.pool.cell.connection_closed();
        }
    }
}
