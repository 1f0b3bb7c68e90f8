//! serin's own answers.

use http::{HeaderValue, Response, StatusCode, header};

use super::headers::{X_SERIN_ERROR, X_SERIN_VERSION};
use super::{Busy, Record, RelayBody};
use crate::proxy::problem::Problem;

/// The answer to a request that a version should have answered.
pub(super) fn failed(problem: &Problem, version: HeaderValue, mut record: Record, busy: &Busy) -> Response<RelayBody> {
    record.answered(problem.status);
    let mut response = document(problem, Some(record), busy);
    response.headers_mut().insert(X_SERIN_VERSION, version);
    response
}

/// The answer to a request that reached no version.
pub(super) fn refused(problem: &Problem, busy: &Busy) -> Response<RelayBody> {
    document(problem, None, busy)
}

fn document(problem: &Problem, record: Option<Record>, busy: &Busy) -> Response<RelayBody> {
    let mut response = Response::new(RelayBody::own(problem.body(), record, busy));
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
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
