//! A request that goes to a version, and the response that comes back.

use std::rc::Rc;
use std::time::Instant;

use http::{HeaderValue, Response, StatusCode, header, request};
use http_body::Body;

use super::ask::Asked;
use super::send::{self, Outgoing};
use super::{Arrival, Busy, Record, RelayBody, TimeLimit, affinity, answer, fault, headers, pick, upgrade};
use crate::plan::{Filter, Matched, Route, ServiceId, Version, VersionId};
use crate::proxy::problem::Problem;
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::Failure;
use crate::upstream::{BodyWatch, Lease};
use crate::wire::Incoming;

/// A request whose version was picked and whose headers are ready for it.
pub(super) struct Forward {
    worker: Rc<Worker>,
    view: Rc<View>,
    route: usize,
    service: ServiceId,
    version: VersionId,
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
        Arrival { started, mut log, trace, busy }: Arrival,
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
        let mut record = Record::begin(view.target(service, picked.version), started, picked.why, log);
        if let Some(mut span) = trace.and_then(|trace| trace.pass_on(&mut parts.headers)) {
            span.picked(plan.service(service), version, picked.why);
            record.traced(span);
        }
        let cells = view.faults(service);
        if !cells.is_empty() {
            let rng = &mut worker.rng.borrow_mut();
            if let Some(fault) = fault::choose(plan.service(service), picked.version, &parts.headers, cells, rng) {
                record.struck(fault);
            }
        }

        let is_h2 = client.is_h2.get();
        let upgrade = upgrade::wanted(&parts, asked.glance, is_h2, watch.is_some());
        let to_h2 = send::speaks_h2(version, &parts, is_h2, upgrade.is_some());
        headers::to_upstream(&mut parts, client, plan, asked, version, upgrade.as_ref());
        affinity::tell(&mut parts.headers, plan.service(service), version, client, plan);
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
            upgrade,
            record,
            busy,
        }
    }

    /// Sends the request and gives the response, its body still coming.
    pub(super) async fn run(mut self) -> Response<RelayBody> {
        if let Some(fault) = self.record.fault()
            && let Some(blow) = fault.fall(&self.limit).await
        {
            return self.struck_down(blow);
        }
        let target = self.view.target(self.service, self.version);
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
        let slow = self.record.fault().and_then(|fault| fault.slow_body(&self.worker.deadlines));
        let Self { record, limit, busy, .. } = self;
        response.map(|()| RelayBody::relay(lease, record, limit, busy).slowed(slow))
    }

    /// A drill keeps the request from its version.
    fn struck_down(self, blow: fault::Blow) -> Response<RelayBody> {
        match blow {
            fault::Blow::TimedOut => self.fail(Failure::Timeout),
            fault::Blow::Reset => fault::reset(self.record),
            fault::Blow::Abort(abort) => {
                let closes = self.outgoing.is_body_unread() && !self.busy.0.is_h2.get();
                fault::abort(abort, self.version().header.clone(), closes, self.record, &self.busy)
            }
        }
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
