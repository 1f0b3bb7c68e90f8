//! Services: versions, where they answer, sticky keys, who may choose.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::plan::{
    self, Follow, HealthCheck, KeySource, Outliers, ServiceId, Split, UpstreamSpec, VersionOverride, Weight,
};
use crate::tls::Part;

use super::attached::service_flags;
use super::deprecation::deprecation;
use super::faults::faults;
use super::health::{health_check, outliers};
use super::migration::migration;
use super::overload::overload;
use super::retry::fallback;
use super::rollout::rollout;
use super::shadow::{default_diff, diff, shadow};
use super::tls;
use super::weights::{version_names, weights_of_service, whole};
use crate::config::problem::{Problems, Spot};
use crate::config::read::{At, Named};
use crate::config::settings::Ending;
use crate::config::values::{CertificatePart, Name, Protocol, Upstream};
use crate::config::written::{MAX_SERVICES, Override, Service, Sticky, Version};

type Services = Named<Service, 1, MAX_SERVICES>;

/// A service that lacks only its split.
pub(super) struct Draft {
    name: Arc<str>,
    spot: Spot,
    versions: Vec<plan::Version>,
    sticky: Vec<KeySource>,
    version_override: Option<VersionOverride>,
    outliers: Outliers,
    overload: Option<plan::Overload>,
    fallback: Option<plan::Fallback>,
    follow: Option<Follow>,
    faults: Vec<plan::Fault>,
    rollout: Option<Arc<plan::RolloutPlan>>,
    migration: Option<Arc<plan::Migration>>,
    deprecation: Option<Arc<plan::Deprecation>>,
    shadow: Option<Arc<plan::Shadow>>,
    diff: Option<Arc<plan::DiffPlan>>,
    flags: plan::ServiceFlags,
}

/// All services, in the order of the file. `None` after noting why one of them is none.
pub(super) fn drafts(services: &Services, problems: &mut Problems<'_>) -> Option<Vec<Draft>> {
    let draft = |(name, service): &(At<Name>, Option<Service>)| draft(name, service.as_ref()?, problems);
    all(services.entries.iter().map(draft))
}

/// What `serin.yaml` itself says of weights, by service: where it says nothing, everything goes to the oldest version,
/// so that a version which is merely listed gets no traffic.
pub(super) fn own_weights(services: &Services, problems: &mut Problems<'_>) -> Option<Vec<Vec<Weight>>> {
    all(services.entries.iter().map(|(_, service)| {
        let service = service.as_ref()?;
        let names = version_names(service);
        match &service.weights {
            Some(weights) => weights_of_service(weights, names.as_deref(), problems),
            None => Some(names?.iter().enumerate().map(|(i, _)| whole(if i == 0 { 100 } else { 0 })).collect()),
        }
    }))
}

/// The services with the weights that are in force: the weight file's where it names the service, else their own.
pub(super) fn with_splits(
    drafts: Vec<Draft>,
    own: &[Vec<Weight>],
    file: &[(ServiceId, Vec<Weight>)],
    problems: &mut Problems<'_>,
) -> Option<Vec<Arc<plan::Service>>> {
    let weights_of = |index: usize| {
        let from_file = file.iter().find(|(id, _)| id.index() == index);
        from_file.map_or_else(|| own[index].clone(), |(_, weights)| weights.clone())
    };
    all(drafts.into_iter().enumerate().map(|(index, draft)| {
        let names: Vec<Arc<str>> = draft.versions.iter().map(|version| version.name.clone()).collect();
        let split = match Split::new(&draft.name, 0, &names, weights_of(index)) {
            Ok(split) => split,
            Err(error) => {
                problems.error(&draft.spot, error.to_string());
                return None;
            }
        };
        let Draft {
            name,
            versions,
            sticky,
            version_override,
            overload,
            fallback,
            outliers,
            follow,
            faults,
            rollout,
            migration,
            deprecation,
            shadow,
            diff,
            flags,
            ..
        } = draft;
        Some(Arc::new(plan::Service {
            name,
            versions,
            sticky,
            split,
            version_override,
            overload,
            fallback,
            outliers,
            follow,
            faults,
            rollout,
            migration,
            shadow,
            diff,
            deprecation,
            flags,
            control: None,
        }))
    }))
}

