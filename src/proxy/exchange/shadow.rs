//! Whether a request is copied, and what its copies are made of.
//!
//! Only where the service has `shadow`: all others pay one look at an `Option`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{EXPECT, TRAILER};
use http::{Response, request};
use http_body::Body;

use super::ask::Asked;
use super::pick::{Picked, client_address};
use super::{Record, affinity, headers, send};
use crate::plan::{Matched, Plan, SHADOW_HEADER, Service, ServiceId, StickyKey, VersionId};
use crate::proxy::caller::Caller;
use crate::proxy::client::Client;
use crate::proxy::shadow::{Arm, Capture, Copies, Copy, Paired, Shadowing, ToCompare};
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::ShadowResult;
use crate::upstream::{RequestBody, Tee};

/// A request that is copied.
#[derive(Debug)]
pub(super) struct Shadowed {
    /// Until they are on their way.
    copies: Option<Copies>,
    /// There where the client's answer is compared with theirs.
    to_compare: Option<ToCompare>,
    /// The version that was picked: another one's answer is not compared.
    version: VersionId,
}

/// What is known of the request that may be copied.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) view: &'a View,
    pub(super) service: ServiceId,
    pub(super) matched: Matched<'a>,
    pub(super) picked: Picked,
    pub(super) asked: &'a Asked,
    pub(super) caller: &'a Caller,
    pub(super) client: &'a Client,
}

impl Request<'_> {
    fn plan(&self) -> &Plan {
        &self.view.plan
    }

    fn service(&self) -> &Service {
        self.plan().service(self.service)
    }

    /// Whether the request is copied, by what the client sent: `parts` and `body` as they came.
    pub(super) fn is_copied(&self, shadowing: &Shadowing, parts: &request::Parts, body: &impl Body) -> bool {
        let plan = &*shadowing.plan;
        // A copy is not copied again, and what leaves HTTP cannot be.
        let is_candidate = self.picked.version != plan.to
            && plan.methods.contains(&parts.method)
            && !self.asked.glance.upgrade
            && !self.asked.glance.shadow
            && self.is_sampled(shadowing, parts);
        is_candidate && has_room(shadowing, body)
    }

    /// Whether a read of a service under migration is also asked of the other version.
    pub(super) fn is_compared(&self, shadowing: &Shadowing, body: &impl Body) -> bool {
        !self.asked.glance.upgrade && !self.asked.glance.shadow && has_room(shadowing, body)
    }

    fn is_sampled(&self, shadowing: &Shadowing, parts: &request::Parts) -> bool {
        let sample = &shadowing.plan.sample;
        if let Some(constant) = sample.constant() {
            return constant;
        }
        let address = client_address(parts, self.client, self.plan());
        let sticky = &self.service().sticky;
        let key = StickyKey::find(sticky, &parts.headers, parts.uri.query(), address, self.client.identity());
        match key {
            Some(key) => sample.holds_key(key.as_bytes()),
            None => sample.holds_draw(self.worker.rng.borrow_mut().u64(..)),
        }
    }

    /// Makes the copies of a request whose head is `parts`, after filters, for HTTP/1.1. `None`: there is no room for them.
    pub(super) fn copies(
        &self,
        shadowing: &Rc<Shadowing>,
        parts: &request::Parts,
        body: &mut RequestBody,
        record: &mut Record,
    ) -> Option<Box<Shadowed>> {
        let plan = &*shadowing.plan;
        let to = shadowing.to()?;
        let in_flight = to.shared.begin(plan.max_in_flight)?;
        let copy = self.copy(to, plan.to, parts)?;
        let (mut to_compare, mut compare, mut again) = (None, None, None);
        if let Some(compared) = &shadowing.compared {
            let (client, comparison) = ToCompare::new(compared, self.route_name());
            (to_compare, compare) = (Some(client), Some(comparison));
            let old = self.picked.version;
            let drawn = parts.method.is_safe() && compared.plan.noise.holds(self.worker.rng.borrow_mut().u64(..));
            again = shadowing.arm(old).filter(|_| drawn).and_then(|arm| self.copy(arm, old, parts));
        }
        let body = (!body.is_end_stream()).then(|| {
            let (tee, teed) = Tee::new(plan.max_body);
            body.tee(tee);
            teed
        });
        let paired = Rc::new(Paired::new(&to.paired));
        record.paired(Rc::clone(&paired));
        let copies = Copies { shadowing: Rc::clone(shadowing), in_flight, copy, paired, again, body, compare };
        Some(Box::new(Shadowed { copies: Some(copies), to_compare, version: self.picked.version }))
    }

    /// A copy for one version. `None`, and counted: the version has too much to do.
    fn copy(&self, arm: &Rc<Arm>, version: VersionId, parts: &request::Parts) -> Option<Copy> {
        let ticket = match self.view.target(self.service, version).gateway.gate() {
            None => None,
            Some(gate) => {
                let ticket = gate.enter_at_once();
                if ticket.is_none() {
                    arm.shared.ended(ShadowResult::Pressure);
                }
                Some(ticket?)
            }
        };
        let (service, mut head) = (self.service(), parts.clone());
        let version = service.version(version);
        headers::for_version(&mut head, version, self.asked.host_header.is_some());
        affinity::tell(&mut head.headers, service, version, self.client, self.plan());
        head.headers.insert(SHADOW_HEADER, arm.header.clone());
        // Its body is there, whole and without trailers.
        head.headers.remove(EXPECT);
        head.headers.remove(TRAILER);
        if send::speaks_h2(version, self.caller, self.client.is_h2.get(), false) {
            headers::for_h2(&mut head);
        }
        Some(Copy { arm: Rc::clone(arm), head, ticket })
    }

    fn route_name(&self) -> Arc<str> {
        let Matched { route, position, .. } = self.matched;
        route.name.clone().unwrap_or_else(|| format!("routes[{position}]").into())
    }
}

/// Whether one more copy can be made of a request with this body; counts it where not.
fn has_room(shadowing: &Shadowing, body: &impl Body) -> bool {
    let plan = &*shadowing.plan;
    let Some(to) = shadowing.to() else { return false };
    if body.size_hint().lower() > plan.max_body as u64 {
        to.shared.ended(ShadowResult::BodyTooLarge);
        return false;
    }
    let admitted = shadowing.admits(Instant::now());
    if !admitted {
        to.shared.ended(ShadowResult::Suspended);
    }
    admitted
}

impl Shadowed {
    /// The request is on its way: so are its copies now, if they are not yet.
    pub(super) fn start(&mut self, worker: &Rc<Worker>) {
        if let Some(copies) = self.copies.take() {
            copies.paired.sent(Instant::now());
            tokio::task::spawn_local(copies.run(Rc::clone(worker)));
        }
    }

    /// `version` has begun to answer the client.
    pub(super) fn answered<B>(mut self, version: VersionId, response: &Response<B>) -> Option<Box<Capture>> {
        let to_compare = self.to_compare.take().filter(|_| version == self.version)?;
        Some(Box::new(to_compare.begin(response)))
    }
}

impl Drop for Shadowed {
    fn drop(&mut self) {
        // The request never went anywhere: there is too much to do for it, and so there is for its copies.
        if let Some(copies) = &self.copies {
            copies.copy.arm.shared.ended(ShadowResult::Pressure);
        }
    }
}
