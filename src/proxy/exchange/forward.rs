//! A request that goes to a version, and the response that comes back.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Response, StatusCode, header, request};
use http_body::Body;

use super::again::Again;
use super::ask::Asked;
use super::fault::Blow;
use super::migrate::{Landing, Placed};
use super::pick::Picked;
use super::relay::Relay;
use super::send::{self, Outgoing};
use super::{
    Arrival, Record, RelayBody, TimeLimit, admit, affinity, again, answer, control, fault, flags, headers, migrate,
    pick, shadow, time_limit, upgrade,
};
use crate::plan::{Filter, Matched, MeasuredBy, Priority, Route, ServiceId, Timeouts, Version, VersionId, VersionSet};
use crate::proxy::caller::Caller;
use crate::proxy::client::Client;
use crate::proxy::deprecated::caller_key;
use crate::proxy::problem::Problem;
use crate::proxy::retry::Next;
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::{ArmCell, Failure, Refusal, Shed, Why};
use crate::upstream::{BodyWatch, RequestBody, Wish};
use crate::wire::{Incoming, clock};

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
    caller: Caller,
    /// What stays until the response is over.
    relay: Box<Relay>,
    /// The response's head, while it is here.
    head: Option<Response<()>>,
    /// What it takes to send it again, where that may be.
    again: Option<Box<Again>>,
    /// What it is measured by, if it is.
    measured: Option<MeasuredBy>,
    /// Whether it is one of a control arm.
    in_control: bool,
    /// Where it is said what a write has come to, for those that go to two versions.
    landing: Option<Rc<Landing>>,
    /// There where it is copied.
    shadowed: Option<Box<shadow::Shadowed>>,
}

