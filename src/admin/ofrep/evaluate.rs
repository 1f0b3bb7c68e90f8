//! Evaluations as OFREP writes them.

use std::rc::Rc;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use super::memory::{Held, NoRoom};
use super::serve::InUse;
use super::target::EVENTS;
use crate::flags::{Evaluation, EvaluationError, Flag, evaluate};

/// After so many flags of a bulk answer others get their turn: a fraction of a millisecond.
const FLAGS_AT_A_TIME: usize = 64;

/// One flag: the status and the body.
pub(super) fn single(flags: &InUse, key: &str, context: &Map<String, Value>, now: u64) -> (StatusCode, Vec<u8>) {
    let Some(id) = flags.set.get(key) else {
        let details = format!("There is no flag `{key}`.");
        return (StatusCode::NOT_FOUND, failure(Some(key), "FLAG_NOT_FOUND", &details));
    };
    let result = evaluate(&flags.set, id, context, now);
    flags.cells.evaluated(id, &result);
    let mut body = Vec::with_capacity(256);
    write(&mut body, flags.set.flag(id), &result);
    (if result.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST }, body)
}

/// All flags, in the order of their file.
///
/// # Errors
/// Where they have no room in memory.
pub(super) async fn bulk(
    flags: &Rc<InUse>,
    context: &Map<String, Value>,
    now: u64,
    out: &mut Held,
) -> Result<(), NoRoom> {
    out.writer().extend_from_slice(b"{\"flags\":[");
    for (position, (id, flag)) in flags.set.iter().enumerate() {
        if position > 0 {
            out.writer().push(b',');
            if position.is_multiple_of(FLAGS_AT_A_TIME) {
                out.count()?;
                tokio::task::yield_now().await;
            }
        }
        let result = evaluate(&flags.set, id, context, now);
        flags.cells.evaluated(id, &result);
        write(out.writer(), flag, &result);
    }
    let body = out.writer();
    // Without an origin it is the one that the client asked: whatever that is called where the client is.
    body.extend_from_slice(b"],\"eventStreams\":[{\"type\":\"sse\",\"endpoint\":{\"requestUri\":");
    json(body, EVENTS);
    body.extend_from_slice(b"}}]");
    write_metadata(body, flags.set.metadata());
    body.push(b'}');
    out.count()
}

/// An error as OFREP writes it; `key`: that of the flag it is about.
pub(super) fn failure(key: Option<&str>, code: &str, details: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(128);
    body.push(b'{');
    if let Some(key) = key {
        body.extend_from_slice(b"\"key\":");
        json(&mut body, key);
        body.push(b',');
    }
    write_error(&mut body, code, details);
    body.push(b'}');
    body
}

fn write(body: &mut Vec<u8>, flag: &Flag, result: &Result<Evaluation<'_>, EvaluationError>) {
    body.extend_from_slice(b"{\"key\":");
    json(body, &**flag.key());
    match result {
        Ok(Evaluation { variant, value, reason, .. }) => {
            body.extend_from_slice(b",\"reason\":\"");
            body.extend_from_slice(reason.as_str().as_bytes());
            body.push(b'"');
            // Left out where there is none: a null would be taken for the value.
            if let Some(value) = value {
                body.extend_from_slice(b",\"value\":");
                json(body, value);
            }
            if let Some(variant) = variant {
                body.extend_from_slice(b",\"variant\":");
                json(body, variant);
            }
            write_metadata(body, flag.metadata());
        }
        Err(EvaluationError { code, details }) => {
            body.push(b',');
            write_error(body, code.as_str(), details);
        }
    }
    body.push(b'}');
}

fn write_error(body: &mut Vec<u8>, code: &str, details: &str) {
    body.extend_from_slice(b"\"errorCode\":");
    json(body, code);
    body.extend_from_slice(b",\"errorDetails\":");
    json(body, details);
}

fn write_metadata(body: &mut Vec<u8>, metadata: &Map<String, Value>) {
    if !metadata.is_empty() {
        body.extend_from_slice(b",\"metadata\":");
        json(body, metadata);
    }
}

fn json<T: Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    // Invariant: a Vec takes every byte, and all keys are text, so there is nothing that could fail.
    let _ = serde_json::to_writer(body, value);
}
