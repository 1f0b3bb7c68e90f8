//! Who asks, and what they may do: so that a page can say beforehand what would be refused.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::api::schema_of;
use super::connection::Peer;
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

/// The part of the `OpenAPI` document.
pub(super) fn paths() -> [(&'static str, Value); 1] {
    [(
        "/api/v1/me",
        json!({"get": {"operationId": "getMe", "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": schema_of::<MeView>()}}}}}}),
    )]
}
