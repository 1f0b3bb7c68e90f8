//! A request to its answer.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request};
use hyper::body::Incoming;
use xxhash_rust::xxh3::xxh3_128;

use super::body::{Body, Content, Unread, read};
use super::context::context;
use super::events::Events;
use super::pace::Pace;
use super::serve::Server;
use super::target::Target;
use super::{cors, evaluate};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// OFREP's code for whatever has none of its own.
const GENERAL: &str = "GENERAL";

/// The answer before it is tied to its connection.
type Answer = Response<Content>;

/// Answers a request.
pub(super) async fn answer(server: &Rc<Server>, pace: &Rc<Pace>, request: Request<Incoming>) -> Response<Body> {
    pace.exchange_begins();
    let (head, body) = request.into_parts();
    let target = Target::of(head.uri.path());
    let mut answer = match respond(server, pace, &head, &target, body).await {
        Ok(answer) | Err(answer) => answer,
    };
    let headers = answer.headers_mut();
    cors::share(&server.settings.origins, &head.headers, headers);
    if cors::is_preflight(&head.method, &head.headers) {
        cors::permit(headers);
    }
    if pace.is_unread() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    server.cell.answered(target.kind(), answer.status().as_u16());
    answer.map(|content| Body::new(content, pace))
}

async fn respond(
    server: &Rc<Server>,
    pace: &Pace,
    head: &request::Parts,
    target: &Target,
    body: Incoming,
) -> Result<Answer, Answer> {
    let evaluates = matches!(target, Target::Single(_) | Target::Bulk) && head.method == Method::POST;
    if !evaluates && !http_body::Body::is_end_stream(&body) {
        pace.leave_unread();
    }
    match target {
        Target::Unknown => {
            Err(failure(StatusCode::NOT_FOUND, None, GENERAL, &format!("There is nothing at {}.", head.uri.path())))
        }
        _ if head.method == Method::OPTIONS => Ok(with_allow(empty(StatusCode::NO_CONTENT), target)),
        _ if !target.allows(&head.method) => {
            let details = format!("{} is not offered here.", head.method);
            Err(with_allow(failure(StatusCode::METHOD_NOT_ALLOWED, None, GENERAL, &details), target))
        }
        Target::Single(key) => {
            let body = read(server, body).await.map_err(|why| unread(server, pace, Some(key), why))?;
            let context = context(body.as_ref()).map_err(|details| invalid_context(Some(key), &details))?;
            let (status, body) = evaluate::single(&server.flags(), key, &context, now());
            Ok(json(status, body))
        }
        Target::Bulk => bulk(server, pace, &head.headers, body).await,
        Target::Events if head.method == Method::HEAD => Ok(event_stream(Content::Whole(Bytes::new()))),
        Target::Events => match Events::begin(server, head.headers.get("last-event-id")) {
            Some(events) => Ok(event_stream(Content::Events(events))),
            None => Err(too_many("There are too many event streams.")),
        },
    }
}

async fn bulk(server: &Rc<Server>, pace: &Pace, headers: &HeaderMap, body: Incoming) -> Result<Answer, Answer> {
    let body = read(server, body).await.map_err(|why| unread(server, pace, None, why))?;
    // A few at a time, as contexts and answers take memory. The semaphore is never closed.
    let turn = server.bulk.acquire().await;
    let context = context(body.as_ref()).map_err(|details| invalid_context(None, &details))?;
    drop(body);
    let flags = server.flags();
    let mut out = server.memory.hold();
    let made = evaluate::bulk(&flags, &context, now(), &mut out).await;
    drop(turn);
    made.map_err(|_| no_room())?;
    let etag = format!("\"{:032x}\"", xxh3_128(out.as_ref()));
    let mut answer =
        if matches(headers, &etag) { empty(StatusCode::NOT_MODIFIED) } else { json(StatusCode::OK, out.into_bytes()) };
    if let Ok(etag) = HeaderValue::try_from(etag) {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    Ok(answer)
}

/// Whether the client has what `etag` stands for, by weak comparison (RFC 9110, section 13.1.2).
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Seconds of Unix time.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn unread(server: &Server, pace: &Pace, key: Option<&str>, why: Unread) -> Answer {
    pace.leave_unread();
    match why {
        Unread::TooLarge => {
            let details = format!("The body has more than {} bytes.", server.settings.max_body);
            failure(StatusCode::PAYLOAD_TOO_LARGE, key, GENERAL, &details)
        }
        Unread::TooSlow => failure(StatusCode::REQUEST_TIMEOUT, key, GENERAL, "The body took too long."),
        Unread::NoRoom => no_room(),
        Unread::Broken => failure(StatusCode::BAD_REQUEST, key, GENERAL, "The body is broken."),
    }
}

fn no_room() -> Answer {
    too_many("There is too much to do.")
}

fn too_many(details: &str) -> Answer {
    let mut answer = failure(StatusCode::TOO_MANY_REQUESTS, None, GENERAL, details);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn invalid_context(key: Option<&str>, details: &str) -> Answer {
    failure(StatusCode::BAD_REQUEST, key, "INVALID_CONTEXT", details)
}

fn failure(status: StatusCode, key: Option<&str>, code: &str, details: &str) -> Answer {
    json(status, evaluate::failure(key, code, details))
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Content::Whole(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Content::Whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

fn event_stream(content: Content) -> Answer {
    let mut answer = Response::new(content);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies on the way keep an answer until there is much of it, unless they are told.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

fn with_allow(mut answer: Answer, target: &Target) -> Answer {
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(target.allowed()));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_matches_weakly_and_in_lists() {
        let etag = "\"abc\"";
        let found = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            }
            matches(&headers, etag)
        };
        for values in [&["\"abc\""][..], &["W/\"abc\""], &["\"x\", W/\"abc\""], &["\"x\"", "\"abc\""], &["*"]] {
            assert!(found(values), "{values:?}");
        }
        for values in [&[][..], &["abc"], &["\"ab\""], &["\"abcd\", \"x\""], &["w/\"abc\""], &[""]] {
            assert!(!found(values), "{values:?}");
        }
    }
}
