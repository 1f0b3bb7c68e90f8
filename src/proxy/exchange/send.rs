//! Sending a request to its version and waiting for the response's head.

use std::pin::pin;
use std::rc::Rc;

use http::{Request, Response, Version as HttpVersion, header, request};

use super::TimeLimit;
use super::glance::Glance;
use super::headers::is_grpc;
use crate::plan::{Protocol, Version};
use crate::proxy::view::Target;
use crate::proxy::worker::Worker;
use crate::telemetry::Failure;
use crate::upstream::{BodyFault, BodyWatch, Lease, RequestBody};
use crate::wire::Incoming;

/// Connections tried for one request that was never sent on any of them.
const CONNECTIONS_TRIED: u32 = 3;

/// Whether a request goes over HTTP/2 to its version.
pub(super) fn speaks_h2(version: &Version, parts: &request::Parts, client_is_h2: bool, upgrades: bool) -> bool {
    match version.upstream.protocol {
        Protocol::H2 => !upgrades,
        Protocol::Http1 => false,
        Protocol::Auto => client_is_h2 && is_grpc(&parts.headers),
    }
}

/// A request on its way to its version.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Until it was sent.
    request: Option<Request<RequestBody>>,
    /// There where the request has a body.
    watch: Option<Rc<BodyWatch>>,
    /// It may be sent a second time.
    replayable: bool,
    h2: bool,
}

impl Outgoing {
    /// Joins head and body. A body the client holds back until it is asked for is held back until the upstream asks for
    /// it.
    pub(super) fn new(
        parts: request::Parts,
        body: Incoming,
        watch: Option<Rc<BodyWatch>>,
        body_limit: Option<u64>,
        glance: Glance,
    ) -> Self {
        let h2 = parts.version == HttpVersion::HTTP_2;
        let replayable = watch.is_none() && parts.method.is_idempotent();
        let request = match &watch {
            None => Request::from_parts(parts, RequestBody::default()),
            Some(watch) => {
                let body = RequestBody::streamed(body, body_limit, Rc::clone(watch));
                if glance.expect && !h2 { held_back(parts, body) } else { Request::from_parts(parts, body) }
            }
        };
        Self { request: Some(request), watch, replayable, h2 }
    }

    /// Its body, where it has one.
    pub(super) fn watch(&self) -> Option<Rc<BodyWatch>> {
        self.watch.clone()
    }

    /// It has a body of which nothing was taken from the client.
    pub(super) fn is_body_unread(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| !watch.has_started())
    }

    /// Sends it; gives the response's head and the connection its body comes on.
    pub(super) async fn send(
        &mut self,
        worker: &Worker,
        target: &Target,
        limit: &TimeLimit,
    ) -> Result<(Response<()>, Lease), Failure> {
        let sent = {
            let sending = pin!(self.try_connections(worker, target));
            limit.apply(sending).await
        };
        match sent {
            Some(Ok(sent)) => Ok(sent),
            Some(Err(failure)) => Err(match self.watch.as_ref().and_then(|watch| watch.fault()) {
                Some(BodyFault::TooLarge) => Failure::BodyTooLarge,
                Some(BodyFault::Broken) => Failure::ClientGone,
                None => failure,
            }),
            None => Err(Failure::Timeout),
        }
    }

    async fn try_connections(&mut self, worker: &Worker, target: &Target) -> Result<(Response<()>, Lease), Failure> {
        let mut tried = 0;
        loop {
            let mut lease = target.pool.lease(&worker.rng, self.h2).await?;
            tried += 1;
            match lease.send(&mut self.request, self.replayable).await {
                Ok(response) => return Ok((response, lease)),
                Err(_) if self.request.is_some() && tried < CONNECTIONS_TRIED => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

fn held_back(parts: request::Parts, body: RequestBody) -> Request<RequestBody> {
    let expects = parts.headers.get(header::EXPECT).is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if !expects {
        return Request::from_parts(parts, body);
    }
    Request::from_parts(parts, body.after_continue())
}
