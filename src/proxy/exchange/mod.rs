//! One request and its response: *ask → pick → admit → forward → relay → record*.
//!
//! Everything up to sending is plain functions; what then has to be waited for is one small future. (Moving a request
//! from future to future costs more than looking at it.)

mod admit;
mod affinity;
mod again;
mod answer;
mod ask;
mod control;
mod fault;
mod flags;
mod forward;
mod glance;
mod headers;
mod log;
mod migrate;
mod pick;
mod record;
mod relay;
mod send;
mod shadow;
mod time_limit;
mod trace;
mod upgrade;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{Response, Uri, request};

use ask::Asked;
use forward::Forward;
pub(super) use headers::tokens;
use log::LogLine;
pub(super) use record::Record;
use relay::BrokenOff;
pub(super) use relay::RelayBody;
pub(super) use time_limit::TimeLimit;
use trace::Trace;

use super::caller::Caller;
use super::client::Client;
use super::problem::Problem;
use super::view::View;
use super::worker::Worker;
use crate::plan::{Filter, Host, Matched};
use crate::telemetry::Refusal;
use crate::wire::{Fault, Incoming, clock};

/// Answers the requests of one client connection.
#[derive(Debug, Clone)]
pub(super) struct Exchanges {
    worker: Rc<Worker>,
    client: Rc<Client>,
}

impl Exchanges {
    pub(super) fn new(worker: Rc<Worker>, client: Rc<Client>) -> Self {
        Self { worker, client }
    }

    /// Begins to answer a request.
    pub(super) fn start(&self, head: request::Parts, body: Incoming) -> Exchange {
        match begin(&self.worker, head, body, Busy::new(Rc::clone(&self.client))) {
            Ok(exchange) => exchange,
            Err(answer) => Exchange::Answered(Some(answer)),
        }
    }

    /// Answers a request whose head is larger than allowed.
    pub(super) fn refuse_too_large(&self) -> Exchange {
        let (refusal, problem) = Problem::unreadable(Fault::TooLarge);
        self.worker.cell.refused(refusal);
        let busy = Busy::new(Rc::clone(&self.client));
        Exchange::Answered(Some(Box::new(answer::refused(&problem, &Caller::Http, &busy))))
    }
}

/// A response to come.
pub(super) enum Exchange {
    /// serin answers by itself.
    Answered(Option<Box<Response<RelayBody>>>),
    /// A version answers. Boxed, so that an idle connection does not carry the room for it.
    Forwarded(Pin<Box<dyn Future<Output = Response<RelayBody>>>>),
}

impl Future for Exchange {
    type Output = Result<Response<RelayBody>, BrokenOff>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            // Invariant: a future is not polled again once it was ready.
            Self::Answered(answer) => Poll::Ready(Ok(*answer.take().expect("polled once"))),
            Self::Forwarded(forwarded) => {
                let response = ready!(forwarded.as_mut().poll(cx));
                let is_cut_off = matches!(response.body(), RelayBody::Reset);
                Poll::Ready(if is_cut_off { Err(BrokenOff::Drill) } else { Ok(response) })
            }
        }
    }
}

/// A connection is busy for as long as a request on it is not answered whole.
#[derive(Debug)]
struct Busy(Rc<Client>);

