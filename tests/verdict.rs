//! What the admin API and `serin status` say of a new version beside the old one.

mod support;

use std::sync::{Arc, Mutex, mpsc};

use serde_json::Value;
use support::client::{Raw, get};
use support::eventually;
use support::load::{WITH_WEIGHTS, shop};
use support::serin::{Serin, command};
use support::upstream::Upstream;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops";

fn start(old: &Upstream, new: &Upstream) -> Serin {
    let service = "    override: { header: x-serin-version, from: [ 127.0.0.0/8 ] }\n";
    let text = shop(&[("old", old), ("new", new)], service, WITH_WEIGHTS);
    Serin::with_files(&text, &[("weights.yaml", "shop: { old: 3, new: 1 }\n")])
}

fn ask(serin: &Serin, version: &str, times: usize) {
    let mut connection = Raw::connect(serin.web());
    for _ in 0..times {
        connection.send(format!("GET / HTTP/1.1\r\nhost: shop.example\r\nx-serin-version: {version}\r\n\r\n"));
        let _ = connection.response(false).expect("an answer");
    }
}

fn shown(serin: &Serin) -> Value {
    let answer = serin.ask("GET", "/api/v1/services/shop", "");
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn metric<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let metrics = verdict["metrics"].as_array().expect("metrics");
    metrics.iter().find(|metric| metric["metric"] == name).expect(name)
}

#[test]
fn a_version_that_fails_is_regressed_and_a_change_of_weights_begins_anew() {
    let [old, new] = [OK, BROKEN].map(Upstream::answering);
    let serin = start(&old, &new);
    assert_eq!(shown(&serin)["verdict"]["verdict"], "inconclusive");
    ask(&serin, "old", 150);
    ask(&serin, "new", 60);
    let counted = |verdict: &Value| metric(verdict, "failures")["new"]["n"] == 60 && verdict["verdict"] == "regressed";
    let verdict = eventually("the verdict", || Some(shown(&serin)["verdict"].clone()).filter(counted));
    assert_eq!((verdict["from"].as_str(), verdict["to"].as_str()), (Some("old"), Some("new")));
    let failures = metric(&verdict, "failures");
    assert_eq!(failures["verdict"], "regressed");
    assert_eq!((failures["new"]["n"].as_u64(), failures["new"]["estimate"].as_f64()), (Some(60), Some(1.0)));
    assert_eq!(failures["old"]["n"], 150);
    assert!(verdict["reason"].as_str().expect("a reason").contains("fails"), "{verdict}");

    let status = command(&["status", "--admin", &serin.admin_url()]);
    let said = String::from_utf8(status.stdout).expect("text");
    assert!(said.contains("new beside old: regressed: new fails 100 % of its requests"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");

    let change = serin.ask("PUT", "/api/v1/services/shop/weights", r#"{"weights":{"old":1,"new":1}}"#);
    assert_eq!(change.status, 200);
    let verdict = shown(&serin)["verdict"].clone();
    assert_eq!(
        (verdict["verdict"].as_str(), metric(&verdict, "failures")["new"]["n"].as_u64()),
        (Some("inconclusive"), Some(0))
    );
}

#[test]
fn a_version_that_hangs_is_regressed_while_not_one_of_its_requests_has_ended() {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let old = Upstream::answering(OK);
    let new = Upstream::scripted(move |connection| {
        let _ = connection.request();
        // Until the test is over.
        let _ = held.lock().expect("nobody panics with it").recv();
    });
    let serin = start(&old, &new);
    assert_eq!(shown(&serin)["verdict"]["verdict"], "inconclusive");
    ask(&serin, "old", 300);
    let hung: Vec<Raw> = (0..60)
        .map(|_| {
            let mut connection = Raw::connect(serin.web());
            connection.send("GET / HTTP/1.1\r\nhost: shop.example\r\nx-serin-version: new\r\n\r\n");
            connection
        })
        .collect();
    let verdict =
        eventually("the verdict", || Some(shown(&serin)["verdict"].clone()).filter(|v| v["verdict"] == "regressed"));
    let p50 = metric(&verdict, "p50");
    assert_eq!((p50["verdict"].as_str(), p50["new"]["high"].clone()), (Some("regressed"), Value::Null));
    assert_eq!(metric(&verdict, "failures")["new"]["n"], 0, "none has ended");
    drop(release);
    drop(hung);
}

#[test]
fn a_service_of_one_version_has_no_verdict() {
    let only = Upstream::answering(OK);
    let serin = Serin::new(&shop(&[("only", &only)], "", ""));
    assert_eq!(get(serin.web(), "/", "").status, 200);
    assert!(shown(&serin).get("verdict").is_none());
}

#[test]
fn the_openapi_document_describes_the_verdict() {
    let [old, new] = [OK, OK].map(Upstream::answering);
    let serin = start(&old, &new);
    let document = serin.ask("GET", "/api/v1/openapi.json", "").text();
    for word in ["\"regressed\"", "\"couldHide\"", "\"moreRequests\"", "\"windowSeconds\""] {
        assert!(document.contains(word), "{word}");
    }
}
