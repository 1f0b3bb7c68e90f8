//! A dark version is judged before it has a single user, and a rollout is held up by what it answers.

use serde_json::Value;

use super::{ask_old, start};
use crate::support::load::shop;
use crate::support::serin::{Serin, command};
use crate::support::upstream::Upstream;
use crate::support::{OK, eventually};

fn shown(serin: &Serin) -> Value {
    let answer = serin.ask("GET", "/api/v1/services/shop", "");
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn a_dark_version_that_fails_is_regressed_without_a_user() {
    let old = Upstream::answering(OK);
    let new = Upstream::answering("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops");
    let serin = start(&old, &new, "share: 100%");
    assert_eq!(shown(&serin)["shadow"]["verdict"]["verdict"], "inconclusive");
    ask_old(&serin, 120);
    let shadow = eventually("the verdict", || {
        Some(shown(&serin)["shadow"].clone()).filter(|shadow| shadow["results"]["answered"] == 120)
    });
    let verdict = &shadow["verdict"];
    assert_eq!((verdict["verdict"].as_str(), verdict["from"].as_str()), (Some("regressed"), Some("old")));
    assert_eq!((shadow["to"].as_str(), shadow["share"].as_f64()), (Some("new"), Some(1.0)));
    let whole = shown(&serin);
    assert_eq!(whole["versions"][1]["requests"], 0, "copies are nobody's requests");
    assert_eq!(whole["verdict"]["verdict"], "inconclusive", "of clients' requests nothing is known");
    let status = command(&["status", "--admin", &serin.admin_url()]);
    let said = String::from_utf8(status.stdout).expect("text");
    assert!(said.contains("  new (shadow)"), "{said}");
    assert!(said.contains("copies of 100% of the requests: 120 answered"), "{said}");
    assert!(said.contains("shadow: new beside old: regressed: new fails"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
}

const ROLLOUT: &str = "    shadow: { to: new }
    diff: { noise: 50% }
    rollout:
      from: old
      to: new
      steps: [ { weight: 1, bake: 1h }, { weight: 100, bake: 1h } ]
      minRequests: 1
      gates: { failures: { maxIncrease: 50% }, latency: [], diff: { maxRate: 0.1% } }
";

fn preflight(serin: &Serin) -> Value {
    let answer = serin.ask("GET", "/api/v1/services/shop/rollout/preflight", "");
    let all: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let checks = all["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == "diff").expect("a check of differences").clone()
}

fn order(serin: &Serin, action: &str) -> crate::support::client::Response {
    serin.ask("POST", "/api/v1/services/shop/rollout", &format!(r#"{{"action":"{action}"}}"#))
}

#[test]
fn a_version_that_answers_otherwise_is_not_rolled_out() {
    let json = |body: &str| {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let (old, new) = (Upstream::answering(json(r#"{"total":1}"#)), Upstream::answering(json(r#"{"total":2}"#)));
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], ROLLOUT, ""));
    assert_eq!(preflight(&serin)["grade"], "warn", "nothing was compared yet");
    assert_eq!(order(&serin, "start").status, 200);
    ask_until_found(&serin);
    let rollout = eventually("the rollback", || {
        let view = shown(&serin);
        let state = view["rollout"]["state"].as_str()?.to_owned();
        (state != "baking").then_some(view)
    });
    let reason = rollout["rollout"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("answers differ at $.total (routes[0])"), "{reason}");
    assert_eq!(rollout["versions"][1]["share"], 0.0);
    let refused = order(&serin, "start");
    assert_eq!(refused.status, 409, "{}", refused.text());
    let check = preflight(&serin);
    assert_eq!(check["grade"], "refuse", "{check}");
    assert!(check["detail"].as_str().is_some_and(|detail| detail.contains("--reset")), "{check}");
}

/// Some of the requests go to `new`, which is part of the plan.
fn ask_until_found(serin: &Serin) {
    eventually("differences to be clear", || {
        let mut connection = crate::support::client::Raw::connect(serin.web());
        for _ in 0..50 {
            assert_eq!(crate::support::load::ask(&mut connection, "").status, 200);
        }
        (serin.metric("serin_diff_places", &["verdict=\"different\""]) == 1.0).then_some(())
    });
}
