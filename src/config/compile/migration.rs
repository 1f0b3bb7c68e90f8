//! Migrations: versions that exist and differ, keys that can be found, and nothing beside them that steers the service too.

use std::num::NonZeroU8;
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, Method};

use super::reconcile::checks;
use super::services::all;
use super::weights::{version_id, version_names};
use crate::config::node::quote;
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::values::{self, Name};
use crate::config::written::{self, MigrationKey, Service};
use crate::plan::{EntityKeySource, Migration, MigrationRules, Progress, Share, Stage, VersionId, WithoutKey};

/// The methods that write where nothing is said.
const WRITES: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// Most bytes of a body where nothing is said.
const MAX_BODY: u64 = 1 << 20;
/// Headers that mean something else already.
const TAKEN: [HeaderName; 9] =
    [AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE];

/// The migration of a service. `None` after noting why it is none.
pub(super) fn migration(
    name: &str,
    written: &written::Migration,
    service: &Service,
    problems: &mut Problems<'_>,
) -> Option<Migration> {
    let steers = other_steering(service, problems);
    let names = version_names(service);
    let from = written.from.as_ref().and_then(|name| version(name, names.as_deref(), problems));
    let to = written.to.as_ref().and_then(|name| version(name, names.as_deref(), problems));
    let key = all(written.key.iter().flat_map(|list| list.iter()).map(|written| key_source(written, problems)));
    let progress = progress(written, problems);
    let writes = writes(written, problems);
    let idempotency_key = idempotency_key(written, problems);
    let checks = checks(written, problems);
    let ((from, from_name), (to, to_name)) = (from?, to?);
    if let (true, Some(name)) = (from == to, &written.to) {
        problems
            .error(&name.spot, "`from` and `to` are the same version")
            .found(quote(&to_name))
            .expected("another version than `from`");
        return None;
    }
    let journal = super::journal::journal(written, [&from_name, &to_name], problems);
    let rules = MigrationRules {
        from,
        to,
        writes: writes?,
        key: key?,
        without_key: match written.without_key.as_ref().map(|without| without.value) {
            None | Some(values::WithoutKey::Refuse) => WithoutKey::Refuse,
            Some(values::WithoutKey::OneByOne) => WithoutKey::OneByOne,
        },
        idempotency_key: idempotency_key?,
        max_body: usize::try_from(written.max_body.as_ref().map_or(MAX_BODY, |size| size.0)).unwrap_or(usize::MAX),
        checks: checks?,
        journal: Arc::new(journal?),
    };
    let progress = progress?;
    (!steers).then(|| Migration::new(name, [&from_name, &to_name], rules, progress))
}

/// Notes what else in a service says which version answers: under a migration the stage alone does.
fn other_steering(service: &Service, problems: &mut Problems<'_>) -> bool {
    let flag = |by: Option<&written::ByFlag>| by.map(|by| by.spot.clone());
    let mut versions = service.versions.iter().flat_map(|versions| versions.entries.iter());
    let kill = versions.find_map(|(_, version)| version.as_ref()?.kill_switch.as_ref());
    // An empty list of whom to follow announces only, which is nothing to a migration.
    let follows = service.follow_from.as_ref().is_none_or(|from| !from.is_empty());
    let others: [(&str, Option<Spot>); 8] = [
        ("weights", service.weights.as_ref().map(|weights| weights.spot.clone())),
        ("rollout", service.rollout.as_ref().map(|rollout| rollout.spot.clone())),
        ("versionFrom", flag(service.version_from.as_ref())),
        ("killSwitch", flag(kill)),
        ("override", service.version_override.as_ref().map(|by| by.spot.clone())),
        ("shadow", service.shadow.as_ref().map(|shadow| shadow.spot.clone())),
        ("fallback", service.fallback.as_ref().map(|fallback| fallback.spot.clone())),
        ("follow", service.follow.as_ref().filter(|_| follows).map(|follow| follow.spot.clone())),
    ];
    let mut any = false;
    for (key, spot) in others {
        if let Some(spot) = spot {
            any = true;
            problems
                .error(&spot, format!("`{key}` and `migration` both say which version gets a request"))
                .expected(format!("no `{key}`: under a migration its stage alone says it"));
        }
    }
    any
}

fn version(name: &At<Name>, names: Option<&[&str]>, problems: &mut Problems<'_>) -> Option<(VersionId, Arc<str>)> {
    version_id(name, names?, problems).map(|id| (id, Arc::clone(&name.0)))
}

fn progress(written: &written::Migration, problems: &mut Problems<'_>) -> Option<Progress> {
    let stage = written.stage.as_ref().map_or(Stage::Off, |stage| stage.0);
    let share = written.share.as_ref().map_or(Share::ALL, |share| share.value.0);
    if let Some(at) = &written.share
        && stage == Stage::Off
        && share != Share::ALL
    {
        problems
            .error(&at.spot, "there is no stage before `off` for all other keys")
            .found(format!("`{share}`"))
            .expected("no `share`, or 100%");
        return None;
    }
    Some(Progress { stage, share })
}

fn writes(written: &written::Migration, problems: &mut Problems<'_>) -> Option<Vec<Method>> {
    let Some(methods) = &written.writes else { return Some(WRITES.into()) };
    let mut writes: Vec<Method> = Vec::with_capacity(methods.len());
    for method in methods.iter() {
        let never = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::CONNECT];
        if never.contains(&method.0) {
            problems
                .error(
                    &method.spot,
                    "this method does not write (RFC 9110, section 9.2.1), and reads are not journaled",
                )
                .found(quote(method.0.as_str()))
                .expected("one of: POST, PUT, PATCH, DELETE");
            return None;
        }
        if writes.contains(&method.0) {
            problems.error(&method.spot, "this method is in the list already").expected("every method once");
            return None;
        }
        writes.push(method.0.clone());
    }
    Some(writes)
}

fn idempotency_key(written: &written::Migration, problems: &mut Problems<'_>) -> Option<HeaderName> {
    let Some(name) = &written.idempotency_key else { return Some(HeaderName::from_static("idempotency-key")) };
    if TAKEN.contains(&name.0) || name.0.as_str().starts_with("x-serin-") {
        problems
            .error(&name.spot, "this header means something else")
            .found(quote(name.0.as_str()))
            .expected("a header of its own, such as Idempotency-Key");
        return None;
    }
    Some(name.0.clone())
}

fn key_source(written: &MigrationKey, problems: &mut Problems<'_>) -> Option<EntityKeySource> {
    let MigrationKey { header, query, path_segment, spot } = written;
    let source = match (header, query, path_segment) {
        (Some(header), None, None) => EntityKeySource::Header(header.0.clone()),
        (None, Some(query), None) => EntityKeySource::Query(query.0.clone()),
        // Invariant: a count from 1 to 32.
        (None, None, Some(number)) => {
            EntityKeySource::PathSegment(NonZeroU8::new(u8::try_from(number.0).ok()?).expect("not 0"))
        }
        (None, None, None) => {
            if !problems.noted(spot, &["header", "query", "pathSegment"]) {
                problems.error(spot, "it does not say where the key stands").expected(SOURCES);
            }
            return None;
        }
        _ => {
            problems
                .error(spot, "more than one key")
                .expected(SOURCES)
                .help("list them one after the other, the first present in a request wins: [{header: a}, {query: b}]");
            return None;
        }
    };
    if let EntityKeySource::Query(name) = &source
        && name.is_empty()
    {
        problems.error(spot, "the name is empty").expected("the name of a query parameter");
        return None;
    }
    Some(source)
}

const SOURCES: &str = "exactly one of: header, query, pathSegment";
