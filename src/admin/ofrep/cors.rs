//! Pages of other origins (Cross-Origin Resource Sharing, as in the Fetch standard).

use http::{HeaderMap, HeaderValue, Method, header};

use crate::config::Origins;

/// What pages may send beside what they always may.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("If-None-Match, Content-Type, Authorization");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("POST, GET");
/// What pages may read beside what they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static("ETag, Retry-After");
/// For how long browsers need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Adds to the head of an answer what the browser needs to let the page have it.
pub(super) fn share(origins: &Origins, request: &HeaderMap, answer: &mut HeaderMap) {
    let allowed = match origins {
        Origins::Any => Some(HeaderValue::from_static("*")),
        Origins::These(origins) if origins.is_empty() => return,
        Origins::These(origins) => {
            // Said to everybody, so that no cache gives one origin's answer to another.
            answer.append(header::VARY, HeaderValue::from_static("Origin"));
            let origin = request.get(header::ORIGIN);
            origin.filter(|origin| origins.iter().any(|known| known.as_bytes() == origin.as_bytes())).cloned()
        }
    };
    if let Some(origin) = allowed {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Whether a browser asks what a page may do.
pub(super) fn is_preflight(method: &Method, request: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && request.contains_key(header::ORIGIN)
        && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a page may do, added to the head of an answer that [`share`] has let it have.
pub(super) fn permit(answer: &mut HeaderMap) {
    if answer.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}