/// What came of one try.
enum Tried {
    /// Where it went well, the response's head is there, and the connection its body comes on.
    Sent(Result<(), Failure>),
    /// A drill kept it from its version.
    Struck(Blow),
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
        Arrival { started, caller, deadline, mut log, trace, busy }: Arrival,
        placed: Option<Placed>,
    ) -> Box<Self> {
        let plan = &*view.plan;
        let client = &*busy.0;
        let route = matched.route;
        let (rng, up) = (&worker.rng, view.up(service));
        let compared = placed.as_ref().and_then(|placed| placed.compared);
        let request = flags::Request {
            worker,
            plan,
            service: plan.service(service),
            route,
            parts: &parts,
            asked,
            client,
            placed: placed.as_ref().map(|placed| placed.version),
        };
        let (mut picked, told) = pick_version(view, matched.position, request, up);
        // A version that a flag takes away answers for nobody either.
        let up = told.as_ref().map_or(up, |told| up.and(told.alive));
        let timeouts = route.timeouts.within(deadline);
        // Who cannot take requests can answer for nobody.
        let fallback = plan.service(service).fallback.filter(|fallback| up.contains(fallback.to));
        let mut again = None;
        if route.retry.is_some() || fallback.is_some() {
            let (resend, target) = (view.resend(service), Rc::clone(view.target(service, picked.version)));
            let known = (asked, timeouts, started, rng.borrow_mut().u64(..));
            again = Again::begin(matched, fallback, resend, &mut picked, &target, &parts, known);
        }
        let version = plan.service(service).version(picked.version);
        count_caller(view, service, picked.version, &parts, client);
        let watch = watched(&body);
        if let Some(log) = &mut log {
            log.picked(plan.service(service), version, picked.why);
            if let Some(watch) = &watch {
                log.body(Rc::clone(watch));
            }
        }
        let mut record = Record::begin(view.target(service, picked.version), started, picked.why, log);
        let measured = told.as_ref().and_then(flags::Told::measured);
        let in_control = plan.service(service).control.as_ref().is_some_and(|arm| {
            control::has(arm, plan.service(service), picked, &parts, client, plan, &mut rng.borrow_mut())
        });
        if measured.is_some() || in_control {
            record.measured(arms(view, service, picked.version, measured, in_control));
        }
        if let Some(mut span) = trace.and_then(|trace| trace.pass_on(&mut parts.headers)) {
            span.picked(plan.service(service), version, picked.why);
            record.traced(Some(span));
        }
        fault::strike(&mut record, view, service, picked.version, &parts.headers, worker);

        let landing = placed.and_then(|placed| placed.write).map(|write| write.put(&mut parts.headers));
        let priority = admit::priority(plan.service(service), route, &parts, client);
        let request = shadow::Request { worker, view, service, matched, picked, asked, caller: &caller, client };
        let shadowing = match compared {
            None => view.shadow(service).filter(|shadowing| request.is_copied(shadowing, &parts, &body)),
            Some(side) => view.compared(service, side).filter(|shadowing| request.is_compared(shadowing, &body)),
        };
        let is_h2 = client.is_h2.get();
        let upgrade = upgrade::wanted(&parts, asked.glance, is_h2, watch.is_some());
        let to_h2 = send::speaks_h2(version, &caller, is_h2, upgrade.is_some());
        headers::to_upstream(&mut parts, client, plan, asked, version, upgrade.as_ref());
        affinity::tell(&mut parts.headers, plan.service(service), version, client, plan);
        if let Some(told) = &told {
            told.tell(&mut parts.headers);
        }
        if let Some(again) = &mut again {
            again.keep_head(&parts, upgrade.is_some());
        }
        for filter in &route.filters {
            headers::apply_request_filter(filter, &mut parts, matched.prefix);
        }
        let h1 = shadowing.filter(|_| to_h2).map(|_| parts.clone());
        if to_h2 {
            headers::for_h2(&mut parts);
        }
        let mut body = match (&watch, &mut again) {
            (None, _) => RequestBody::default(),
            (Some(watch), None) => RequestBody::streamed(body, plan.limits.body_bytes, Rc::clone(watch)),
            (Some(watch), Some(again)) => again.keep_body(body, plan.limits.body_bytes, watch, route.retry.as_ref()),
        };
        let shadowed = shadowing.and_then(|s| request.copies(s, h1.as_ref().unwrap_or(&parts), &mut body, &mut record));
        let wish = Wish { connect_timeout: route.timeouts.connect, other_than: None };

        Box::new(Self {
            relay: Relay::new(record, TimeLimit::new(worker, timeouts, started, watch.clone()), busy),
            head: None,
            outgoing: Outgoing::new(parts, body, watch, asked.glance, wish, again.is_some(), deadline.is_some()),
            worker: Rc::clone(worker),
            view: Rc::clone(view),
            route: matched.position,
            service,
            version: picked.version,
            priority,
            upgrade,
            caller,
            again,
            measured,
            in_control,
            landing,
            shadowed,
        })
    }

    /// Sends the request, again where it must and may be, and gives the response, its body still coming.
    pub(super) async fn run(mut self: Box<Self>) -> Response<RelayBody> {
        loop {
            if let Some(gate) = self.view.target(self.service, self.version).gateway.gate() {
                let entering = gate.enter(&self.worker, self.priority, &self.relay.limit, self.outgoing.watch());
                // Boxed, so that versions without a gate carry no room for it.
                match Box::pin(entering).await {
                    Ok(ticket) => self.relay.record.admitted(ticket),
                    Err(shed) => return self.turn_away(shed),
                }
            }
            if let Some(shadowed) = &mut self.shadowed {
                shadowed.start(&self.worker);
            }
            let blow = match self.relay.record.fault() {
                // Boxed, so that what nearly never happens takes no room.
                Some(fault) => Box::pin(fault.fall(&self.relay.limit)).await,
                None => None,
            };
            let tried = match blow {
                Some(blow) => Tried::Struck(blow),
                None => Tried::Sent(self.send().await),
            };
            match self.settle(&tried) {
                Next::Answer => {
                    return match tried {
                        Tried::Sent(Ok(())) => self.relay(),
                        Tried::Sent(Err(failure)) => self.fail(failure),
                        Tried::Struck(blow) => self.struck_down(blow),
                    };
                }
                Next::Retry { after } => {
                    self.give_up(&tried, None);
                    // Boxed, so that what is rarely waited for takes no room where nothing is.
                    Box::pin(tokio::time::sleep(after)).await;
                    self.next_try();
                }
                Next::FallBack => {
                    self.give_up(&tried, Some(Why::Fallback));
                    self.next_try();
                }
            }
        }
    }

    /// Sends the request once, and waits for the response's head.
    async fn send(&mut self) -> Result<(), Failure> {
        let target = self.view.target(self.service, self.version);
        let Relay { lease, limit, .. } = &mut *self.relay;
        let mut sent = self.outgoing.send(&self.worker, target, limit, lease, &mut self.head).await;
        if sent.is_ok() {
            sent = self.answered(sent).and_then(|head| upgrade::check(head, self.upgrade.as_ref()));
            if sent.is_err() {
                (self.head, self.relay.lease) = (None, None);
            }
        }
        if let Some(landing) = &self.landing {
            landing.note(self.answered(sent), self.outgoing.is_unsent());
        }
        sent
    }

    /// The response's head, or why there is none.
    fn answered(&self, sent: Result<(), Failure>) -> Result<&Response<()>, Failure> {
        // Invariant: what was sent well has a head.
        sent.and_then(|()| self.head.as_ref().ok_or(Failure::Internal))
    }

    /// What comes after a try.
    fn settle(&mut self, tried: &Tried) -> Next {
        if self.again.is_none() {
            return Next::Answer;
        }
        let trouble = match tried {
            Tried::Sent(sent) => again::trouble(self.answered(*sent)),
            Tried::Struck(blow) => Some(fault::trouble(*blow, &self.caller)),
        };
        let Some(again) = &mut self.again else { return Next::Answer };
        let retry = self.view.plan.routes.routes()[self.route].retry.as_ref();
        let first = self.view.target(self.service, again.first());
        let draw = self.worker.rng.borrow_mut().f64();
        again.settle(trouble, retry, self.outgoing.is_unsent(), first, draw)
    }

    /// Counts a try that the client gets nothing of. From here on the request is the next one's; `why`: where that is
    /// another version's.
    fn give_up(&mut self, tried: &Tried, why: Option<Why>) {
        let now = Instant::now();
        let version = self.version().header.clone();
        let record = &mut self.relay.record;
        let (log, span) = (record.take_log(), record.take_span());
        match tried {
            Tried::Sent(Ok(())) => {
                if let Some(head) = self.head.take() {
                    record.head(&head, &self.caller, now);
                }
                if let Some(lease) = self.relay.lease.take() {
                    lease.discard();
                }
            }
            Tried::Sent(Err(failure)) => record.fail(*failure),
            Tried::Struck(blow) => fault::count(*blow, record, &self.caller, version, now),
        }
        self.relay.record.give_up(now);
        let Some(again) = &self.again else { return };
        if why.is_some()
            && let Some(other) = again.fallback_version()
        {
            self.version = other;
            self.outgoing.forget_address();
        }
        let target = self.view.target(self.service, self.version);
        let mut record = Record::begin_again(target, now, why, log);
        record.traced(span);
        // Who answers in the arm's place is none of it.
        let in_control = self.in_control && why.is_none();
        record.measured(arms(&self.view, self.service, self.version, self.measured, in_control));
        self.relay.record = record;
    }

    /// Makes everything ready for the next try.
    fn next_try(&mut self) {
        let Some(again) = &mut self.again else { return };
        let now = Instant::now();
        let plan = &*self.view.plan;
        let route = &plan.routes.routes()[self.route];
        let service = plan.service(self.service);
        let version = service.version(self.version);
        self.relay.record.sent_again(service, version, now);
        self.relay.limit.begin_try(again.whole(), route.timeouts.backend_request, now);
        let Some(mut parts) = again.head() else { return };
        let client = &*self.relay.busy.0;
        let to_h2 = send::speaks_h2(version, &self.caller, client.is_h2.get(), self.upgrade.is_some());
        headers::for_version(&mut parts, version, again.asked.names_host);
        affinity::tell(&mut parts.headers, service, version, client, plan);
        fault::strike(&mut self.relay.record, &self.view, self.service, self.version, &parts.headers, &self.worker);
        for filter in &route.filters {
            headers::apply_request_filter(filter, &mut parts, again.prefix());
        }
        if to_h2 {
            headers::for_h2(&mut parts);
        }
        self.outgoing.prepare_again(parts, again.body(), again.asked.glance);
    }

    fn relay(mut self: Box<Self>) -> Response<RelayBody> {
        // Invariant: it is there where the request was sent well.
        let mut response = self.head.take().unwrap_or_default();
        let now = clock::now();
        self.relay.limit.progressed(now);
        self.relay.record.head(&response, &self.caller, now);
        self.relay.capture = self.shadowed.take().and_then(|shadowed| shadowed.answered(self.version, &response));
        headers::to_client(&mut response, &self.version().header, self.upgrade.as_ref());
        if let Some(deprecated) = &self.view.plan.service(self.service).deprecation
            && deprecated.announced.version == self.version
        {
            deprecated.announce(response.headers_mut());
        }
        for filter in &self.route().filters {
            if let Filter::ResponseHeaders(edit) = filter {
                edit.apply(response.headers_mut());
            }
        }
        if self.outgoing.is_body_unread() && !self.relay.busy.0.is_h2.get() {
            // The client was never told to continue, so nobody can tell whether what it sends next is its body.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(lease) = self.relay.lease.take()
        {
            return upgrade::accept(&response, lease, *self.relay);
        }
        self.relay.slow = self.relay.record.fault().and_then(|fault| fault.slow_body(&self.worker.deadlines));
        response.map(|()| RelayBody::relay(self.relay))
    }

    /// A drill keeps the request from its version.
    fn struck_down(self: Box<Self>, blow: Blow) -> Response<RelayBody> {
        match blow {
            Blow::TimedOut => self.fail(Failure::Timeout),
            Blow::Reset => fault::reset(self.relay.record),
            Blow::Abort(abort) => {
                let closes = self.outgoing.is_body_unread() && !self.relay.busy.0.is_h2.get();
                let version = self.version().header.clone();
                let Relay { record, busy, .. } = *self.relay;
                fault::abort(abort, &self.caller, version, closes, record, &busy)
            }
        }
    }

    fn turn_away(self: Box<Self>, shed: Shed) -> Response<RelayBody> {
        // What of the request's body the client still sends would stand where its next request should.
        let ends = self.outgoing.watch().is_some() && !self.relay.busy.0.is_h2.get();
        let version = self.version().header.clone();
        let Relay { record, busy, .. } = *self.relay;
        admit::turned_away(&self.worker, shed, &self.caller, version, record, &busy, ends)
    }

    pub(super) fn fail(mut self: Box<Self>, failure: Failure) -> Response<RelayBody> {
        self.relay.record.fail(failure);
        let version = self.version().header.clone();
        let Relay { record, busy, .. } = *self.relay;
        let problem = match busy.0.body_fault.get() {
            Some(fault) if failure == Failure::ClientGone => Problem::unreadable(fault).1,
            _ => Problem::failed(failure),
        };
        answer::failed(&problem, &self.caller, version, record, &busy)
    }

    /// What it sends, as another version may get it, too.
    pub(super) fn copy(&self) -> Option<migrate::Sent> {
        self.outgoing.copy()
    }

    /// It was held up, and begins only now.
    pub(super) fn begin_late(&mut self, timeouts: Timeouts, started: Instant) {
        let limit = &mut self.relay.limit;
        limit.begin_try(time_limit::whole(timeouts, started), timeouts.backend_request, Instant::now());
    }

    /// Its time limits.
    pub(super) fn limit(&self) -> &TimeLimit {
        &self.relay.limit
    }

    /// It never reaches its version: the client gets this answer.
    pub(super) fn refuse(self: Box<Self>, refusal: Refusal, problem: &Problem) -> Response<RelayBody> {
        self.worker.cell.refused(refusal);
        let version = self.version().header.clone();
        let Relay { record, busy, .. } = *self.relay;
        record.refused(problem, &self.caller);
        let mut response = answer::refused(problem, &self.caller, &busy);
        response.headers_mut().insert(headers::X_SERIN_VERSION, version);
        response
    }

    fn route(&self) -> &Route {
        &self.view.plan.routes.routes()[self.route]
    }

    fn version(&self) -> &Version {
        self.view.plan.service(self.service).version(self.version)
    }
}

