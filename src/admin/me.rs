//! Who asks, and what they may do: so that a page can say beforehand what would be refused.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::connection::Peer;
use super::document::{Operation, Operations};
use super::guard::{Caller, way_in};
use super::serve::Admin;
use crate::access::{Right, Role};

/// The route.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/me", get(show))
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MeView {
    /// What they are called in the ledger.
    name: String,
    /// viewer, operator, approver or admin, by their credentials; nothing where they have shown none.
    #[schemars(extend("enum" = ["viewer", "operator", "approver", "admin", null]))]
    role: Option<&'static str>,
    /// What they may do, by their credentials or because the address is open.
    may: MayView,
    /// How to become somebody who may do more, in words; nothing for whoever has shown credentials.
    way_in: Option<String>,
    /// Whether tokens are known here.
    tokens: bool,
}

/// What somebody may do.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "as many as there are rights")]
pub(super) struct MayView {
    /// Look.
    read: bool,
    /// Change weights, drive rollouts, start drills.
    operate: bool,
    /// Approve.
    approve: bool,
    /// All else.
    administer: bool,
}

async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Arc<Peer>>,
) -> Json<MeView> {
    let access = admin.access.load();
    let is_known = caller.role().is_some();
    Json(MeView {
        name: caller.name.to_string(),
        role: caller.role().map(Role::word),
        may: MayView {
            read: caller.may(Right::Read),
            operate: caller.may(Right::Operate),
            approve: caller.may(Right::Approve),
            administer: caller.may(Right::Administer),
        },
        way_in: (!is_known && !access.open).then(|| format!("This needs a role, {}", way_in(&access, &peer))),
        tokens: access.tokens.is_some(),
    })
}

/// What the document says of it.
pub(super) fn operations() -> Operations {
    let example = json!({"name": "alice", "role": "operator", "may": {"read": true, "operate": true, "approve": false,
        "administer": false}, "wayIn": null, "tokens": true});
    let me = Operation::new("getMe", "process", "Who asks, and what they may do");
    vec![("/api/v1/me", "get", me.answer::<MeView>(200, "as far as it is known", example))]
}
