//! What requests may not be, whoever sends them, and what they are told.

use serde_json::Value;

use crate::everything::{ADMIN, Everything, operations};
use crate::support::client::Response;

/// The detail of a problem document (RFC 9457) with this status.
fn problem(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let document: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((&document["status"], &document["type"]), (&status.into(), &"about:blank".into()));
    document["detail"].as_str().expect("a detail").to_owned()
}

#[test]
fn parameters_that_are_unknown_or_come_twice_are_refused_everywhere_but_at_probes() {
    let everything = Everything::open();
    let document = everything.document("");
    for (path, method, operation) in operations(&document) {
        let real = path.replace("{service}", "shop").replace("{number}", "1");
        let answer = everything.ask(&method.to_uppercase(), &format!("{real}?aftr=1"), "", "{}");
        if path.starts_with("/api/") {
            let detail = problem(&answer, 400);
            assert!(detail.contains("`aftr`"), "{method} {path}: {detail}");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            for name in parameters.filter(|p| p["in"] == "query").filter_map(|p| p["name"].as_str()) {
                assert!(detail.contains(name), "{method} {path}: {detail}");
                let twice = everything.ask(&method.to_uppercase(), &format!("{real}?{name}=1&{name}=1"), "", "{}");
                assert!(problem(&twice, 400).contains(&format!("`{name}` comes twice")), "{method} {path}");
            }
        } else {
            assert_eq!(answer.status, 200, "{method} {path}: caches are told apart so");
        }
    }
}

#[test]
fn a_key_that_comes_twice_in_a_body_is_refused() {
    let everything = Everything::open();
    let weights = "/api/v1/services/shop/weights";
    for (body, said) in [
        (r#"{"weights":{"old":1,"old":2}}"#, "`old` has two weights"),
        (r#"{"weights":{"old":1},"weights":{"new":1}}"#, "duplicate field `weights`"),
        (r#"{"weights":{"old":1},"reason":"a","reason":"b"}"#, "duplicate field `reason`"),
        (r#"{"weights":{"old":1},"dependsOn":[0]}"#, "`dependsOn`"),
    ] {
        let detail = problem(&everything.ask("PUT", weights, "", body), 400);
        assert!(detail.contains(said), "{body}: {detail}");
    }
    let twice = "/api/v1/services/shop/weights/preview?weights=%7B%22old%22:1,%22old%22:2%7D";
    assert!(problem(&everything.ask("GET", twice, "", ""), 400).contains("two weights"));
}

#[test]
fn methods_heads_slashes_and_kinds_of_content_are_as_the_document_says() {
    let everything = Everything::with_tokens();
    let document = everything.document(ADMIN);
    for (path, method, operation) in operations(&document) {
        let real = path.replace("{service}", "shop").replace("{number}", "1");
        let others = everything.ask("PATCH", &real, "", "");
        problem(&others, 405);
        let allowed = others.header("allow").expect("which are").to_owned();
        assert!(allowed.contains(&method.to_uppercase()), "{path}: {allowed}");
        assert_eq!(allowed.contains("GET"), allowed.contains("HEAD"), "{path}: {allowed}");
        let slash = everything.ask(&method.to_uppercase(), &format!("{real}/"), ADMIN, "");
        problem(&slash, 404);
        if operation["requestBody"].is_null() {
            continue;
        }
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        for kind in ["", form, "content-type: text/plain\r\n"] {
            let answer = everything.ask_with(&method.to_uppercase(), &real, ADMIN, kind, "{}");
            assert!(problem(&answer, 415).contains("application/json"), "{method} {path}");
        }
    }
    for path in ["/api/v1/services", "/api/v1/ledger", "/livez"] {
        let head = everything.ask("HEAD", path, ADMIN, "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    let forget = everything.ask_with("DELETE", "/api/v1/services/dark/diffs", ADMIN, "", "");
    assert_eq!(forget.status, 204, "what has no body need not say what it is: {}", forget.text());
}

#[test]
fn numbers_and_names_out_of_range_are_refused_with_what_is_expected() {
    let everything = Everything::open();
    for (path, said) in [
        ("/api/v1/ledger/0", "from 1 to 9007199254740991"),
        ("/api/v1/ledger/9007199254740992", "from 1 to 9007199254740991"),
        ("/api/v1/ledger/99999999999999999999", "u64"),
        ("/api/v1/ledger/first", "first"),
        ("/api/v1/ledger?rollout=0", "from 1 to"),
        ("/api/v1/ledger?rollout=99999999999999999999", "rollout"),
        ("/api/v1/ledger?limit=0", "from 1 to 1000"),
        ("/api/v1/ledger?service=a%20b", "is not a name"),
        ("/api/v1/events?after=x", "`after`"),
        ("/api/v1/services/shop/history?step=2s", "1s"),
    ] {
        let detail = problem(&everything.ask("GET", path, "", ""), 400);
        assert!(detail.contains(said), "{path}: {detail}");
    }
}
