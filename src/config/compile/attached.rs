//! Flags that go with requests or steer them: names that do not clash, attributes that can be told apart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;

use crate::config::flag_uses::{FlagRole, FlagUse, FlagUses};
use crate::config::node::quote;
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::values::FlagKey;
use crate::config::written::{self, Serin, Service};
use crate::plan::{
    AttributeSource, FlagAttribute, FlagContext, OWN_ATTRIBUTES, RouteFlag, ServiceFlags, ServiceId, Token, VersionId,
};

/// How far clocks may be apart, where nothing else is said.
const LEEWAY: Duration = Duration::from_secs(30);
/// How far at most: tokens are over when they say so, more or less.
const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// The flags whose values a route sends to its upstream; `None` after noting why not.
pub(super) fn route_flags(
    written: &written::Route,
    redirects: bool,
    problems: &mut Problems<'_>,
) -> Option<Vec<RouteFlag>> {
    let Some(keys) = &written.flags else { return Some(Vec::new()) };
    if redirects && let Some(first) = keys.first() {
        problems.warning(&first.spot, "without effect: a route that redirects sends nothing to an upstream");
    }
    // Some servers and languages take a dash and an underscore in a header's name for the same.
    let mut taken: HashMap<String, &At<FlagKey>> = HashMap::new();
    let mut flags = Vec::with_capacity(keys.len());
    let mut clash = false;
    for key in keys.iter() {
        // Invariant: a key is short enough for a header's name.
        let flag = RouteFlag::new(&key.value.0)?;
        if let Some(other) = taken.insert(flag.header.as_str().replace('_', "-"), key) {
            clash = true;
            let message = if other.value == key.value {
                "this flag is in the list already".to_owned()
            } else {
                format!("the header of {} is that of {} as well", quote(&key.value.0), quote(&other.value.0))
            };
            problems
                .error(&key.spot, message)
                .found(format!("`{}`", flag.header))
                .expected("a header of its own for each");
        }
        flags.push(flag);
    }
    (!clash).then_some(flags)
}

/// What flags do to the split of a service.
pub(super) fn service_flags(written: &Service) -> ServiceFlags {
    let key = |key: &At<FlagKey>| -> Arc<str> { key.value.0.as_str().into() };
    ServiceFlags {
        version_from: written.version_from.as_ref().and_then(|by| by.flag.as_ref()).map(key),
        kill_switches: kill_switches(written).map(|(version, flag)| (version, key(flag))).collect(),
        measure_by: written.measure_by.as_ref().and_then(|by| by.flag.as_ref()).map(key),
        baseline: written.measure_by.as_ref().and_then(|by| by.baseline.as_ref()).map(|name| name.0.as_str().into()),
    }
}

fn kill_switches(written: &Service) -> impl Iterator<Item = (VersionId, &At<FlagKey>)> {
    let versions = written.versions.iter().flat_map(|versions| versions.entries.iter().enumerate());
    versions.filter_map(|(index, (_, version))| {
        Some((VersionId::from_index(index), version.as_ref()?.kill_switch.as_ref()?.flag.as_ref()?))
    })
}

/// Every place that names a flag, to be held against the flag file by whoever reads that.
pub(super) fn uses(written: &Serin, problems: &Problems<'_>) -> FlagUses {
    let one =
        |key: &At<FlagKey>, role| FlagUse { key: key.value.0.clone(), role, place: problems.aside(&key.spot, "") };
    let routes = written.routes.iter().flat_map(|routes| routes.iter());
    let mut uses: Vec<FlagUse> = routes
        .flat_map(|route| route.flags.iter().flat_map(|flags| flags.iter()))
        .map(|key| one(key, FlagRole::Header))
        .collect();
    let services = written.services.iter().flat_map(|services| services.entries.iter().enumerate());
    for (index, service) in services.filter_map(|(index, (_, service))| Some((index, service.as_ref()?))) {
        let service_id = ServiceId::from_index(index);
        let version_from = service.version_from.as_ref().and_then(|by| by.flag.as_ref());
        uses.extend(version_from.map(|key| one(key, FlagRole::VersionFrom(service_id))));
        uses.extend(kill_switches(service).map(|(_, key)| one(key, FlagRole::KillSwitch)));
        let Some(by) = &service.measure_by else { continue };
        uses.extend(by.flag.as_ref().map(|key| one(key, FlagRole::MeasureBy)));
        // Its place is the variant's.
        let baseline = by.flag.as_ref().zip(by.baseline.as_ref());
        uses.extend(baseline.map(|(key, variant)| FlagUse {
            place: problems.aside(&variant.spot, ""),
            ..one(key, FlagRole::Baseline(service_id))
        }));
    }
    FlagUses(uses)
}

