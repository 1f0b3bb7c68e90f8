//! Requests to a service under migration: by the stage of their key they go to one version, to both, or nowhere.
//!
//! A read goes to the version whose answers clients get. A write to both is taken from the client whole, journaled, and sent to
//! the authoritative version by the way of every other request; its answer is the client's, and what it says of the write is told to
//! the journal, which takes care of the other version. From when a write is handed to the journal it is finished whether its client
//! stays or not.
//!
//! What the authoritative version's answer says: 2xx and 3xx, it was done. 307 and 308, which ask for it elsewhere, 4xx, 501 and 505,
//! it was not. Any other 5xx, an answer that is no HTTP, and none at all: nobody knows. What was never sent was not done. Where a
//! write is sent again after an answer by which nobody knows, only an answer by which it was done settles that.

mod landing;
mod write;

pub(super) use landing::Landing;
pub(super) use write::Sent;

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};
use http_body::Body;

use super::ask::Asked;
use super::forward::Forward;
use super::upgrade;
use super::{Arrival, Exchange, RelayBody, refuse};
use crate::plan::{Matched, Migration, Reads, ServiceId, Side, VersionId, WithoutKey};
use crate::proxy::problem::Problem;
use crate::proxy::view::View;
use crate::proxy::worker::Worker;
use crate::telemetry::{Refusal, WriteResult};
use crate::tls::fill_random;
use crate::wire::Incoming;
use write::Writing;

/// Where the stage of a migration has a request go.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) version: VersionId,
    /// For a read: the side whose answer is compared with the client's, if one is.
    pub(super) compared: Option<Side>,
    /// There for a write to both versions.
    pub(super) write: Option<PlacedWrite>,
}

/// What a write to both versions carries.
#[derive(Debug)]
pub(super) struct PlacedWrite {
    /// The header against repetition, where the client sent none.
    pub(super) own_key: Option<(HeaderName, HeaderValue)>,
    pub(super) landing: Rc<Landing>,
}

impl PlacedWrite {
    /// Puts among the headers what the write carries; gives where it is said what it has come to.
    pub(super) fn put(self, headers: &mut HeaderMap) -> Rc<Landing> {
        if let Some((name, value)) = self.own_key {
            headers.insert(name, value);
        }
        self.landing
    }
}

/// The key of writes that have none, where these are kept in one order. No harm is done if a thing has it, too.
const KEYLESS: &str = "*";
/// Most bytes of a key against repetition.
const MAX_IDEMPOTENCY_KEY: usize = 256;

