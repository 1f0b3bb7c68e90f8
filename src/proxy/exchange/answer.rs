//! serin's own answers.

use http::{HeaderValue, Response, StatusCode, header};

use super::headers::{X_SERIN_ERROR, X_SERIN_VERSION};
use super::{Busy, Record, RelayBody};
use crate::proxy::caller::Caller;
use crate::proxy::problem::Problem;

/// The answer to a request that a version should have answered.
pub(super) fn failed(
    problem: &Problem,
    caller: &Caller,
    version: HeaderValue,
    mut record: Record,
    busy: &Busy,
) -> Response<RelayBody> {
    record.answered(caller.status(problem));
    let mut response = document(problem, caller, Some(record), busy);
    response.headers_mut().insert(X_SERIN_VERSION, version);
    response
}

/// The answer to a request that reached no version.
pub(super) fn refused(problem: &Problem, caller: &Caller, busy: &Busy) -> Response<RelayBody> {
    document(problem, caller, None, busy)
}

fn document(problem: &Problem, caller: &Caller, record: Option<Record>, busy: &Busy) -> Response<RelayBody> {
    let mut response = Response::new(RelayBody::own(caller.body(problem), record, busy));
    *response.status_mut() = caller.status(problem);
    let headers = response.headers_mut();
    caller.describe(problem, headers);
    headers.insert(X_SERIN_ERROR, problem.kind_header());
    if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND {
        // Whoever sends what cannot be understood may mean something else by what follows, too.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if problem.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static(ALLOWED));
    }
    response
}

const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";

/// Sends the client elsewhere.
pub(super) fn redirect(status: StatusCode, location: HeaderValue, busy: &Busy) -> Response<RelayBody> {
    let mut response = Response::new(RelayBody::own(String::new(), None, busy));
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, location);
    response
}
