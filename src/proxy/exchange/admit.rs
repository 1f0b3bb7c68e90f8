//! Between pick and forward, where the service has `overload`: whether the version takes one more request now.

use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Response, request};

use super::answer;
use super::{Busy, Record, RelayBody};
use crate::plan::{Priority, Route, Service};
use crate::proxy::caller::Caller;
use crate::proxy::client::{Client, contains};
use crate::proxy::problem::Problem;
use crate::proxy::worker::Worker;
use crate::telemetry::{Refusal, Shed};

/// Seconds after which whoever is turned away may come again; drawn, so that those turned away together do not come
/// again together.
const RETRY_AFTER_SECONDS: std::ops::RangeInclusive<u16> = 1..=3;

/// How much a request matters: what its header says where that is believed, else what its route says.
pub(super) fn priority(service: &Service, route: &Route, parts: &request::Parts, client: &Client) -> Priority {
    let header = service.overload.as_ref().and_then(|overload| overload.priority_header.as_ref());
    let said = header.and_then(|header| {
        let said = parts.headers.get(&header.name)?;
        contains(&header.from, client.peer.ip()?).then(|| Priority::named(said.as_bytes())).flatten()
    });
    said.unwrap_or(route.priority)
}

/// The answer to a request that was turned away. `ends`: the client must not send another one on its connection.
pub(super) fn turned_away(
    worker: &Worker,
    shed: Shed,
    caller: &Caller,
    version: HeaderValue,
    record: Record,
    busy: &Busy,
    ends: bool,
) -> Response<RelayBody> {
    worker.cell.refused(Refusal::Overload);
    let problem = Problem::refused(
        Refusal::Overload,
        match shed {
            Shed::QueueFull => "The service is overloaded: too many requests wait for it.",
            Shed::QueueTimeout => "The service is overloaded: this request has waited for too long.",
        },
    );
    record.turned_away(shed, &problem, caller);
    let mut response = answer::refused(&problem, caller, busy);
    let headers = response.headers_mut();
    headers.insert(super::headers::X_SERIN_VERSION, version);
    headers.insert(RETRY_AFTER, worker.rng.borrow_mut().u16(RETRY_AFTER_SECONDS).into());
    if ends {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
