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

/// An upstream that takes as long as `millis` says of a request's line.
fn taking(millis: fn(&str) -> u64) -> Upstream {
    Upstream::scripted(move |connection| {
        while let Some(request) = connection.request() {
            std::thread::sleep(std::time::Duration::from_millis(millis(request.request_line())));
            connection.send(OK);
        }
    })
}

/// Most of old's requests are slow writes, which are not copied: beside all of them a version looks fast whose reads take many
/// times as long.
#[test]
fn slow_requests_that_are_not_copied_do_not_make_a_slow_dark_version_look_good() {
    let old = taking(|line| if line.starts_with("POST") { 60 } else { 0 });
    let new = taking(|_| 20);
    let serin = start(&old, &new, "share: 100%");
    let work = || {
        let mut connection = crate::support::client::Raw::connect(serin.web());
        for _ in 0..10 {
            for _ in 0..2 {
                connection.send("POST /item HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 1\r\n\r\nx");
                assert_eq!(connection.response(false).expect("an answer").status, 200);
            }
            assert_eq!(crate::support::load::ask(&mut connection, "").status, 200);
        }
    };
    let verdict = eventually("the verdict", || {
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(work);
            }
        });
        Some(shown(&serin)["shadow"]["verdict"].clone()).filter(|verdict| verdict["verdict"] == "regressed")
    });
    let metrics = verdict["metrics"].as_array().expect("metrics");
    let median = metrics.iter().find(|metric| metric["metric"] == "p50").expect("the median");
    assert_eq!(median["verdict"], "regressed", "{verdict}");
    let estimate = |arm: &str| median[arm]["estimate"].as_f64().expect("a number");
    assert!(estimate("old") < estimate("new"), "{verdict}");
    // In which all of old's requests are counted.
    let p50 = shown(&serin)["versions"][0]["latencyTotal"]["p50"].as_f64().expect("a number");
    assert!(p50 > estimate("new"), "{p50}: {verdict}");
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
