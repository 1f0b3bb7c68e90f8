//! Connections that are kept for the next time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};

use crate::plan::{Address, UpstreamSpec};

/// Most unused connections that are kept for each address.
const MAX_IDLE: usize = 32;
/// Most addresses for which any are kept; with more, all are closed, as most of them belong to plans of the past.
const MAX_ADDRESSES: usize = 256;

/// Unused connections, by where they go.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<(UpstreamSpec, Address), Vec<Sender>>>);

/// One connection, on which requests can be sent.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing of it was written; here it is back.
    Unsent(Box<Request<Full<Bytes>>>, hyper::Error),
    /// Something of it may have been.
    Sent(hyper::Error),
}

impl Sender {
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        // A connection may need a moment between two requests.
        let ready = match self {
            Self::Http1(sender) => sender.ready().await,
            Self::H2(sender) => sender.ready().await,
        };
        if let Err(error) = ready {
            return Err(Failed::Unsent(Box::new(request), error));
        }
        let sent = match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::H2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut failed| match failed.take_message() {
            Some(request) => Failed::Unsent(Box::new(request), failed.into_error()),
            None => Failed::Sent(failed.into_error()),
        })
    }
}

impl Connections {
    pub(super) fn take(&self, spec: &UpstreamSpec, address: &Address) -> Option<Sender> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = all.get_mut(&(spec.clone(), address.clone()))?;
        match idle.last() {
            // Shared by all who want one.
            Some(Sender::H2(sender)) if !sender.is_closed() => Some(Sender::H2(sender.clone())),
            _ => idle.pop(),
        }
    }

    pub(super) fn keep(&self, spec: &UpstreamSpec, address: &Address, sender: Sender) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_ADDRESSES {
            all.clear();
        }
        let idle = all.entry((spec.clone(), address.clone())).or_default();
        let most = if matches!(sender, Sender::H2(_)) { 1 } else { MAX_IDLE };
        if idle.len() < most {
            idle.push(sender);
        }
    }
}

/// Runs hyper's tasks in the runtime that is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Executor;

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}
