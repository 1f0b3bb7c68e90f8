//! What a rollout compares its new version with: a control arm, an arm that changed under way, and the error budget of all.

#![allow(clippy::float_cmp, reason = "shares and counts are exact")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use serin::plan::{ControlArm, Split, VersionId, Weight};
use support::client::Raw;
use support::load::{Load, ask, await_metric, shop};
use support::serin::{Serin, command};
use support::upstream::Upstream;
use support::{OK, eventually};

const BROKEN: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";
const CONTROL: &str = "serin_control_arm_request_duration_seconds_count";

fn config(old: &Upstream, new: &Upstream, rollout: &str, top: &str) -> String {
    shop(&[("old", old), ("new", new)], &format!("    rollout: {{ from: old, to: new, {rollout} }}\n"), top)
}

fn ordered(serin: &Serin, body: &str) {
    let answer = serin.ask("POST", "/api/v1/services/shop/rollout", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn service(serin: &Serin) -> Value {
    serde_json::from_slice(&serin.ask("GET", "/api/v1/services/shop", "").body).expect("JSON")
}

fn rollout(serin: &Serin) -> Value {
    service(serin)["rollout"].take()
}

/// Waits for a rollout to be so; some waits are for evidence, which takes requests.
fn await_rollout(serin: &Serin, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + support::PATIENCE * 3;
    loop {
        let view = rollout(serin);
        if is_so(&view) {
            return view;
        }
        assert!(Instant::now() < until, "waited in vain: {what}: {view:#}");
        // Not a guess at how long things take: only the pace of asking.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ledger(serin: &Serin) -> Vec<Value> {
    let page = serin.ask("GET", "/api/v1/ledger?after=0&limit=1000", "");
    let page: Value = serde_json::from_slice(&page.body).expect("JSON");
    page["entries"].as_array().expect("entries").clone()
}

fn status(serin: &Serin) -> String {
    let shown = command(&["status", "shop", "--admin", &serin.admin_url()]);
    String::from_utf8(shown.stdout).expect("text")
}

/// Old answers well, new after so many requests not any more.
fn versions(good: usize) -> (Upstream, Upstream) {
    let new = Upstream::scripted(move |connection| {
        for number in 0.. {
            if connection.request().is_none() {
                return;
            }
            connection.send(if number < good { OK } else { BROKEN });
        }
    });
    (Upstream::answering(OK), new)
}

#[test]
fn the_control_arm_has_its_users_of_the_old_version_and_nobody_moves_for_it() {
    let (old, new) = versions(usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let state_dir = format!("stateDir: {}\n", folder.path().display());
    let text = config(&old, &new, "steps: [ { weight: 30, bake: 1h } ], control: { weight: 20 }", &state_dir);
    let mut serin = Serin::new(&text);
    assert_eq!(rollout(&serin)["control"], serde_json::json!({ "weight": 20.0, "inForce": false }));
    ordered(&serin, r#"{"action":"start"}"#);
    // What comes before the first look at the figures is no evidence.
    await_rollout(&serin, "a window", |view| view["verdict"].is_object());
    serin.await_share("shop", "new", 0.3);

    let names: [Arc<str>; 2] = ["old".into(), "new".into()];
    let weights = [70.0, 30.0].map(|weight| Weight::from_f64(weight).unwrap());
    let split = Split::new("shop", 0, &names, weights.to_vec()).unwrap();
    let of_old = VersionId::from_index(0);
    let arm = ControlArm::new(&split, of_old, Weight::from_f64(20.0).unwrap()).unwrap();
    let come = |serin: &Serin| {
        let mut connection = Raw::connect(serin.web());
        let (mut of_arm, mut of_all) = (0, 0);
        for user in 0..300 {
            let user = format!("user-{user}");
            let answer = ask(&mut connection, &format!("x-user-id: {user}\r\n"));
            let picked = split.pick_key(user.as_bytes());
            assert_eq!(answer.header("x-serin-version"), Some(&*names[picked.index()]), "{user}");
            of_all += u32::from(picked == of_old);
            of_arm += u32::from(picked == of_old && arm.has_key(user.as_bytes()));
        }
        assert!(of_arm > 30 && of_arm < of_all, "{of_arm} of {of_all}");
        await_metric(serin, "serin_requests_total", &["version=\"old\""], f64::from(of_all));
        await_metric(serin, CONTROL, &["service=\"shop\"", "version=\"old\"", "code=\"2xx\""], f64::from(of_arm));
        u64::from(of_arm)
    };
    let of_arm = come(&serin);
    let view = await_rollout(&serin, "its requests", |view| view["control"]["requests"] == of_arm);
    assert_eq!(
        (&view["control"]["inForce"], &view["verdict"]["oldArm"]),
        (&true.into(), &"control".into()),
        "{view:#}"
    );
    assert_eq!(view["verdict"]["metrics"][0]["old"]["n"], of_arm, "{view:#}");
    let said = status(&serin);
    assert!(said.contains(&format!("control arm: 20% of all, answered by old: {of_arm} requests")), "{said}");
    assert!(said.contains("new beside old's control arm: "), "{said}");
    assert!(view["reason"].as_str().is_some_and(|why| why.ends_with("and 20% of all are the control arm of old")));

    // Another process goes on with the same arm, and the same step.
    serin.signal("KILL");
    serin.wait();
    let serin = Serin::new(&text);
    await_rollout(&serin, "the arm", |view| view["control"]["inForce"] == true && view["verdict"].is_object());
    assert_eq!(come(&serin), of_arm);
    let began_anew = |serin: &Serin| ledger(serin).iter().filter(|entry| entry["event"] == "beganAnew").count();
    assert_eq!(began_anew(&serin), 0);
    ordered(&serin, r#"{"action":"abort"}"#);
    assert_eq!(rollout(&serin)["control"]["inForce"], false);
    get_as(&serin, "user-1");
    assert_eq!(serin.metric(CONTROL, &[]), of_arm as f64, "there is none any more");
}

fn get_as(serin: &Serin, user: &str) {
    ask(&mut Raw::connect(serin.web()), &format!("x-user-id: {user}\r\n"));
}

#[test]
fn a_version_that_is_worse_than_the_control_arm_is_withdrawn() {
    let (old, new) = versions(5);
    let plan = "steps: [ { weight: 20, bake: 1h } ], control: { weight: 20 }";
    let serin = Serin::new(&config(&old, &new, plan, ""));
    let load = Load::start(serin.web(), 6);
    ordered(&serin, r#"{"action":"start"}"#);
    await_rollout(&serin, "it to be withdrawn", |view| view["state"] == "rolledBack" || view["state"] == "validating");
    load.stop();
    let entries = ledger(&serin);
    let back = entries.iter().find(|entry| entry["to"]["new"] == 0 && entry["actor"] == "rollout");
    let verdict = &back.expect("an entry")["verdict"];
    assert_eq!((&verdict["verdict"], &verdict["oldArm"]), (&"regressed".into(), &"control".into()), "{verdict:#}");
    let reason = verdict["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("new fails ") && reason.contains(" the control arm 0 %"), "{reason}");
}

#[test]
fn where_there_is_no_room_for_a_control_arm_all_of_the_old_version_is_compared_with_and_that_is_said() {
    let (old, new) = versions(usize::MAX);
    let plan =
        "steps: [ { weight: 50, bake: 100ms }, { weight: 100, bake: 1h } ], control: { weight: 50 }, minRequests: 40";
    let serin = Serin::new(&config(&old, &new, plan, ""));
    let load = Load::start(serin.web(), 4);
    ordered(&serin, r#"{"action":"start"}"#);
    serin.await_share("shop", "new", 1.0);
    let of_all = |view: &Value| view["verdict"].is_object() && view["verdict"]["oldArm"].is_null();
    let view = await_rollout(&serin, "a verdict of this step", of_all);
    load.stop();
    assert_eq!(view["control"]["inForce"], false, "{view:#}");
    assert_eq!(view["control"]["note"], "new leaves it no room: compared with all of old", "{view:#}");
    assert!(status(&serin).contains("control arm: new leaves it no room: compared with all of old"));
    assert!(view["reason"].as_str().is_some_and(|why| why.contains(" to the control arm, ")), "{view:#}");
}

#[test]
fn a_version_that_answers_elsewhere_in_the_middle_of_a_step_begins_it_anew() {
    let ((old, new), other) = (versions(usize::MAX), Upstream::answering(OK));
    let plan = "steps: [ { weight: 50, bake: 1h } ], control: { weight: 20 }";
    let serin = Serin::new(&config(&old, &new, plan, ""));
    let load = Load::start(serin.web(), 4);
    ordered(&serin, r#"{"action":"start"}"#);
    load.await_more(200);
    await_rollout(&serin, "evidence", |view| view["requests"][1].as_u64() > Some(30));
    load.stop();
    let text = config(&old, &new, plan, "");
    // Something else than where it answers is nothing new.
    std::fs::write(serin.path("serin.yaml"), text.clone() + "limits: { connections: 5000 }\n").unwrap();
    eventually("the limit", || (serin.metric("serin_client_connections_limit", &[]) == 5000.0).then_some(()));
    assert!(rollout(&serin)["requests"][1].as_u64() > Some(30));
    std::fs::write(serin.path("serin.yaml"), config(&old, &other, plan, "")).unwrap();
    let view = await_rollout(&serin, "evidence to be gathered anew", |view| {
        view["requests"] == serde_json::json!([0, 0]) && view["reason"] != Value::Null
    });
    let said = "new answers elsewhere, by serin.yaml: evidence is gathered anew, and step 1 begins anew";
    assert_eq!(view["reason"], said, "{view:#}");
    assert_eq!((&view["state"], &view["control"]["inForce"]), (&"baking".into(), &true.into()));
    let entries = ledger(&serin);
    let entry = entries.iter().find(|entry| entry["event"] == "beganAnew").expect("an entry");
    assert_eq!((&entry["reason"], &entry["rollout"]), (&said.into(), &1.into()), "{entry:#}");
    serin.await_share("shop", "new", 0.5);
}

#[test]
fn what_answers_elsewhere_since_the_process_before_begins_its_step_anew_too() {
    let ((old, new), other) = (versions(usize::MAX), Upstream::answering(OK));
    let folder = tempfile::tempdir().unwrap();
    let state_dir = format!("stateDir: {}\n", folder.path().display());
    let plan = "steps: [ { weight: 50, bake: 1h } ]";
    let mut serin = Serin::new(&config(&old, &new, plan, &state_dir));
    ordered(&serin, r#"{"action":"start"}"#);
    serin.await_share("shop", "new", 0.5);
    serin.signal("KILL");
    serin.wait();
    let serin = Serin::new(&config(&other, &new, plan, &state_dir));
    let view = await_rollout(&serin, "a step that begins anew", |view| view["reason"] != Value::Null);
    let said = "old answers elsewhere, by serin.yaml, changed while serin was not running: evidence is gathered anew, and \
                step 1 begins anew";
    assert_eq!(view["reason"], said, "{view:#}");
    serin.await_share("shop", "new", 0.5);
}

#[test]
fn a_service_that_burns_its_error_budget_is_no_place_for_a_new_version_whoever_is_to_blame() {
    let both = Upstream::answering(BROKEN);
    // Failures of both are alike, so that the judge has nothing to say.
    let gates =
        "gates: { failures: { maxIncrease: 100% }, latency: [], errorBudget: { objective: 99%, maxBurnRate: 2 } }";
    let plan = format!("steps: [ {{ weight: 20, bake: 1h }} ], {gates}, minRequests: 50");
    let serin = Serin::new(&config(&both, &both, &plan, ""));
    ordered(&serin, r#"{"action":"start"}"#);
    await_rollout(&serin, "a window", |view| view["verdict"].is_object());
    serin.await_share("shop", "new", 0.2);
    let mut connection = Raw::connect(serin.web());
    for user in 0..49 {
        ask(&mut connection, &format!("x-user-id: {user}\r\n"));
    }
    await_metric(&serin, "serin_requests_total", &["code=\"5xx\""], 49.0);
    // Looked at again with all of them, and one request is missing.
    await_rollout(&serin, "all to be seen", |view| {
        let answered = view["requests"].as_array().map(|both| both.iter().filter_map(Value::as_u64).sum::<u64>());
        answered == Some(49)
    });
    assert_eq!(rollout(&serin)["state"], "baking");
    ask(&mut connection, "x-user-id: one-more\r\n");
    serin.await_share("shop", "new", 0.0);
    let entries = ledger(&serin);
    let back = entries.iter().find(|entry| entry["to"]["new"] == 0 && entry["rollout"] == 1).expect("an entry");
    let said = back["reason"].as_str().unwrap_or_default();
    assert!(
        said.starts_with("rolled back: the service uses up its error budget 100.0 times too fast over 3600s"),
        "{said}"
    );
    assert_ne!(back["verdict"]["verdict"], "regressed", "{back:#}");
}
