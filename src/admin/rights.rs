//! What each endpoint asks of whoever calls it: one table, held against the `OpenAPI` document by a test.
//!
//! An endpoint that is not in it answers nobody, so that none is forgotten.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::api::MAX_BODY;
use super::document::example_problem;
use super::reconcile;
use crate::access::{Access, Right, Role};
use crate::wire::grpc_health::{CHECK, LIST, WATCH};

/// What an endpoint asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: whoever asks whether the process is well need not say who they are.
    Nothing,
    /// Nothing either, but whoever shows credentials must show good ones: it is about them.
    Identity,
    /// To read, where figures are protected.
    Figures,
    /// One of these rights.
    Any(&'static [Right]),
}

const READ: Need = Need::Any(&[Right::Read]);
const OPERATE: Need = Need::Any(&[Right::Operate]);

/// By method and path, as the router knows it.
const TABLE: &[(&str, &str, Need)] = &[
    // The page itself holds nothing; what it shows it has to ask for.
    ("GET", "/", Need::Nothing),
    ("GET", "/assets/{file}", Need::Nothing),
    ("GET", "/api/v1/me", Need::Identity),
    ("GET", "/livez", Need::Nothing),
    ("GET", "/readyz", Need::Nothing),
    ("GET", "/metrics", Need::Figures),
    ("GET", "/api/v1/openapi.json", READ),
    ("GET", "/api/v1/services", READ),
    ("GET", "/api/v1/services/{service}", READ),
    ("PUT", "/api/v1/services/{service}/weights", OPERATE),
    ("GET", "/api/v1/services/{service}/weights/preview", READ),
    ("GET", "/api/v1/services/{service}/history", READ),
    ("GET", "/api/v1/services/{service}/distribution", READ),
    ("GET", "/api/v1/live", READ),
    ("GET", "/api/v1/flags", READ),
    ("GET", "/api/v1/services/{service}/rollout", READ),
    // Which of them, the action says.
    ("POST", "/api/v1/services/{service}/rollout", Need::Any(&[Right::Operate, Right::Approve])),
    ("GET", "/api/v1/services/{service}/rollout/preflight", READ),
    ("GET", "/api/v1/services/{service}/drill", READ),
    ("POST", "/api/v1/services/{service}/drill", OPERATE),
    ("GET", "/api/v1/events", READ),
    ("GET", "/api/v1/services/{service}/migration", READ),
    ("PUT", "/api/v1/services/{service}/migration", OPERATE),
    ("GET", "/api/v1/services/{service}/migration/deadLetters", READ),
    ("POST", "/api/v1/services/{service}/migration/deadLetters", OPERATE),
    ("GET", reconcile::PATH, READ),
    ("POST", reconcile::PATH, OPERATE),
    ("DELETE", reconcile::PATH, OPERATE),
    ("GET", "/api/v1/services/{service}/diffs", READ),
    ("DELETE", "/api/v1/services/{service}/diffs", OPERATE),
    ("GET", "/api/v1/ledger", READ),
    ("GET", "/api/v1/ledger/verify", READ),
    ("GET", "/api/v1/ledger/{number}", READ),
    ("POST", CHECK, Need::Nothing),
    ("POST", WATCH, Need::Nothing),
    ("POST", LIST, Need::Nothing),
    ("POST", "/grpc.health.v1.Health/{method}", Need::Nothing),
];

/// Longest body that an endpoint takes, in bytes.
pub(super) fn max_body(path: &str) -> usize {
    if path == reconcile::PATH { reconcile::MAX_BODY } else { MAX_BODY }
}

/// What an endpoint asks for; `None`: it is not in the table.
pub(super) fn need(method: &Method, path: &str) -> Option<Need> {
    // Whoever may have a body may have its head.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    TABLE.iter().find(|(known, at, _)| *known == method && *at == path).map(|(_, _, need)| *need)
}

/// The roles that have one of these rights.
pub(super) fn roles(rights: &[Right]) -> Vec<&'static str> {
    let may = |role: &Role| rights.iter().any(|right| role.may(*right));
    Role::ALL.into_iter().filter(may).map(Role::word).collect()
}

/// Says in the `OpenAPI` document what every endpoint asks for, as it is configured, and how it turns requests away.
pub(super) fn describe(document: &mut Value, access: &Access) {
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "a token of the tokens file"},
        "certificate": {"type": "mutualTLS", "description": "a client certificate that `admin.clients` names"},
    });
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let Some(need) = Method::from_bytes(method.to_uppercase().as_bytes()).ok().and_then(|m| need(&m, path))
            else {
                continue;
            };
            operation["security"] = security(need, access);
            let rights = match need {
                Need::Any(rights) => rights,
                Need::Figures => &[Right::Read],
                Need::Identity | Need::Nothing => &[],
            };
            if !rights.is_empty() {
                operation["x-serin-roles"] = json!(roles(rights));
            }
            let has_body = !operation["requestBody"].is_null();
            for (status, response) in refusals(need, path, has_body) {
                // What it says itself is closer to it; headers are the same whoever says it.
                let said = &mut operation["responses"][status.as_str()];
                let headers = response["headers"].clone();
                if said.is_null() {
                    *said = response;
                } else if !headers.is_null() {
                    said["headers"] = headers;
                }
            }
        }
    }
}

