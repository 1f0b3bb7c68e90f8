//! Whether a request is one of a control arm: those of the old version that a rollout compares the new one with.
//!
//! Nothing of it decides who answers.

use http::request;

use super::pick::{self, Picked};
use crate::plan::{ControlArm, Plan, Service, StickyKey};
use crate::proxy::client::Client;
use crate::telemetry::Why;

/// Whether a request belongs to `arm`. Only one that its key, a draw or an earlier meeting brought to the arm's version does,
/// and of the keys only those that are the version's by weight: others are here for a while, because theirs is down.
pub(super) fn has(
    arm: &ControlArm,
    service: &Service,
    picked: Picked,
    parts: &request::Parts,
    client: &Client,
    plan: &Plan,
    rng: &mut fastrand::Rng,
) -> bool {
    if picked.version != arm.of() || !matches!(picked.why, Why::Key | Why::Draw | Why::Follow) {
        return false;
    }
    let address = pick::client_address(parts, client, plan);
    let key = StickyKey::find(&service.sticky, &parts.headers, parts.uri.query(), address, client.identity());
    match key {
        Some(key) if picked.why == Why::Key && service.split.pick_key(key.as_bytes()) != arm.of() => false,
        Some(key) => arm.has_key(key.as_bytes()),
        None => arm.has_draw(rng.u64(..)),
    }
}