/// What the rules of flags may ask; `None` after noting why not.
pub(super) fn flag_context(written: Option<&written::FlagContext>, problems: &mut Problems<'_>) -> Option<FlagContext> {
    let Some(written) = written else { return Some(FlagContext::default()) };
    // The outer `None`: there is one, and something is wrong with it.
    let token = match &written.jwt {
        Some(jwt) => token(jwt, problems).map(Some),
        None => Some(None),
    };
    let list = written.attributes.iter().flat_map(|list| list.iter());
    let mut names: HashMap<String, Spot> = OWN_ATTRIBUTES.map(|name| (name.to_owned(), Spot::default())).into();
    let mut attributes = Vec::new();
    let (mut whole, mut has_claims) = (true, false);
    for written in list {
        let Some((attribute, spot)) = attribute(written, problems) else {
            whole = false;
            continue;
        };
        if let Some(claim) = &written.claim {
            has_claims = true;
            if matches!(token, Some(None)) {
                problems
                    .error(&claim.spot, "a claim, but no token is believed")
                    .expected("`jwt: { jwks: … }` beside `attributes`, with the keys of whoever issues the tokens");
                whole = false;
            }
        }
        if let Some(other) = names.insert(attribute.name.to_string(), spot.clone()) {
            let what = if other.key.is_empty() { "every request has" } else { "another one has" };
            problems
                .error(&spot, format!("{} is the name of an attribute that {what} already", quote(&attribute.name)))
                .expected("another name for it, by `as`");
            whole = false;
        }
        attributes.push(attribute);
    }
    if let (Some(jwt), false) = (&written.jwt, has_claims) {
        problems.warning(&jwt.spot, "without effect: no attribute is a claim");
    }
    let token = token?;
    whole.then_some(FlagContext { attributes, token })
}

fn attribute(written: &written::FlagAttribute, problems: &mut Problems<'_>) -> Option<(FlagAttribute, Spot)> {
    let written::FlagAttribute { header, cookie, query, claim, name, spot } = written;
    let (source, default, at) = match (header, cookie, query, claim) {
        (Some(at), None, None, None) => (AttributeSource::Header(at.0.clone()), at.0.as_str(), &at.spot),
        (None, Some(at), None, None) => (AttributeSource::Cookie(at.0.clone()), at.0.as_str(), &at.spot),
        (None, None, Some(at), None) => (AttributeSource::Query(at.0.clone()), at.0.as_str(), &at.spot),
        (None, None, None, Some(at)) => (AttributeSource::Claim(at.0.clone()), at.0.as_str(), &at.spot),
        (None, None, None, None) => {
            if !problems.noted(spot, &["header", "cookie", "query", "claim"]) {
                problems.error(spot, "it does not say where the attribute is").expected(SOURCES);
            }
            return None;
        }
        _ => {
            problems.error(spot, "more than one source").expected(SOURCES);
            return None;
        }
    };
    if default.is_empty() {
        problems.error(at, "the name is empty").expected("the name of a cookie, query parameter or claim");
        return None;
    }
    let (name, at) = match name {
        Some(name) => (name.value.0.as_str(), &name.spot),
        // One that could not be read is not one that was left out.
        None if problems.noted(spot, &["as"]) => return None,
        None if default.contains('.') || default.starts_with('$') || default.len() > 128 => {
            problems
                .error(at, "rules cannot ask for an attribute of this name")
                .found(quote(default))
                .expected("`as: name` beside it, without dots");
            return None;
        }
        None => (default, at),
    };
    Some((FlagAttribute { name: name.into(), source }, at.clone()))
}

const SOURCES: &str = "exactly one of: header, cookie, query, claim";

fn token(written: &written::Jwt, problems: &mut Problems<'_>) -> Option<Token> {
    let leeway = match &written.leeway {
        None => LEEWAY,
        Some(leeway) => leeway.0.unwrap_or_default(),
    };
    if leeway > MAX_LEEWAY
        && let Some(at) = &written.leeway
    {
        problems.error(&at.spot, "too long").found(format!("{leeway:?}")).expected("at most `5m`");
        return None;
    }
    let jwks = written.jwks.as_ref()?;
    problems.names_file(&jwks.spot, &jwks.0);
    Some(Token {
        header: written.header.as_ref().map_or(AUTHORIZATION, |header| header.0.clone()),
        jwks: jwks.0.clone(),
        issuer: written.issuer.as_ref().map(|issuer| issuer.0.clone()),
        audience: written.audience.as_ref().map(|audience| audience.0.clone()),
        leeway,
        rules: None,
    })
}
