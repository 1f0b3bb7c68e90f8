//! What each endpoint asks of whoever calls it: one table, held against the `OpenAPI` document by a test.
//!
//! An endpoint that is not in it answers nobody, so that none is forgotten.

use axum::http::Method;
use serde_json::{Value, json};

use super::api::MAX_BODY;
use super::reconcile;
use crate::access::{Right, Role};
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

/// Says in the `OpenAPI` document what every endpoint asks for.
pub(super) fn describe(document: &mut Value) {
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "a token of the tokens file"},
        "certificate": {"type": "mutualTLS", "description": "a client certificate that `admin.clients` names"},
    });
    // The first: without any, where that is enough.
    document["security"] = json!([{}, {"token": []}, {"certificate": []}]);
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let (rights, figures) = match Method::from_bytes(method.to_uppercase().as_bytes()).map(|m| need(&m, path)) {
                Ok(Some(Need::Any(rights))) => (rights, false),
                Ok(Some(Need::Figures)) => (&[Right::Read][..], true),
                Ok(Some(Need::Identity)) => (&[][..], true),
                _ => continue,
            };
            if !rights.is_empty() {
                operation["x-serin-roles"] = json!(roles(rights));
            }
            let mut answers =
                vec![("401", "no credentials, or wrong ones"), ("429", "too many wrong credentials came from there")];
            if !rights.is_empty() {
                answers.push(("403", "this role may not"));
            }
            if !figures && !rights.contains(&Right::Read) {
                answers.extend([("408", "the body took too long"), ("415", "the body is not said to be JSON")]);
            }
            for (status, description) in answers {
                let problem = json!({"description": description, "content": {"application/problem+json": {}}});
                // What it says itself is closer to it.
                if operation["responses"][status].is_null() {
                    operation["responses"][status] = problem;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::admin::api::document;

    #[test]
    fn the_table_and_the_described_endpoints_are_the_same() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let methods = ["get", "put", "post", "delete", "patch"];
        let described: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| item.as_object().expect("operations").keys().map(move |key| (key, path)))
            .filter(|(key, _)| methods.contains(&key.as_str()))
            .map(|(method, path)| (method.to_uppercase(), path.clone()))
            .collect();
        // gRPC describes itself, the page is for people, and the rest is how one finds the rest.
        let undescribed =
            |path: &str| path.starts_with("/grpc.") || ["/", "/assets/{file}", "/api/v1/openapi.json"].contains(&path);
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
