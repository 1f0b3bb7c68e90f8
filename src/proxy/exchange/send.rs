//! Sending a request to its version and waiting for the response's head.

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use http::{Request, Response, Version as HttpVersion, header, request};

use super::glance::Glance;
use super::{TimeLimit, migrate};
use crate::plan::{Protocol, Rpc, Version};
use crate::proxy::caller::Caller;
use crate::proxy::view::Target;
use crate::proxy::worker::Worker;
use crate::telemetry::Failure;
use crate::upstream::{BodyFault, BodyWatch, Lease, Leasing, RequestBody, Trail, Wish};
use crate::wire::grpc::{GRPC_TIMEOUT, format_timeout};

/// Connections tried for one request that was never sent on any of them.
const CONNECTIONS_TRIED: u32 = 3;

/// Whether a request goes over HTTP/2 to its version. gRPC needs it; gRPC-Web is made to do without.
pub(super) fn speaks_h2(version: &Version, caller: &Caller, client_is_h2: bool, upgrades: bool) -> bool {
    match version.upstream.protocol {
        Protocol::H2 => !upgrades,
        Protocol::Http1 => false,
        Protocol::Auto => client_is_h2 && caller.rpc() == Some(Rpc::Grpc),
    }
}

/// A request on its way to its version.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one request")]
pub(super) struct Outgoing {
    /// Until it was sent.
    request: Option<Request<RequestBody>>,
    /// There where the request has a body.
    watch: Option<Rc<BodyWatch>>,
    /// It may be sent a second time.
    replayable: bool,
    /// Some of it may have been sent.
    sent: bool,
    h2: bool,
    wish: Wish,
    /// The address it went to last is noted, in case another one is to be tried.
    notes_address: bool,
    trail: Trail,
    /// Its caller says in gRPC's words when it gives up, and the upstream is told how much of that is left.
    tells_time: bool,
}

impl Outgoing {
    /// Joins head and body. A body the client holds back until it is asked for is held back until the upstream asks for
    /// it. `watch`: where there is a body. `notes_address`: the request may be sent again. `tells_time`: the upstream is told how much time
    /// is left, in gRPC's words.
    pub(super) fn new(
        parts: request::Parts,
        body: RequestBody,
        watch: Option<Rc<BodyWatch>>,
        glance: Glance,
        wish: Wish,
        notes_address: bool,
        tells_time: bool,
    ) -> Self {
        let h2 = parts.version == HttpVersion::HTTP_2;
        let replayable = watch.is_none() && parts.method.is_idempotent();
        let request = join(parts, body, watch.as_deref(), glance);
        let trail = Trail::default();
        Self { request: Some(request), watch, replayable, sent: false, h2, wish, notes_address, trail, tells_time }
    }

    /// It is to be sent again, with this head and the body from its beginning.
    pub(super) fn prepare_again(&mut self, parts: request::Parts, body: RequestBody, glance: Glance) {
        self.h2 = parts.version == HttpVersion::HTTP_2;
        self.request = Some(join(parts, body, self.watch.as_deref(), glance));
        self.sent = false;
    }

    /// Not a byte of it was sent.
    pub(super) fn is_unsent(&self) -> bool {
        !self.sent
    }

    /// It goes to another version, where no address has failed it yet.
    pub(super) fn forget_address(&mut self) {
        self.wish.other_than = None;
    }

    /// What is sent, without what frames it; `None` where it was sent already.
    pub(super) fn copy(&self) -> Option<migrate::Sent> {
        let request = self.request.as_ref()?;
        let mut headers = request.headers().clone();
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE, header::TE]
        {
            headers.remove(name);
        }
        let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        Some(migrate::Sent { method: request.method().clone(), target, headers })
    }

    /// Its body, where it has one.
    pub(super) fn watch(&self) -> Option<Rc<BodyWatch>> {
        self.watch.clone()
    }

    /// It has a body of which nothing was taken from the client.
    pub(super) fn is_body_unread(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| !watch.has_started())
    }

    /// Sends it. The response's head is put into `head`, the connection its body comes on into `lease`.
    ///
    /// # Errors
    /// Why there is no response.
    pub(super) async fn send(
        &mut self,
        worker: &Worker,
        target: &Target,
        limit: &TimeLimit,
        lease: &mut Option<Lease>,
        head: &mut Option<Response<()>>,
    ) -> Result<(), Failure> {
        let sent = {
            let sending = pin!(self.try_connections(worker, target, limit, lease, head));
            limit.apply(sending).await
        };
        let failure = match sent {
            Some(Ok(())) => return Ok(()),
            Some(Err(failure)) => match self.watch.as_ref().and_then(|watch| watch.fault()) {
                Some(BodyFault::TooLarge) => Failure::BodyTooLarge,
                Some(BodyFault::Broken) => Failure::ClientGone,
                None => failure,
            },
            None => Failure::Timeout,
        };
        // A connection without an answer is of no use to anybody.
        *lease = None;
        // An address that is still being told what is asked is not the one that is slow.
        if failure != Failure::Timeout || self.watch.as_ref().is_none_or(|watch| watch.has_ended()) {
            self.trail.failed(failure);
        }
        Err(failure)
    }

    async fn try_connections(
        &mut self,
        worker: &Worker,
        target: &Target,
        limit: &TimeLimit,
        lease: &mut Option<Lease>,
        head: &mut Option<Response<()>>,
    ) -> Result<(), Failure> {
        let mut tried = 0;
        loop {
            // The one before is given up first: it may be what there is no room for another beside.
            *lease = None;
            let lease = lease.insert(match target.pool.lease(&worker.rng, self.h2, &self.wish, &self.trail) {
                Leasing::Kept(lease) => lease,
                Leasing::Awaited(opening) => opening.await?,
            });
            tried += 1;
            if self.notes_address {
                self.wish.other_than = Some(Rc::clone(lease.endpoint()));
            }
            self.tell_time_left(limit)?;
            // Until it is known to be otherwise: a time limit may end this right here.
            self.sent = true;
            let answered = lease.send(&mut self.request, self.replayable, head).await;
            self.sent = answered.is_ok() || self.request.is_none();
            match answered {
                Ok(()) => return Ok(()),
                Err(_) if self.request.is_some() && tried < CONNECTIONS_TRIED => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

impl Outgoing {
    fn tell_time_left(&mut self, limit: &TimeLimit) -> Result<(), Failure> {
        let Some(request) = self.request.as_mut().filter(|_| self.tells_time) else { return Ok(()) };
        let Some(left) = limit.left(Instant::now()) else { return Ok(()) };
        if left.is_zero() {
            return Err(Failure::Timeout);
        }
        request.headers_mut().insert(GRPC_TIMEOUT, format_timeout(left));
        Ok(())
    }
}

fn join(parts: request::Parts, body: RequestBody, watch: Option<&BodyWatch>, glance: Glance) -> Request<RequestBody> {
    // What the client has begun to send cannot be held back any more.
    let holds_back =
        glance.expect && parts.version != HttpVersion::HTTP_2 && watch.is_some_and(|watch| !watch.has_started());
    if holds_back { held_back(parts, body) } else { Request::from_parts(parts, body) }
}

fn held_back(parts: request::Parts, body: RequestBody) -> Request<RequestBody> {
    let expects = parts.headers.get(header::EXPECT).is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if !expects {
        return Request::from_parts(parts, body);
    }
    Request::from_parts(parts, body.after_continue())
}