/// Picks the version of a request: by the stage of a migration, by flags, or by key and weight.
fn pick_version(
    view: &View,
    route: usize,
    request: flags::Request<'_>,
    up: VersionSet,
) -> (Picked, Option<flags::Told>) {
    let flags::Request { worker, plan, service, parts, client, placed, .. } = request;
    match (view.attached(route), placed) {
        (Some(attached), _) => {
            let (picked, told) = flags::pick(attached, view.flag_cells(), request, up);
            (picked, Some(told))
        }
        (None, Some(version)) => (Picked { version, why: Why::Stage }, None),
        (None, None) => (pick::pick(service, up, parts, client, plan, &mut worker.rng.borrow_mut()), None),
    }
}

/// Counts who asks, where the end of the version is announced.
fn count_caller(view: &View, service: ServiceId, version: VersionId, parts: &request::Parts, client: &Client) {
    if let Some(deprecated) = &view.plan.service(service).deprecation
        && deprecated.announced.version == version
        && let Some(callers) = view.callers(service)
    {
        let address = pick::client_address(parts, client, &view.plan);
        callers.called(|announced| caller_key(announced, parts, address, client.identity()));
    }
}

/// What is known of a body on its way, where there is one.
fn watched(body: &Incoming) -> Option<Rc<BodyWatch>> {
    let whole = matches!(body, Incoming::Whole(_));
    let watch = || Rc::new(if whole { BodyWatch::of_whole() } else { BodyWatch::default() });
    (!body.is_end_stream()).then(watch)
}

/// The cells beside its version's in which a request counts.
fn arms(
    view: &View,
    service: ServiceId,
    version: VersionId,
    measured: Option<MeasuredBy>,
    in_control: bool,
) -> [Option<&Arc<ArmCell>>; 2] {
    let variant = measured.and_then(|variant| view.variant(service, version, variant));
    [variant, in_control.then(|| view.control_arm(service)).flatten()]
}
