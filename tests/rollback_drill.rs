//! Rollback drills through real sockets: noticed and withdrawn, all as before, refused where nothing could be seen, ended by
//! a crash.

#![allow(clippy::float_cmp, reason = "shares and counts are exact")]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::eventually;
use support::load::{Load, shop};
use support::serin::{Serin, binary, command};
use support::upstream::Upstream;

const PLAN: &str =
    "    rollout: { from: old, to: new, steps: [ { weight: 50, bake: 1h }, { weight: 100, bake: 1h } ] }\n";

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

fn config(upstreams: &[Upstream; 2], service: &str, top: &str) -> String {
    shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], service, top)
}

fn post(serin: &Serin, what: &str, body: &str) -> (u16, Value) {
    let answer = serin.ask("POST", &format!("/api/v1/services/shop/{what}"), body);
    (answer.status, serde_json::from_str(&answer.text()).expect("JSON"))
}

fn ordered(serin: &Serin, what: &str, body: &str) -> Value {
    let (status, answer) = post(serin, what, body);
    assert_eq!(status, 200, "{answer:#}");
    answer
}

fn get(serin: &Serin, what: &str) -> Value {
    serde_json::from_str(&serin.ask("GET", &format!("/api/v1/services/shop{what}"), "").text()).expect("JSON")
}

/// Begins a drill, once there is enough traffic to see it.
fn begun(serin: &Serin, body: &str) -> Value {
    eventually("a drill that can be seen", || {
        let (status, answer) = post(serin, "drill", body);
        (status == 200).then_some(answer)
    })
}

