//! A request that goes to a version, and the response that comes back.

use std::rc::Rc;
use std::time::Instant;

use http::{HeaderValue, Response, StatusCode, header, request};
use http_body::Body;

use super::again::Again;
use super::ask::Asked;
use super::send::{self, Outgoing, Sent};
use super::{Arrival, Busy, Record, RelayBody, TimeLimit, admit, answer, headers, pick, upgrade};
use crate::plan::{Filter, Matched, Priority, Route, ServiceId, Version, VersionId};
use crate::proxy::problem::Problem;
use crate::proxy::retry::Next;
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::{Failure, Shed, Why};
use crate::upstream::{BodyWatch, Lease, RequestBody, Wish};
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
    /// What it takes to send it again, where that may be.
    again: Option<Box<Again>>,
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
        let rng = &worker.rng;
        let mut picked = pick::pick(plan.service(service), &parts, client, plan, &mut rng.borrow_mut());
        let fallback = plan.service(service).fallback;
        let mut again = None;
        if route.retry.is_some() || fallback.is_some() {
            let (resend, target) = (view.resend(service), Rc::clone(view.target(service, picked.version)));
            let known = (asked, started, rng.borrow_mut().u64(..));
            again = Again::begin(matched, fallback, resend, &mut picked, &target, &parts, known);
        }
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
        if let Some(again) = &mut again {
            again.keep_head(&parts, upgrade.is_some());
        }
        for filter in &route.filters {
            headers::apply_request_filter(filter, &mut parts, matched.prefix);
        }
        if to_h2 {
            headers::for_h2(&mut parts);
        }
        let body = match (&watch, &mut again) {
            (None, _) => RequestBody::default(),
            (Some(watch), None) => RequestBody::streamed(body, plan.limits.body_bytes, Rc::clone(watch)),
            (Some(watch), Some(again)) => again.keep_body(body, plan.limits.body_bytes, watch, route.retry.as_ref()),
        };
        let wish = Wish { connect_timeout: route.timeouts.connect, other_than: None };

        Self {
            limit: TimeLimit::new(worker, route.timeouts, started, watch.clone()),
            outgoing: Outgoing::new(parts, body, watch, asked.glance, wish, again.is_some()),
            worker: Rc::clone(worker),
            view: Rc::clone(view),
            route: matched.position,
            service,
            version: picked.version,
            priority,
            upgrade,
            record,
            busy,
            again,
        }
    }

    /// Sends the request, again where it must and may be, and gives the response, its body still coming.
    pub(super) async fn run(mut self) -> Response<RelayBody> {
        loop {
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
            match self.settle(&checked) {
                Next::Answer => {
                    return match checked {
                        Ok((response, lease)) => self.relay(response, lease),
                        Err(failure) => self.fail(failure),
                    };
                }
                Next::Retry { after } => {
                    self.give_up(checked, None);
                    // Boxed, so that what is rarely waited for takes no room where nothing is.
                    Box::pin(tokio::time::sleep(after)).await;
                    self.next_try();
                }
                Next::FallBack => {
                    self.give_up(checked, Some(Why::Fallback));
                    self.next_try();
                }
            }
        }
    }

    /// What comes after a try.
    fn settle(&mut self, sent: &Sent) -> Next {
        let Some(again) = &mut self.again else { return Next::Answer };
        let retry = self.view.plan.routes.routes()[self.route].retry.as_ref();
        let first = self.view.target(self.service, again.first());
        let draw = self.worker.rng.borrow_mut().f64();
        again.settle(sent, retry, self.outgoing.is_unsent(), first, draw)
    }

    /// Counts a try that the client gets nothing of. From here on the request is the next one's; `why`: where that is
    /// another version's.
    fn give_up(&mut self, sent: Sent, why: Option<Why>) {
        let now = Instant::now();
        let log = self.record.take_log();
        match sent {
            Ok((response, lease)) => {
                self.record.head(&response, now);
                lease.discard();
            }
            Err(failure) => self.record.fail(failure),
        }
        self.record.give_up(now);
        let Some(again) = &self.again else { return };
        if why.is_some()
            && let Some(other) = again.fallback_version()
        {
            self.version = other;
            self.outgoing.forget_address();
        }
        let target = self.view.target(self.service, self.version);
        self.record = Record::begin_again(target, now, why, log);
    }

    /// Makes everything ready for the next try.
    fn next_try(&mut self) {
        let Some(again) = &mut self.again else { return };
        let now = Instant::now();
        let plan = &*self.view.plan;
        let route = &plan.routes.routes()[self.route];
        let service = plan.service(self.service);
        let version = service.version(self.version);
        self.record.sent_again(service, version, now);
        self.limit.begin_try(again.whole(), route.timeouts.backend_request, now);
        let Some(mut parts) = again.head() else { return };
        let to_h2 = send::speaks_h2(version, &parts, self.busy.0.is_h2.get(), self.upgrade.is_some());
        headers::for_version(&mut parts, version, again.asked.names_host);
        for filter in &route.filters {
            headers::apply_request_filter(filter, &mut parts, again.prefix());
        }
        if to_h2 {
            headers::for_h2(&mut parts);
        }
        self.outgoing.prepare_again(parts, again.body(), again.asked.glance);
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