impl Busy {
    fn new(client: Rc<Client>) -> Self {
        client.in_flight.set(client.in_flight.get() + 1);
        client.body_fault.set(None);
        Self(client)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

/// A request that has come and is not answered yet.
struct Arrival {
    started: Instant,
    caller: Caller,
    /// How long its caller waits, in gRPC's words.
    deadline: Option<Duration>,
    log: Option<Box<LogLine>>,
    trace: Option<Trace>,
    busy: Busy,
}

/// Finds out where a request goes; gives the answer where it goes nowhere.
fn begin(
    worker: &Rc<Worker>,
    mut parts: request::Parts,
    body: Incoming,
    busy: Busy,
) -> Result<Exchange, Box<Response<RelayBody>>> {
    let started = clock::now();
    let view = worker.view();
    let caller = Caller::of(&parts);
    let mut log = LogLine::begin(worker, &busy.0, &parts, started);
    let trace = trace::begin(worker, &busy.0, &parts, started, log.as_deref_mut());
    let deadline = caller.timeout(&parts.headers);
    let arrival = Arrival { started, caller, deadline, log, trace, busy };

    let is_h2 = arrival.busy.0.is_h2.get();
    let asked = match ask::check(&mut parts, is_h2, &view.plan.limits, &body) {
        Ok(asked) => asked,
        Err((refusal, detail)) => return Err(refuse(worker, refusal, detail, arrival).into()),
    };
    if let Some(secured) = &arrival.busy.0.secured
        && !secured.serves(&asked.host())
    {
        let detail = "This host asks other things of clients than the one this connection was opened for.";
        return Err(refuse(worker, Refusal::Misdirected, detail, arrival).into());
    }
    let Some(matched) = find_route(&view, &asked, &mut parts) else {
        return Err(refuse(worker, Refusal::NoRoute, "No route matches this request.", arrival).into());
    };
    if arrival.deadline.is_some_and(|deadline| deadline.is_zero()) {
        let detail = "The caller's deadline had passed when the request came.";
        return Err(refuse(worker, Refusal::DeadlinePassed, detail, arrival).into());
    }
    match matched.route.service {
        Some(service) => match &view.plan.service(service).migration {
            None => {
                let forward = Forward::new(worker, &view, matched, service, &asked, parts, body, arrival, None);
                Ok(Exchange::Forwarded(Box::pin(forward.run())))
            }
            Some(migration) => {
                migrate::begin(worker, &view, matched, (service, migration), asked, parts, body, arrival)
            }
        },
        None => Err(redirect(worker, matched, &asked, &parts, arrival).into()),
    }
}

/// The route of a request. `OPTIONS *` asks about the server as a whole; what answers for its root answers that.
fn find_route<'a>(view: &'a View, asked: &Asked, parts: &mut request::Parts) -> Option<Matched<'a>> {
    let host = asked.host();
    if parts.uri.path() != "*" {
        return view.plan.routes.find(Host(&host), parts);
    }
    let target = std::mem::replace(&mut parts.uri, Uri::from_static("/"));
    let found = view.plan.routes.find(Host(&host), parts);
    parts.uri = target;
    found
}

/// Answers a request that reaches no version.
fn refuse(worker: &Worker, refusal: Refusal, detail: &'static str, arrival: Arrival) -> Response<RelayBody> {
    worker.cell.refused(refusal);
    let problem = Problem::refused(refusal, detail);
    if let Some(log) = arrival.log {
        log.unrouted(arrival.caller.status(&problem), problem.kind);
    }
    if let Some(trace) = arrival.trace {
        trace.unrouted(arrival.caller.status(&problem), problem.kind);
    }
    answer::refused(&problem, &arrival.caller, &arrival.busy)
}

/// Answers by the route's redirect filter.
fn redirect(
    worker: &Worker,
    matched: Matched<'_>,
    asked: &Asked,
    parts: &request::Parts,
    arrival: Arrival,
) -> Response<RelayBody> {
    let filter = matched.route.filters.iter().find_map(|filter| match filter {
        Filter::Redirect(redirect) => Some(redirect),
        _ => None,
    });
    let port = arrival.busy.0.port;
    let location = filter.and_then(|redirect| {
        let location = redirect.location(&arrival.busy.0.scheme(), Host(&asked.host()), port, parts, matched)?;
        Some((redirect.status, location))
    });
    match location {
        Some((status, location)) => {
            if let Some(log) = arrival.log {
                log.unrouted(status, "redirect");
            }
            if let Some(trace) = arrival.trace {
                trace.unrouted(status, "redirect");
            }
            answer::redirect(status, location, &arrival.busy)
        }
        None => refuse(worker, Refusal::NoRoute, "The route leads nowhere.", arrival),
    }
}