fn await_end(serin: &Serin) -> Value {
    let until = std::time::Instant::now() + support::PATIENCE * 4;
    loop {
        let drill = get(serin, "/drill");
        if drill["running"] == false {
            return drill;
        }
        assert!(std::time::Instant::now() < until, "the drill does not end: {drill:#}");
        // Only the pace of asking.
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn entries(serin: &Serin) -> Vec<Value> {
    let text = serin.ask("GET", "/api/v1/ledger?after=0&limit=1000", "").text();
    let page: Value = serde_json::from_str(&text).expect("JSON");
    page["entries"].as_array().expect("entries").clone()
}

fn position(entries: &[Value], is: impl Fn(&Value) -> bool) -> usize {
    entries.iter().position(is).unwrap_or_else(|| panic!("no such entry: {entries:#?}"))
}

#[test]
fn a_drill_in_a_running_rollout_withdraws_the_version_and_gives_it_its_share_back() {
    let upstreams = two();
    let serin = Serin::new(&config(&upstreams, PLAN, ""));
    let load = Load::start(serin.web(), 8);
    ordered(&serin, "rollout", r#"{"action":"start","actor":"ada"}"#);
    serin.await_share("shop", "new", 0.5);
    eventually("traffic to be known", || {
        let url = serin.admin_url();
        let args = ["drill", "rollback", "shop", "--as", "grace", "--reason", "weekly", "--json", "--admin", &url];
        let done = command(&args);
        let (said, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        if done.status.code() == Some(1) && error.contains("409") {
            return None;
        }
        assert_eq!(done.status.code(), Some(0), "{said}{error}");
        let drill: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((&drill["result"], &drill["by"]), (&"passed".into(), &"grace".into()), "{drill:#}");
        assert!(drill["hurt"].as_u64() > Some(0) && drill["rollbackSeconds"].as_f64() < Some(30.0), "{drill:#}");
        Some(())
    });
    serin.await_share("shop", "new", 0.5);
    let rollout = get(&serin, "/rollout");
    assert_eq!((&rollout["state"], &rollout["run"], &rollout["step"]), (&"baking".into(), &1.into(), &1.into()));
    assert_eq!(get(&serin, "")["drills"], Value::Null, "nobody is hurt any more");
    let tally = load.stop();
    assert!(tally.failed() > 0 && tally.broken == 0, "{tally:?}");

    let entries = entries(&serin);
    let began = position(&entries, |e| e["event"] == "drillStarted" && e["actor"] == "grace");
    let back = position(&entries, |e| e["to"]["new"] == 0 && e["verdict"]["verdict"] == "regressed");
    let passed = position(&entries, |e| e["event"] == "drillPassed" && e["fields"]["result"] == "passed");
    let again = entries.iter().rposition(|e| e["to"]["new"] == 50).expect("its share again");
    assert!(began < back && back < passed && passed < again, "{entries:#?}");
    assert_eq!(entries[back]["actor"], "drill", "nobody takes it for an outage");
    assert!(entries[passed]["fields"]["rollbackSeconds"].is_f64(), "{:#}", entries[passed]);
    assert_eq!(serin.metric("serin_rollout_decisions_total", &["decision=\"rolledBack\""]), 0.0);
    assert_eq!(serin.metric("serin_rollout_decisions_total", &["decision=\"drillPassed\""]), 1.0);
    assert!(serin.metric("serin_faults_injected_total", &["fault=\"drill:rollback\""]) > 0.0);
    assert!(serin.metric("serin_drill_rollback_seconds", &["service=\"shop\""]) > 0.0);
}

#[test]
fn requests_that_wait_are_noticed_too_and_without_a_rollout_nothing_stays() {
    let upstreams = two();
    let serin = Serin::new(&config(&upstreams, PLAN, ""));
    let load = Load::start(serin.web(), 12);
    let drill = begun(&serin, r#"{"fault":"delay","share":"20%","within":"40s"}"#);
    assert!(drill["delaySeconds"].as_f64() >= Some(0.02), "{drill:#}");
    assert_eq!((&drill["running"], get(&serin, "/rollout")["state"].as_str()), (&true.into(), Some("drilling")));
    assert_eq!(post(&serin, "drill", "{}").0, 409, "one at a time");
    assert_eq!(post(&serin, "rollout", r#"{"action":"pause"}"#).0, 409);
    let drill = await_end(&serin);
    assert_eq!(drill["result"], "passed", "{drill:#}");
    serin.await_share("shop", "new", 0.0);
    assert_eq!(get(&serin, "/rollout")["state"], "pending");
    load.stop();
}

#[test]
fn a_drill_is_shown_loudly_and_whoever_changes_the_weights_ends_it() {
    let upstreams = two();
    // A gate that takes long to see it.
    let plan = PLAN.replace("rollout: {", "rollout: { alpha: 0.0001, gates: { failures: { maxIncrease: 17% } },");
    let serin = Serin::new(&config(&upstreams, &plan, ""));
    let load = Load::start(serin.web(), 2);
    begun(&serin, r#"{"share":"20%","within":"5m"}"#);
    eventually("somebody to be hurt", || (get(&serin, "/drill")["hurt"].as_u64() > Some(0)).then_some(()));
    let shown = command(&["status", "shop", "--admin", &serin.admin_url()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("!!! DRILL until") && shown.contains("drill:rollback"), "{shown}");
    assert!(shown.contains("drilling, step 1 of 2 (50%)"), "{shown}");
    let put = serin.ask("PUT", "/api/v1/services/shop/weights", r#"{"weights":{"old":90,"new":10}}"#);
    assert_eq!(put.status, 200, "{}", put.text());
    let drill = await_end(&serin);
    assert_eq!(drill["result"], "interrupted", "{drill:#}");
    serin.await_share("shop", "new", 0.1);
    assert_eq!(get(&serin, "")["drills"], Value::Null);
    load.stop();
}

#[test]
fn a_drill_is_refused_with_a_sentence_where_it_could_not_be_seen_or_something_else_is_on() {
    let upstreams = two();
    let serin = Serin::new(&config(&upstreams, PLAN, ""));
    let cases = [
        (r"{}", 409, "a drill does to new could be seen"),
        (r#"{"share":"20"}"#, 400, "`share` is `20`"),
        (r#"{"within":"6m"}"#, 400, "`within` is `6m`; expected 1s to 5m"),
        (r#"{"fault":"fire"}"#, 400, "unknown variant `fire`"),
    ];
    for (body, status, said) in cases {
        let (got, answer) = post(&serin, "drill", body);
        assert_eq!(got, status, "{answer:#}");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains(said)), "{answer:#}");
    }
    assert_eq!(serin.ask("GET", "/api/v1/services/shop/drill", "").status, 404);
    let done = command(&["drill", "rollback", "shop", "--admin", &serin.admin_url()]);
    assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(command(&["drill", "rollback", "shop", "--share", "lots"]).status.code(), Some(2));
    let by_hand = "    faults: [ { name: by-hand, version: new, share: 1%, reset: true, until: UNTIL } ]\n";
    let until = serin::telemetry::Rfc3339(std::time::SystemTime::now() + Duration::from_hours(1)).to_string();
    let serin = Serin::new(&config(&upstreams, &(PLAN.to_owned() + &by_hand.replace("UNTIL", &until)), ""));
    let (status, answer) = post(&serin, "drill", "{}");
    assert_eq!(status, 409);
    assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("the fault `by-hand`")), "{answer:#}");
    let serin = Serin::new(&config(&upstreams, "", ""));
    assert_eq!(post(&serin, "drill", "{}").0, 404);
}

#[test]
fn a_client_that_leaves_and_a_process_that_is_killed_leave_no_fault_behind() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = format!("stateDir: {}\n", folder.path().display());
    let upstreams = two();
    // So that it is not over too soon.
    let plan = PLAN.replace("rollout: {", "rollout: { gates: { failures: { maxIncrease: 17% } },");
    let text = config(&upstreams, &plan, &state_dir);
    let mut serin = Serin::new(&text);
    let load = Load::start(serin.web(), 1);
    ordered(&serin, "rollout", r#"{"action":"start","actor":"ada"}"#);
    serin.await_share("shop", "new", 0.5);
    eventually("a drill that is on", || {
        let url = serin.admin_url();
        let args = ["drill", "rollback", "shop", "--within", "5m", "--admin", &url];
        let mut client = std::process::Command::new(binary()).args(args).spawn().expect("the binary starts");
        let on = eventually("an answer", || {
            let on = get(&serin, "/rollout")["state"] == "drilling";
            (on || client.try_wait().expect("a child").is_some()).then_some(on)
        });
        let _ = (client.kill(), client.wait());
        on.then_some(())
    });
    eventually("somebody to be hurt", || (get(&serin, "/drill")["hurt"].as_u64() > Some(0)).then_some(()));
    assert_eq!(get(&serin, "/drill")["running"], true, "it goes on without its client");
    serin.signal("KILL");
    serin.wait();
    load.ended();
    let serin = Serin::new(&text);
    let drill = await_end(&serin);
    assert_eq!(drill["result"], "interrupted", "{drill:#}");
    assert!(drill["sentence"].as_str().is_some_and(|said| said.contains("serin ended meanwhile")), "{drill:#}");
    let rollout = get(&serin, "/rollout");
    assert_eq!((&rollout["state"], &rollout["run"]), (&"baking".into(), &1.into()), "{rollout:#}");
    serin.await_share("shop", "new", 0.5);
    assert_eq!(get(&serin, "")["drills"], Value::Null);
    let verified = command(&["ledger", "verify", "--admin", &serin.admin_url()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn an_edit_of_another_service_does_not_end_a_drill() {
    let upstreams = two();
    let plan = PLAN.replace("rollout: {", "rollout: { gates: { failures: { maxIncrease: 17% } },");
    let text = config(&upstreams, &plan, "");
    let serin = Serin::new(&text);
    let load = Load::start(serin.web(), 2);
    begun(&serin, r#"{"within":"5m"}"#);
    let other = format!("services:\n  other: {{ versions: {{ one: {{ upstream: \"{}\" }} }} }}\n", upstreams[0].url());
    std::fs::write(serin.path("serin.yaml"), text.replace("services:\n", &other)).unwrap();
    eventually("the other service", || (serin.ask("GET", "/api/v1/services/other", "").status == 200).then_some(()));
    let hurt = get(&serin, "/drill")["hurt"].as_u64();
    eventually("more to be hurt", || (get(&serin, "/drill")["hurt"].as_u64() > hurt).then_some(()));
    assert_eq!(get(&serin, "/drill")["running"], true);
    ordered(&serin, "rollout", r#"{"action":"abort","reason":"enough"}"#);
    let drill = get(&serin, "/drill");
    assert_eq!(drill["result"], "interrupted", "{drill:#}");
    assert_eq!(get(&serin, "")["drills"], Value::Null);
    load.stop();
}