/// When the faults of all services end.
pub(super) fn endings(services: &Services, problems: &Problems<'_>) -> Vec<Ending> {
    let services = services.entries.iter().filter_map(|(_, service)| service.as_ref());
    services.flat_map(|service| super::faults::endings(service, problems)).collect()
}

/// All of them, or `None`; every one is made either way, so that every error is noted.
pub(super) fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let items: Vec<Option<T>> = items.collect();
    items.into_iter().collect()
}

fn draft(name: &At<Name>, service: &Service, problems: &mut Problems<'_>) -> Option<Draft> {
    let health = optional(service.health.as_ref(), |written| health_check(written, problems));
    let outliers = optional(service.outliers.as_ref(), |written| outliers(written, problems));
    let versions = service.versions.as_ref().and_then(|versions| {
        let health = health.as_ref().and_then(Option::as_ref);
        all(versions.entries.iter().map(|(name, written)| version(name, written.as_ref()?, health, problems)))
    });
    let sticky = all(service.sticky.iter().flat_map(|list| list.iter()).map(|written| key_source(written, problems)));
    // Outside the one `Option` for "none" and "wrong", so that either is told from the other.
    let fallback = service.fallback.as_ref().map(|written| fallback(written, service, problems));
    let faults = faults(service, version_names(service).as_deref(), problems);
    let rollout = optional(service.rollout.as_ref(), |written| rollout(written, service, problems));
    let deprecation = optional(service.deprecation.as_ref(), |written| deprecation(written, service, problems));
    let migration = optional(service.migration.as_ref(), |written| migration(&name.0, written, service, problems));
    let shadow = optional(service.shadow.as_ref(), |written| shadow(written, &name.value, service, problems));
    let diff = optional(service.diff.as_ref(), |written| diff(written, service, problems));
    health?;
    Some(Draft {
        name: name.0.clone(),
        spot: name.spot.clone(),
        versions: versions?,
        sticky: sticky?,
        version_override: service.version_override.as_ref().map(version_override),
        overload: service.overload.as_ref().map(|written| overload(written, problems)),
        fallback: match fallback {
            Some(fallback) => Some(fallback?),
            None => None,
        },
        outliers: outliers?.unwrap_or_default(),
        follow: follow(service, problems)?,
        faults: faults?,
        rollout: rollout?.map(Arc::new),
        migration: migration?.map(Arc::new),
        deprecation: deprecation?.map(Arc::new),
        shadow: shadow?.map(Arc::new),
        diff: diff?.or_else(|| service.migration.as_ref().map(|_| default_diff())).map(Arc::new),
        flags: service_flags(service),
    })
}

/// What may be left out: `None` only where it is there and wrong.
#[expect(clippy::option_option, reason = "wrong, left out, or there")]
fn optional<W, T>(written: Option<&W>, compile: impl FnOnce(&W) -> Option<T>) -> Option<Option<T>> {
    written.map_or(Some(None), |written| compile(written).map(Some))
}

