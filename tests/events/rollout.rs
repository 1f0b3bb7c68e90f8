//! A rollout as those who follow it are told, and as it can be read afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Stream, Told};
use crate::support::load::{Load, shop};
use crate::support::serin::{Serin, command};
use crate::support::upstream::Upstream;
use crate::support::{OK, eventually};

/// An upstream that fails one request in five once it is told to.
fn failing(told: &Arc<AtomicBool>) -> Upstream {
    let (told, count) = (Arc::clone(told), AtomicU64::new(0));
    Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let fails = told.load(Ordering::SeqCst) && count.fetch_add(1, Ordering::SeqCst).is_multiple_of(5);
            connection.send(if fails { "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno" } else { OK });
        }
    })
}

fn order(serin: &Serin, body: &str) {
    let answer = serin.ask("POST", "/api/v1/services/shop/rollout", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What `serin ledger show --rollout 1` says.
fn shown(serin: &Serin, format: &str) -> String {
    let done = command(&["ledger", "show", "--rollout", "1", "--format", format, "--admin", &serin.admin_url()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn a_rollback_is_told_step_by_step_and_ends_in_a_timeline() {
    let bad = Arc::<AtomicBool>::default();
    let (old, new, receiver) = (Upstream::answering(OK), failing(&bad), Upstream::answering(OK));
    let plan =
        "steps: [ { weight: 10, bake: 100ms }, { weight: 30, bake: 1h } ], minRequests: 30, approval: { above: 20 }";
    let hook = format!(
        "webhooks: [ {{ url: \"{}\", events: [ rollback, approval, validation ], secretFile: hook.secret }} ]\n",
        receiver.url()
    );
    let text =
        shop(&[("old", &old), ("new", &new)], &format!("    rollout: {{ from: old, to: new, {plan} }}\n"), &hook);
    let secret = format!("whsec_{}", STANDARD.encode([1; 32]));
    let serin = Serin::with_files(&text, &[("hook.secret", &secret)]);
    let mut stream = Stream::open(&serin, "?service=shop", "");
    let load = Load::start(serin.web(), 8);
    load.await_more(100);

    order(&serin, r#"{"action":"start","reason":"release 7","actor":"ada"}"#);
    let told = stream.await_one("step");
    assert_eq!((&told.data["decision"], &told.data["to"]["new"]), (&"started".into(), &10.into()));
    assert_eq!(told.data["approvals"], Value::Null);
    let told = stream.await_one("approval");
    assert_eq!((&told.data["event"], &told.data["rollout"]), (&"awaitingApproval".into(), &1.into()));
    order(&serin, r#"{"action":"approve","reason":"fine","actor":"grace"}"#);
    let agreed = stream.await_one("approved");
    assert_eq!(agreed.data["actor"], "grace");
    let told = stream.await_one("step");
    assert_eq!((&told.data["decision"], &told.data["to"]["new"]), (&"approved".into(), &30.into()));
    // The entry that widens names who agreed, and where that is written.
    let approvals = serde_json::json!([{ "actor": "grace", "entry": agreed.data["number"] }]);
    assert_eq!(told.data["approvals"], approvals);
    bad.store(true, Ordering::SeqCst);
    let mut verdicts: Vec<Told> = Vec::new();
    let rollback = loop {
        let told = stream.next().expect("an event");
        match &*told.name {
            "verdict" => verdicts.push(told),
            "rollback" => break told,
            _ => {}
        }
    };
    let verdict = verdicts.pop().expect("what was said before the rollback");
    assert_eq!((&verdict.data["verdict"]["verdict"], &verdict.data["rollout"]), (&"regressed".into(), &1.into()));
    assert!(verdict.id.contains('.'), "it has no entry: {}", verdict.id);
    assert_eq!((&rollback.data["decision"], &rollback.data["to"]["new"]), (&"rolledBack".into(), &0.into()));
    let of_new = &rollback.data["figures"]["step"]["to"];
    let counted = of_new["failures"].as_u64().zip(of_new["requests"].as_u64());
    assert!(counted.is_some_and(|(failures, requests)| 0 < failures && failures < requests), "{rollback:?}");
    let validation = stream.await_one("validation");
    load.stop();

    // The receiver hears of the same, and of nothing else.
    let all = eventually("three deliveries", || Some(receiver.requests()).filter(|all| all.len() >= 3));
    let told: Vec<Value> = all.iter().map(|request| serde_json::from_slice(&request.body).expect("JSON")).collect();
    let types: Vec<_> = told.iter().map(|told| told["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(types, ["approval", "rollback", "validation"]);
    assert_eq!(told[1]["data"], rollback.data);

    let timeline: Value = serde_json::from_str(&shown(&serin, "json")).expect("JSON");
    assert_eq!((&timeline["service"], &timeline["state"]), (&"shop".into(), &"rolledBack".into()));
    assert_eq!(timeline["withdrawal"]["entry"], rollback.data["number"]);
    assert_eq!(timeline["validation"]["entry"], validation.data["number"]);
    assert_eq!(timeline["started"]["actor"], "ada");
    assert_eq!(timeline["approvals"][0]["actor"], "grace");
    let since = timeline["withdrawal"]["secondsSinceFirstFailureOfStep"].as_f64();
    assert!(since.is_some_and(|seconds| (0.0..30.0).contains(&seconds)), "{timeline:#}");
    let shares: Vec<_> =
        timeline["weights"].as_array().expect("weights").iter().map(|one| one["weights"]["new"].clone()).collect();
    assert_eq!(shares, [10, 30, 0]);
    // Every failure that the new version gave is in it, with those that were under way when it was withdrawn.
    let failures = serin.metric("serin_requests_total", &["version=\"new\"", "code=\"5xx\""]);
    assert_eq!(timeline["counted"]["to"]["failures"].as_f64(), Some(failures), "{timeline:#}");
    let text = shown(&serin, "markdown");
    for part in [
        "# Rollout 1 of shop: rolled back\n",
        "serin withdrew it at ",
        "by ada: rollout 1 from old to new started by ada (release 7)",
        "## Verdict: regressed (entry ",
        "| failures | ",
        " old 70, new 30 | grace | ",
        "| validated | rollout | back as before within ",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    let none = command(&["ledger", "show", "--rollout", "9", "--admin", &serin.admin_url()]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no entry of a rollout 9 in the ledger"));
}

#[test]
fn approvals_are_known_after_a_restart() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let folder = tempfile::tempdir().expect("a folder");
    let plan = "steps: [ { weight: 10, bake: 1h }, { weight: 30, bake: 1h } ], approval: { above: 20, required: 1 }";
    let top = format!("stateDir: {}\n", folder.path().display());
    let text = shop(&[("old", &old), ("new", &new)], &format!("    rollout: {{ from: old, to: new, {plan} }}\n"), &top);
    let mut serin = Serin::new(&text);
    order(&serin, r#"{"action":"start","actor":"ada"}"#);
    order(&serin, r#"{"action":"approve","actor":"grace"}"#);
    serin.signal("KILL");
    serin.wait();
    let serin = Serin::new(&text);
    order(&serin, r#"{"action":"promote","actor":"ada"}"#);
    serin.await_share("shop", "new", 0.3);
    let mut stream = Stream::open(&serin, "?after=0&service=shop", "");
    let agreed = stream.await_one("approved").data["number"].clone();
    let step = stream.await_one("step");
    assert_eq!(step.data["approvals"], serde_json::json!([{ "actor": "grace", "entry": agreed }]));
}