type Turned = (WriteResult, Refusal, &'static str);

/// Finds out where a request goes by the stage of its key; gives the answer where it goes nowhere.
#[expect(clippy::too_many_arguments, reason = "all that is known of a request")]
pub(super) fn begin(
    worker: &Rc<Worker>,
    view: &Rc<View>,
    matched: Matched<'_>,
    (service, migration): (ServiceId, &Arc<Migration>),
    mut asked: Asked,
    mut parts: request::Parts,
    body: Incoming,
    arrival: Arrival,
) -> Result<Exchange, Box<Response<RelayBody>>> {
    let writing = match place(view, matched, service, migration, &asked, &parts, &body, &arrival) {
        Ok(Way::To(version, compared)) => {
            let placed = Some(Placed { version, compared, write: None });
            let forward = Forward::new(worker, view, matched, service, &asked, parts, body, arrival, placed);
            return Ok(Exchange::Forwarded(Box::pin(forward.run())));
        }
        Ok(Way::Both(writing)) => writing,
        Err((result, refusal, detail)) => {
            if let Some(cell) = view.migration(service) {
                cell.wrote(result);
            }
            return Err(refuse(worker, refusal, detail, arrival).into());
        }
    };
    // The client is asked for its body here, so no upstream has to.
    parts.headers.remove(http::header::EXPECT);
    asked.glance.expect = false;
    let prefix = matched.prefix.map(Box::from);
    let asking = write::Asking { position: matched.position, prefix, asked, parts, body, arrival };
    Ok(Exchange::Forwarded(Box::pin(write::run(Rc::clone(worker), Rc::clone(view), writing, asking))))
}

/// Where a request goes.
enum Way {
    To(VersionId, Option<Side>),
    Both(Box<Writing>),
}

#[expect(clippy::too_many_arguments, reason = "all that is known of a request")]
fn place(
    view: &View,
    matched: Matched<'_>,
    service: ServiceId,
    migration: &Arc<Migration>,
    asked: &Asked,
    parts: &request::Parts,
    body: &Incoming,
    arrival: &Arrival,
) -> Result<Way, Turned> {
    let is_write = migration.is_write(&parts.method);
    let may_write_both = migration.writes_both();
    if may_write_both {
        // What is written by them cannot be told from what is read, nor kept in order.
        let upgrades =
            upgrade::wanted(parts, asked.glance, arrival.busy.0.is_h2.get(), !body.is_end_stream()).is_some();
        if upgrades || arrival.caller.rpc().is_some() {
            let detail = "The service is under migration: calls of gRPC and upgrades cannot be served meanwhile.";
            return Err((WriteResult::Unsupported, Refusal::Migration, detail));
        }
    }
    let key = match migration.entity_key(parts) {
        Ok(key) => key,
        // Reads of what cannot be there are for the version to answer.
        Err(_) if !is_write || !may_write_both => None,
        Err(_) => {
            let detail = "The key of what is written is too long, or no text.";
            return Err((WriteResult::BadKey, Refusal::MigrationKey, detail));
        }
    };
    let stage = migration.stage_of(key.as_ref().map(|key| key.as_str().as_bytes()));
    if !is_write {
        let compared = match stage.reads() {
            Reads::Only(_) => None,
            Reads::Compared(side) => Some(side.other()),
        };
        return Ok(Way::To(migration.version(stage.client_gets()), compared));
    }
    // Also where the stage before is one of a single version: it would be found out only once all keys are moved on.
    if key.is_none() && may_write_both && migration.rules.without_key == WithoutKey::Refuse {
        let detail = "The service is under migration, and this write does not say what it is about.";
        return Err((WriteResult::NoKey, Refusal::MigrationKey, detail));
    }
    let authoritative = migration.version(stage.authoritative());
    let Some(other) = stage.also_writes() else { return Ok(Way::To(authoritative, None)) };
    if body.size_hint().lower() > migration.rules.max_body as u64 {
        return Err((WriteResult::TooLarge, Refusal::BodyTooLarge, TOO_LARGE));
    }
    let (idempotency, made) = match idempotency_key(migration, parts) {
        Ok(Some(sent)) => (sent, false),
        Ok(None) => (fresh_key().ok_or(NO_KEY_MADE)?, true),
        Err(detail) => return Err((WriteResult::BadKey, Refusal::MigrationKey, detail)),
    };
    // Every service under migration has figures.
    let cell = view.migration(service).map(Arc::clone).unwrap_or_default();
    let timeouts = matched.route.timeouts;
    let migration = Arc::clone(migration);
    let other = migration.version(other);
    let key = key.map_or(KEYLESS.into(), |key| Arc::from(key.as_str()));
    let names_host = asked.host_header.is_some();
    Ok(Way::Both(Box::new(Writing {
        service,
        migration,
        authoritative,
        other,
        key,
        idempotency,
        made,
        names_host,
        timeouts,
        cell,
    })))
}

const TOO_LARGE: &str = "The body is larger than a write to two versions may be.";
const NO_KEY_MADE: Turned =
    (WriteResult::NotJournaled, Refusal::Journal, "The system has no random numbers for a key against repetition.");

/// The key against repetition that the client sent.
fn idempotency_key(migration: &Migration, parts: &request::Parts) -> Result<Option<HeaderValue>, &'static str> {
    let mut lines = parts.headers.get_all(&migration.rules.idempotency_key).iter();
    let Some(key) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err("There is more than one key against repetition.");
    }
    let is_plain = key.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte));
    if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY || !is_plain {
        return Err("The key against repetition is empty, longer than 256 bytes, or not plain text.");
    }
    Ok(Some(key.clone()))
}

/// 122 random bits as a UUID of version 4 (RFC 9562, section 5.4). `None`: the system has no random numbers.
fn fresh_key() -> Option<HeaderValue> {
    let mut bytes = [0; 16];
    fill_random(&mut bytes).ok()?;
    HeaderValue::try_from(uuid(bytes)).ok()
}

fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The answer to a write that the journal did not take.
fn not_journaled(kind: &'static str, detail: &'static str) -> Problem {
    Problem { kind, ..Problem::refused(Refusal::Journal, detail) }
}

/// What an answer says of a write; `None`: nothing.
fn is_done(status: StatusCode) -> Option<bool> {
    match status.as_u16() {
        307 | 308 | 400..=499 | 501 | 505 => Some(false),
        200..=399 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_made_are_uuids_of_version_4() {
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let (one, other) = (fresh_key().unwrap(), fresh_key().unwrap());
        assert_eq!(one.len(), 36);
        assert_ne!(one, other);
    }

    #[test]
    fn an_answer_says_done_or_not_or_nothing() {
        let said = |status: u16| is_done(StatusCode::from_u16(status).unwrap());
        for done in [200, 201, 204, 303, 304] {
            assert_eq!(said(done), Some(true), "{done}");
        }
        for not_done in [307, 308, 400, 404, 408, 409, 429, 499, 501, 505] {
            assert_eq!(said(not_done), Some(false), "{not_done}");
        }
        for unknown in [101, 500, 502, 503, 504, 599] {
            assert_eq!(said(unknown), None, "{unknown}");
        }
    }
}
