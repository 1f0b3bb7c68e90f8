//! What a request says, read in one way by all endpoints.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::ledger::MAX_REASON;

/// A JSON body.
pub(super) fn body<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("The body is not what is expected: {error}.")))
}

/// The parameters of a query.
pub(super) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let Query(asked) = query.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    Ok(asked)
}

/// The parameter in a path.
pub(super) fn path<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    let Path(asked) = path.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    Ok(asked)
}

/// Refuses a reason that is too long.
pub(super) fn check_reason(reason: &str) -> Result<(), Problem> {
    if reason.chars().count() <= MAX_REASON {
        return Ok(());
    }
    Err(Problem::new(StatusCode::BAD_REQUEST, format!("The reason is longer than {MAX_REASON} characters.")))
}