/// Who may ask: without anything where that is enough, else by any of what is known.
fn security(need: Need, access: &Access) -> Value {
    let known = [(access.tokens.is_some(), "token"), (!access.clients.is_empty(), "certificate")];
    let any = !known.iter().any(|(is_known, _)| *is_known);
    let ways = known.iter().filter(|(is_known, _)| any || *is_known).map(|(_, name)| json!({ *name: [] }));
    let open = |rights: &[Right]| access.anonymous().is_some_and(|role| rights.iter().any(|right| role.may(*right)));
    let nothing = match need {
        Need::Nothing => return json!([]),
        Need::Figures if !access.metrics_protected => return json!([]),
        Need::Identity => true,
        Need::Figures => open(&[Right::Read]),
        Need::Any(rights) => open(rights),
    };
    json!(nothing.then(|| json!({})).into_iter().chain(ways).collect::<Vec<_>>())
}

/// How an endpoint turns requests away before it has looked at them.
fn refusals(need: Need, path: &str, has_body: bool) -> Vec<(StatusCode, Value)> {
    if need == Need::Nothing {
        return Vec::new();
    }
    let header = |about: &str, kind: &str| json!({"description": about, "required": true, "schema": {"type": kind}});
    let mut unknown = example_problem(
        StatusCode::UNAUTHORIZED,
        "no credentials, or wrong ones",
        "This needs the role operator or admin, and no credentials were shown: show a token of the tokens file \
         (`Authorization: Bearer TOKEN`; `serin --token-file FILE`).",
    );
    unknown["headers"]["WWW-Authenticate"] = header("what to show", "string");
    let mut often = example_problem(
        StatusCode::TOO_MANY_REQUESTS,
        "too many wrong credentials came from there",
        "Too many wrong credentials came from there; none is looked at for a while.",
    );
    often["headers"]["Retry-After"] = header("in how many seconds to come again", "integer");
    let mut all = vec![(StatusCode::UNAUTHORIZED, unknown), (StatusCode::TOO_MANY_REQUESTS, often)];
    let mut add = |status, about: &str, detail: &str| all.push((status, example_problem(status, about, detail)));
    if need != Need::Identity {
        let detail = "alice is viewer here; this needs the role operator or admin.";
        add(StatusCode::FORBIDDEN, "this role may not", detail);
    }
    if path.starts_with("/api/") {
        let detail = "There is no parameter `aftr` here: expected none but: service, after.";
        add(StatusCode::BAD_REQUEST, "not what is expected", detail);
    }
    if has_body {
        add(StatusCode::REQUEST_TIMEOUT, "the body took too long", "The body took too long to arrive.");
        add(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long", "The body cannot be taken: length limit exceeded.");
        let detail = "What is expected is a body of JSON, and the header `Content-Type: application/json`.";
        add(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is not said to be JSON", detail);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::admin::document::document;

    #[test]
    fn the_table_and_the_described_endpoints_are_the_same() {
        let document = document(&Access::default());
        let paths = document["paths"].as_object().expect("paths");
        let methods = ["get", "put", "post", "delete", "patch"];
        let described: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| item.as_object().expect("operations").keys().map(move |key| (key, path)))
            .filter(|(key, _)| methods.contains(&key.as_str()))
            .map(|(method, path)| (method.to_uppercase(), path.clone()))
            .collect();
        // gRPC describes itself, and the page is for people.
        let undescribed = |path: &str| path.starts_with("/grpc.") || ["/", "/assets/{file}"].contains(&path);
        let known: BTreeSet<(String, String)> = TABLE
            .iter()
            .filter(|(_, path, _)| !undescribed(path))
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(described, known, "described, and in the table");
        let each: BTreeSet<_> = TABLE.iter().map(|(method, path, _)| (method, path)).collect();
        assert_eq!(each.len(), TABLE.len(), "each endpoint once");
    }

    #[test]
    fn reading_asks_for_reading_and_nothing_else_does() {
        for (method, path, need) in TABLE {
            match need {
                Need::Any(rights) => assert_eq!(rights.contains(&Right::Read), *method == "GET", "{method} {path}"),
                Need::Figures | Need::Identity => assert_eq!(*method, "GET", "{path}"),
                Need::Nothing => {}
            }
        }
    }

    #[test]
    fn a_head_needs_what_its_whole_needs_and_what_is_unknown_is_nobodys() {
        assert_eq!(need(&Method::HEAD, "/api/v1/services"), need(&Method::GET, "/api/v1/services"));
        assert_eq!(need(&Method::PUT, "/api/v1/services"), None);
        assert_eq!(need(&Method::GET, "/api/v1/services/shop"), None, "a path is known by its pattern");
    }
}
