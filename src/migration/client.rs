//! A client for a version's addresses, outside the request path.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::plan::UpstreamSpec;

/// Speaks to versions as their `upstreams` say (HTTP/1.1, HTTP/2, TLS, unix sockets), and keeps connections for the next time.
/// Cloned freely; each runtime has its own.
#[derive(Debug, Clone, Default)]
pub struct Client {}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing of the request was sent.
    #[error("not reached: {0}")]
    NotReached(String),
    /// It was sent, at least in part: it may have been done.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer's body is longer than was asked for.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Client {
    /// Sends a request to one of a version's addresses. Its URI is path and query; `host` among the headers is kept, without one
    /// the address is named. The answer is whole, its body at most `max_body` bytes.
    ///
    /// # Errors
    /// [`Unanswered`], after `limit` at the latest.
    pub async fn send(
        &self,
        _spec: &UpstreamSpec,
        _request: Request<Bytes>,
        _limit: Duration,
        _max_body: usize,
    ) -> Result<Response<Bytes>, Unanswered> {
        todo!()
    }
}
