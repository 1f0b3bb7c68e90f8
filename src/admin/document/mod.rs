//! The `OpenAPI` document of the admin API, put together from what each endpoint says of itself, and from who may do what.

mod operation;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::Method;
use serde_json::{Map, Value, json};

pub(super) use operation::{Operation, Operations, example_problem, problem_schema};

use super::values::{Name, Number};
use super::{
    api, diffs, distribution, events, flags, history, ledger, live, me, migration, preview, reconcile, rights,
    rollback_drill, rollout,
};
use crate::access::Access;

/// What holds for all operations.
const ABOUT: &str = "Watch and steer a serin: weights, rollouts, migrations, the ledger.\n\n\
    - **Errors** are problem documents (RFC 9457) whose `detail` says what to do. A path that is not here answers 404, a \
    method that is not offered at a path 405 with `Allow`, whoever asks.\n\
    - **HEAD** is offered wherever GET is, and answers the same without a body. Paths have no slash at their end.\n\
    - **Queries**: under `/api/v1` a parameter that is not named here, or that comes twice, is refused (400).\n\
    - **Bodies** are JSON of at most 64 KiB, where nothing else is said, with `Content-Type: application/json` (else 415), \
    without keys that are not named here and without a key twice (400). A body that DELETE or GET comes with is not read.\n\
    - **Names** of services that are not configured answer 404.\n\
    - **Who may do what** is said by each operation's `security` and `x-serin-roles`, as it is configured now. Where \
    credentials are not needed, wrong ones are refused all the same.";

/// What operations are about, in the order in which they are shown.
const TAGS: [(&str, &str); 8] = [
    ("services", "What services and their versions do, and who gets which version"),
    ("rollouts", "A version widened step by step, and drills of taking it back"),
    ("comparisons", "Answers of two versions compared"),
    ("migrations", "Writes to two versions, and whether both say the same"),
    ("ledger", "The record of every change"),
    ("events", "What happens, as it happens"),
    ("flags", "The feature flags in force"),
    ("process", "The process itself, and who asks it"),
];

/// All operations, by path and method, as the endpoints describe them.
fn operations() -> Operations {
    let mut all = api::operations();
    all.extend(preview::operations());
    all.extend(history::operations());
    all.extend(distribution::operations());
    all.extend(live::operations());
    all.extend(rollout::operations());
    all.extend(rollback_drill::operations());
    all.extend(diffs::operations());
    all.extend(migration::operations());
    all.extend(reconcile::operations());
    all.extend(ledger::operations());
    all.extend(events::operations());
    all.extend(flags::operations());
    all.extend(me::operations());
    all
}

/// What does not depend on who may do what.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut paths = Map::new();
    let mut schemas = Map::from_iter([("Problem".to_owned(), problem_schema())]);
    for (path, method, operation) in operations() {
        let item = paths.entry(path).or_insert_with(|| in_path(path));
        item[method] = operation.value;
        schemas.extend(operation.schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "serin admin API", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE")}},
        "servers": [{"url": "/", "description": "where this was asked for"}],
        "tags": TAGS.map(|(name, description)| json!({"name": name, "description": description})),
        "paths": paths,
        "components": {"schemas": schemas},
    })
});

/// The document of an API that `access` says of who may do what there.
pub(super) fn document(access: &Access) -> Value {
    let mut document = DOCUMENT.clone();
    rights::describe(&mut document, access);
    document
}

/// The names of the query's parameters that an operation has; `None` where there is no such operation.
pub(super) fn query_of(method: &Method, path: &str) -> Option<&'static [String]> {
    static NAMES: LazyLock<BTreeMap<(String, String), Vec<String>>> = LazyLock::new(|| {
        let named = |(path, method, operation): (&str, &str, Operation)| {
            let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
            let queries = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let names = queries.filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect();
            ((method.to_owned(), path.to_owned()), names)
        };
        operations().into_iter().map(named).collect()
    });
    // Whoever may have a body may have its head.
    let method = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    NAMES.get(&(method, path.to_owned())).map(Vec::as_slice)
}

/// The parameters in a path itself.
fn in_path(path: &str) -> Value {
    let parameter = |name: &str, schema: Value, about: &str, example: Value| {
        json!({"name": name, "in": "path",
        "required": true, "schema": schema, "description": about, "example": example})
    };
    let mut parameters = Vec::new();
    if path.contains("{service}") {
        parameters.push(parameter("service", operation::asked::<Name>(), "the service, by its name", json!("shop")));
    }
    if path.contains("{number}") {
        parameters.push(parameter("number", operation::asked::<Number<1>>(), "the entry, by its number", json!(1)));
    }
    if parameters.is_empty() { json!({}) } else { json!({ "parameters": parameters }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_of_one_name_are_one() {
        let document = document(&Access::default());
        for (path, method, operation) in operations() {
            for (name, schema) in operation.schemas {
                assert_eq!(document["components"]["schemas"][&name], schema, "{name} of {method} {path}");
                assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name}: two types have this name");
            }
        }
    }

    #[test]
    fn every_operation_is_described_whole() {
        let document = document(&Access::default());
        let mut ids = Vec::new();
        for (path, method, _) in operations() {
            let operation = &document["paths"][path][method];
            for key in ["operationId", "summary", "tags", "security"] {
                assert!(!operation[key].is_null(), "{method} {path}: {key}");
            }
            ids.push(operation["operationId"].as_str().expect("an id").to_owned());
            let tag = operation["tags"][0].as_str().expect("a tag");
            assert!(TAGS.iter().any(|(known, _)| *known == tag), "{tag}");
            for (status, response) in operation["responses"].as_object().expect("responses") {
                assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} {status}");
                for (kind, content) in response["content"].as_object().into_iter().flatten() {
                    assert!(!content["schema"].is_null(), "{method} {path} {status} {kind}: a schema");
                    assert!(!content["example"].is_null(), "{method} {path} {status} {kind}: an example");
                }
            }
            for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                assert!(!content["example"].is_null(), "{method} {path} {kind}: an example");
            }
        }
        let (all, ()) = (ids.len(), ids.sort());
        ids.dedup();
        assert_eq!(ids.len(), all, "each id once");
    }

    #[test]
    fn parameters_of_a_query_are_found_by_operation() {
        assert_eq!(query_of(&Method::GET, "/api/v1/flags"), Some(&["search".to_owned()][..]));
        assert_eq!(query_of(&Method::HEAD, "/api/v1/services"), Some(&[][..]));
        assert_eq!(query_of(&Method::PATCH, "/api/v1/services"), None);
    }
}
