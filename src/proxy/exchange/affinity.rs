//! Version affinity down the chain: following the version that baggage names, and announcing one's own.

use http::HeaderMap;

use crate::plan::{Follow, Plan, Service, Version, VersionId, announce, followed};
use crate::proxy::client::{Client, contains};

/// The version that the baggage of a request names, where the service follows it and this client is believed.
pub(super) fn follow(service: &Service, headers: &HeaderMap, client: &Client, plan: &Plan) -> Option<VersionId> {
    let follow = service.follow.as_ref()?;
    is_trusted(follow, client, plan).then(|| followed(headers, service)).flatten()
}

/// Tells the services behind this one which version a request meets here, where the service takes part in that.
pub(super) fn tell(headers: &mut HeaderMap, service: &Service, version: &Version, client: &Client, plan: &Plan) {
    if let Some(follow) = &service.follow {
        announce(headers, service, version, is_trusted(follow, client, plan));
    }
}

fn is_trusted(follow: &Follow, client: &Client, plan: &Plan) -> bool {
    match &follow.from {
        None => client.is_trusted(plan),
        Some(from) => client.peer.ip().is_some_and(|ip| contains(from, ip)),
    }
}
