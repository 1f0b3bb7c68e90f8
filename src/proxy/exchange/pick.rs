//! Which version answers.

use http::request;

use super::affinity;
use crate::plan::{Plan, Service, StickyKey, VersionId, VersionSet};
use crate::proxy::client::{Client, contains};
use crate::telemetry::Why;

/// The version and what decided it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picked {
    pub(super) version: VersionId,
    pub(super) why: Why,
}

/// Picks by hand where the client may, else as the request met the service before, else by the sticky key, else by lot. Key
/// and lot choose from the versions that are `up`.
pub(super) fn pick(
    service: &Service,
    up: VersionSet,
    parts: &request::Parts,
    client: &Client,
    plan: &Plan,
    rng: &mut fastrand::Rng,
) -> Picked {
    if let Some(version) = chosen_by_hand(service, parts, client) {
        return Picked { version, why: Why::Override };
    }
    if let Some(version) = affinity::follow(service, &parts.headers, client, plan) {
        return Picked { version, why: Why::Follow };
    }
    let address = client_address(parts, client, plan);
    let (split, all) = (&service.split, up == VersionSet::ALL);
    let key = StickyKey::find(&service.sticky, &parts.headers, parts.uri.query(), address, client.identity());
    let (version, why) = match key {
        Some(key) if all => (split.pick_key(key.as_bytes()), Why::Key),
        Some(key) => (split.pick_key_among(key.as_bytes(), up), Why::Key),
        None if all => (split.pick_draw(rng.u64(..)), Why::Draw),
        None => (split.pick_draw_among(rng.u64(..), up), Why::Draw),
    };
    Picked { version, why }
}

pub(super) fn chosen_by_hand(service: &Service, parts: &request::Parts, client: &Client) -> Option<VersionId> {
    let allowed = service.version_override.as_ref()?;
    let name = parts.headers.get(&allowed.header)?.to_str().ok()?;
    let ip = client.peer.ip()?;
    contains(&allowed.from, ip).then(|| service.version_named(name)).flatten()
}

/// The client's address: the peer's own, or where the peer is a trusted proxy the last address in `X-Forwarded-For` that
/// is not one of ours.
pub(super) fn client_address(parts: &request::Parts, client: &Client, plan: &Plan) -> Option<std::net::IpAddr> {
    if !client.is_trusted(plan) {
        return client.peer.ip();
    }
    let lines = parts.headers.get_all("x-forwarded-for").iter().rev();
    let named = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','))
        .map_while(|address| address.trim().parse::<std::net::IpAddr>().ok())
        .map(|address| address.to_canonical());
    let mut nearest = client.peer.ip();
    for address in named {
        nearest = Some(address);
        if !contains(&plan.trusted, address) {
            break;
        }
    }
    nearest
}