/// `health`: what the service says for all its versions.
fn version(
    name: &At<Name>,
    written: &Version,
    health: Option<&Arc<HealthCheck>>,
    problems: &mut Problems<'_>,
) -> Option<plan::Version> {
    let own_health = optional(written.health.as_ref(), |written| health_check(written, problems));
    let upstreams: Vec<&At<Upstream>> = match (&written.upstream, &written.upstreams) {
        (Some(one), None) => vec![one],
        (None, Some(several)) => several.iter().collect(),
        (Some(_), Some(several)) => {
            let spot = several.first().map_or(&written.spot, |upstream| &upstream.spot);
            problems.error(spot, "`upstream` and `upstreams` are both given").expected("one of them");
            return None;
        }
        (None, None) => {
            // One that could not be read, or whose key is misspelt, is not missing.
            if !problems.noted(&written.spot, &["upstream", "upstreams"]) {
                problems
                    .error(&written.spot, "it does not say where this version answers")
                    .expected("`upstream` or `upstreams`");
            }
            return None;
        }
    };
    let tls = tls::upstream(written.tls.as_ref(), &upstreams, problems)?;
    let addresses = upstreams.into_iter().map(|upstream| upstream.address.clone()).collect();
    let protocol = match written.protocol.as_ref().map(|protocol| protocol.value) {
        None | Some(Protocol::Auto) => plan::Protocol::Auto,
        Some(Protocol::Http1) => plan::Protocol::Http1,
        Some(Protocol::H2) => plan::Protocol::H2,
    };
    // Invariant: a `Name` holds nothing but letters, digits, `-`, `_` and `.`.
    let header = HeaderValue::from_str(&name.0).expect("names are plain ASCII");
    Some(plan::Version {
        name: name.0.clone(),
        header,
        upstream: Arc::new(UpstreamSpec { addresses, protocol, tls }),
        health: own_health?.or_else(|| health.cloned()),
    })
}

pub(super) fn key_source(written: &Sticky, problems: &mut Problems<'_>) -> Option<KeySource> {
    let Sticky { header, cookie, query, client_ip, client_certificate, spot } = written;
    let source = match (header, cookie, query, client_ip, client_certificate) {
        (Some(header), None, None, None, None) => KeySource::Header(header.0.clone()),
        (None, Some(cookie), None, None, None) => KeySource::Cookie(cookie.0.clone()),
        (None, None, Some(query), None, None) => KeySource::Query(query.0.clone()),
        (None, None, None, Some(_), None) => KeySource::ClientIp,
        (None, None, None, None, Some(part)) => KeySource::ClientCertificate(match part.value {
            CertificatePart::Subject => Part::Subject,
            CertificatePart::Uri => Part::Uri,
            CertificatePart::Dns => Part::Dns,
            CertificatePart::Hash => Part::Hash,
        }),
        (None, None, None, None, None) => {
            if !problems.noted(spot, &["header", "cookie", "query", "clientIp", "clientCertificate"]) {
                problems.error(spot, "it does not say where the sticky key stands").expected(SOURCES);
            }
            return None;
        }
        _ => {
            problems
                .error(spot, "more than one key")
                .expected(SOURCES)
                .help("list them one after the other, the first present in a request wins: [{header: a}, {cookie: b}]");
            return None;
        }
    };
    if let KeySource::Cookie(name) | KeySource::Query(name) = &source
        && name.is_empty()
    {
        problems.error(spot, "the name is empty").expected("the name of a cookie or query parameter");
        return None;
    }
    Some(source)
}

const SOURCES: &str = "exactly one of: header, cookie, query, clientIp, clientCertificate";

/// The outer `None` after noting why not.
#[expect(clippy::option_option, reason = "noted as wrong, not asked for, or how")]
fn follow(written: &Service, problems: &mut Problems<'_>) -> Option<Option<Follow>> {
    let from = written.follow_from.as_ref().map(|ranges| ranges.iter().map(|range| range.value.0).collect());
    match (&written.follow, &written.follow_from) {
        (Some(_), _) => Some(Some(Follow { from })),
        (None, None) => Some(None),
        (None, Some(_)) if problems.noted(&written.spot, &["follow"]) => None,
        (None, Some(ranges)) => {
            let spot = ranges.first().map_or(&written.spot, |range| &range.spot);
            problems
                .error(spot, "`followFrom` says whom to follow, but nothing is followed")
                .expected("`follow: baggage` beside it");
            None
        }
    }
}

fn version_override(written: &Override) -> VersionOverride {
    let header = written.header.as_ref().map_or(HeaderName::from_static("x-serin-version"), |header| header.0.clone());
    let from = written.from.iter().flat_map(|list| list.iter()).map(|range| range.value.0).collect();
    VersionOverride { header, from }
}
