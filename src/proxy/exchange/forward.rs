//! A request that goes to a version, and the response that comes back.

use std::rc::Rc;
use std::time::Instant;

use http::{HeaderValue, Response, StatusCode, header, request};
use http_body::Body;

use super::ask::Asked;
use super::send::{self, Outgoing};
use super::{Arrival, Busy, Record, RelayBody, TimeLimit, admit, answer, headers, pick, upgrade};
use crate::plan::{Filter, Matched, Priority, Route, ServiceId, Version, VersionId};
use crate::proxy::problem::Problem;
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::{Failure, Shed};
use crate::upstream::{BodyWatch, Lease};
use crate::wire::Incoming;

/// A request whose version was picked and whose headers are ready for it.
pub(super) struct Forward {
    worker: Rc<Worker>,
    view: Rc<View>,
    route: usize,
    service: ServiceId,
    version: VersionId,
    priority: Priority,
    outgoing: Outgoing,
    /// The protocol the client may switch to.
    upgrade: Option<HeaderValue>,
    limit: TimeLimit,
    record: Record,
    busy: Busy,
}

impl Forward {
    /// Picks the version and prepares the request for it.
    #[expect(clippy::too_many_arguments, reason = "all that is known of a request, at the one place it comes together")]
    pub(super) fn new(
        worker: &Rc<Worker>,
        view: &Rc<View>,
        matched: Matched<'_>,
        service: ServiceId,
        asked: &Asked,
        mut parts: request::Parts,
        body: Incoming,
        Arrival { started, mut log, busy }: Arrival,
    ) -> Self {
        let plan = &*view.plan;
        let client = &*busy.0;
        let route = matched.route;
        let picked = pick::pick(plan.service(service), &parts, client, plan, &mut worker.rng.borrow_mut());
        let version = plan.service(service).version(picked.version);
        let watch = (!body.is_end_stream()).then(Rc::<BodyWatch>::default);
        if let Some(log) = &mut log {
            log.picked(plan.service(service), version, picked.why);
            if let Some(watch) = &watch {
                log.body(Rc::clone(watch));
            }
        }
        let record = Record::begin(view.target(service, picked.version), started, picked.why, log);

        let priority = admit::priority(plan.service(service), route, &parts, client);
        let is_h2 = client.is_h2.get();
        let upgrade = upgrade::wanted(&parts, asked.glance, is_h2, watch.is_some());
        let to_h2 = send::speaks_h2(version, &parts, is_h2, upgrade.is_some());
        headers::to_upstream(&mut parts, client, plan, asked, version, upgrade.as_ref());
        for filter in &route.filters {
            headers::apply_request_filter(filter, &mut parts, matched.prefix);
        }
        if to_h2 {
            headers::for_h2(&mut parts);
        }

        Self {
            limit: TimeLimit::new(worker, route.timeouts, plan.upstream.response_idle_timeout, started, watch.clone()),
            outgoing: Outgoing::new(parts, body, watch, plan.limits.body_bytes, asked.glance),
            worker: Rc::clone(worker),
            view: Rc::clone(view),
            route: matched.position,
            service,
            version: picked.version,
            priority,
            upgrade,
            record,
            busy,
        }
    }

    /// Sends the request and gives the response, its body still coming.
    pub(super) async fn run(mut self) -> Response<RelayBody> {
        let target = self.view.target(self.service, self.version);
        if let Some(gate) = target.gateway.gate() {
            match gate.enter(&self.worker, self.priority, &self.limit, self.outgoing.watch()).await {
                Ok(ticket) => self.record.admitted(ticket),
                Err(shed) => return self.turn_away(shed),
            }
        }
        let sent = self.outgoing.send(&self.worker, target, &self.limit).await;
        let checked = sent.and_then(|(response, lease)| {
            upgrade::check(&response, self.upgrade.as_ref())?;
            Ok((response, lease))
        });
        match checked {
            Ok((response, lease)) => self.relay(response, lease),
            Err(failure) => self.fail(failure),
        }
    }

    fn relay(mut self, mut response: Response<()>, lease: Lease) -> Response<RelayBody> {
        let now = Instant::now();
        self.limit.progressed(now);
        self.record.head(&response, now);
        headers::to_client(&mut response, &self.version().header, self.upgrade.as_ref());
        for filter in &self.route().filters {
            if let Filter::ResponseHeaders(edit) = filter {
                edit.apply(response.headers_mut());
            }
        }
        if self.outgoing.is_body_unread() && !self.busy.0.is_h2.get() {
            // The client was never told to continue, so nobody can tell whether what it sends next is its body.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return upgrade::accept(&response, lease, self.record, &self.busy);
        }
        let Self { record, limit, busy, .. } = self;
        response.map(|()| RelayBody::relay(lease, record, limit, busy))
    }

    fn turn_away(self, shed: Shed) -> Response<RelayBody> {
        // What of the request's body the client still sends would stand where its next request should.
        let ends = self.outgoing.watch().is_some() && !self.busy.0.is_h2.get();
        let version = self.version().header.clone();
        admit::turned_away(&self.worker, shed, version, self.record, &self.busy, ends)
    }

    fn fail(mut self, failure: Failure) -> Response<RelayBody> {
        self.record.fail(failure);
        let version = self.version().header.clone();
        let problem = match self.busy.0.body_fault.get() {
            Some(fault) if failure == Failure::ClientGone => Problem::unreadable(fault).1,
            _ => Problem::failed(failure),
        };
        answer::failed(&problem, version, self.record, &self.busy)
    }

    fn route(&self) -> &Route {
        &self.view.plan.routes.routes()[self.route]
    }

    fn version(&self) -> &Version {
        self.view.plan.service(self.service).version(self.version)
    }
}
