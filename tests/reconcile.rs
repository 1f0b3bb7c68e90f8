//! Both versions of a migration held against each other, key by key, and mended; and what has to be shown before a stage.

mod support;

#[path = "reconcile/repairs.rs"]
mod repairs;
#[path = "reconcile/stores.rs"]
mod stores;

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use stores::{DIFF, Shape, Store};
use support::client::Raw;
use support::eventually;
use support::serin::{self, Serin};

/// Two stores, and a state that outlives the serin before them.
struct Place {
    old: Store,
    new: Store,
    state: TempDir,
}

/// Reading, writing and listing.
const CALLS: &str = "read: { path: \"/items/{key}\" }, write: { path: \"/items/{key}\" }, delete: { path: \"/items/{key}\" }, \
                     list: { path: \"/items?after={after}\", keys: \"$.items[*].id\" }";

impl Place {
    /// Both have the items from 0 to `items`.
    fn new(items: u32) -> Self {
        let (old, new) = (Store::new(Shape::Whole), Store::new(Shape::Split));
        for n in 0..items {
            old.put(Shape::Whole, &key(n), &format!("Ada Lovelace{n}"), None);
            new.put(Shape::Split, &key(n), &format!("Ada Lovelace{n}"), None);
        }
        Self { old, new, state: tempfile::tempdir().expect("a temporary folder") }
    }

    fn start(&self, stage: &str) -> Serin {
        self.start_with(stage, "verifyRate: 0/s", "")
    }

    fn start_with(&self, stage: &str, reconcile: &str, more: &str) -> Serin {
        self.start_as(stage, DIFF, &format!("{CALLS}, {reconcile}"), more)
    }

    /// With all of what `reconcile` and the service's `diff` say.
    fn start_as(&self, stage: &str, diff: &str, reconcile: &str, more: &str) -> Serin {
        let (old, new) = (self.old.upstream.url(), self.new.upstream.url());
        let folder = self.state.path().display();
        Serin::new(&format!(
            "listeners: [{{ name: web, address: 127.0.0.1:0 }}]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nstateDir: {folder}\n\
             services:\n  shop:\n    versions: {{ old: {{ upstream: \"{old}\" }}, new: {{ upstream: \"{new}\" }} }}\n    \
             {diff}\n    migration:\n      stage: {stage}\n      from: old\n      to: new\n      key: [ {{ pathSegment: 2 }} ]\n      \
             reconcile: {{ {reconcile} }}\n      {more}\nroutes: [ {{ service: shop }} ]\n"
        ))
    }

    fn is_equal(&self) -> bool {
        self.old.names() == self.new.names()
    }
}

fn key(n: u32) -> String {
    format!("item-{n:04}")
}

fn reconcile(serin: &Serin, args: &[&str]) -> Output {
    let url = serin.admin_url();
    serin::command(&[&["--admin", &url, "reconcile", "shop"], args].concat())
}

fn reconciled(serin: &Serin, args: &[&str]) -> (Option<i32>, Value) {
    let out = reconcile(serin, &[args, &["--json"]].concat());
    let text = String::from_utf8_lossy(&out.stdout);
    let view = serde_json::from_str(&text);
    (out.status.code(), view.unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&out.stderr))))
}

fn state_of(serin: &Serin) -> Value {
    let answer = serin.ask("GET", "/api/v1/services/shop/reconcile", "");
    serde_json::from_str(&answer.text()).expect("JSON")
}

fn events(serin: &Serin) -> Vec<Value> {
    let ledger: Value = serde_json::from_str(&serin.ask("GET", "/api/v1/ledger?limit=1000", "").text()).expect("JSON");
    let entries = ledger["entries"].as_array().expect("entries");
    entries.iter().filter(|entry| entry["event"] == "reconciled").cloned().collect()
}

/// One item differs, one is missing, one is too many on the other side.
fn damage(place: &Place) {
    place.new.put(Shape::Split, &key(3), "Eve Lovelace3", Some("hunter2"));
    place.new.remove(&key(5));
    place.new.put(Shape::Split, "item-9999", "Nobody There", None);
}

#[test]
fn a_dry_run_says_what_differs_and_changes_nothing() {
    let place = Place::new(150);
    damage(&place);
    let serin = place.start("dualWrite");
    let before = place.new.names();
    let (code, view) = reconciled(&serin, &["--sample", "100%", "--rate", "5000/s", "--reason", "a first look"]);
    assert_eq!(code, Some(1), "they are not the same: {view}");
    assert_eq!((&view["state"], &view["total"], &view["looked"]), (&json!("done"), &json!(151), &json!(151)));
    let counts = &view["counts"];
    assert_eq!(
        [&counts["agreed"], &counts["differed"], &counts["missing"], &counts["extra"], &counts["repaired"]],
        [148, 1, 1, 1, 0]
    );
    assert_eq!(view["places"]["$.name"], 1);
    let differs = view["samples"].as_array().expect("samples").iter().find(|sample| sample["kind"] == "differs");
    let differs = differs.expect("one that differs");
    assert_eq!(differs["key"], key(3));
    assert_eq!(differs["places"][0]["authoritative"], "\"Ada Lovelace3\"");
    assert!(!view.to_string().contains("hunter2"), "what is redacted is shown: {view}");
    assert_eq!((place.new.names(), place.new.writes()), (before, 0));
    let entry = eventually("the entry of the ledger", || events(&serin).pop());
    assert_eq!((&entry["reason"], &entry["fields"]["differed"]), (&json!("a first look"), &json!(1)));
    let counted = || serin.metric("serin_reconcile_keys_total", &["result=\"agreed\""]);
    eventually("the metrics", || ((counted() - 148.0).abs() < 0.5).then_some(()));
    // And for people.
    let text = String::from_utf8(reconcile(&serin, &["--sample", "100%", "--rate", "5000/s"]).stdout).expect("UTF-8");
    assert!(text.contains("151 of 151 keys") && text.contains("nothing was changed"), "{text}");
}

#[test]
fn a_repair_writes_what_the_authoritative_side_has() {
    for (stage, right) in [("dualWrite", "old"), ("live", "new")] {
        let place = Place::new(100);
        damage(&place);
        let wanted = if right == "old" { place.old.names() } else { place.new.names() };
        let serin = place.start(stage);
        let (code, view) = reconciled(&serin, &["--sample", "100%", "--repair", "--rate", "5000/s"]);
        assert_eq!((code, &view["counts"]["repaired"]), (Some(0), &json!(3)), "{view}");
        assert_eq!((place.old.names(), place.new.names()), (wanted.clone(), wanted), "{stage}");
        assert_eq!(place.old.writes() + place.new.writes(), 3, "nothing else is written");
        let (code, view) = reconciled(&serin, &["--sample", "100%", "--rate", "5000/s"]);
        assert_eq!((code, &view["counts"]["agreed"]), (Some(0), &json!(100)), "{view}");
    }
}

#[test]
fn keys_are_read_from_a_file_and_bad_ones_are_refused() {
    let place = Place::new(20);
    place.new.remove(&key(7));
    let serin = place.start("dualWrite");
    let file = place.state.path().join("keys.txt");
    std::fs::write(&file, format!("{}\n\n{}\n{}\n", key(7), key(8), key(7))).expect("a file");
    let name = file.display().to_string();
    let (_, view) = reconciled(&serin, &["--keys", &name, "--rate", "5000/s"]);
    assert_eq!((&view["total"], &view["counts"]["missing"]), (&json!(2), &json!(1)), "each once: {view}");
    std::fs::write(&file, "x".repeat(513)).expect("a file");
    let out = reconcile(&serin, &["--keys", &name]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("key 1 has 513 bytes: expected 1 to 512"), "{out:?}");
    std::fs::write(&file, "\n").expect("a file");
    assert_eq!(reconcile(&serin, &["--keys", &name]).status.code(), Some(2));
    for (body, status) in [
        ("{}", 400),
        (r#"{"keys":["a"],"sample":"1%"}"#, 400),
        (r#"{"sample":"1"}"#, 400),
        (r#"{"keys":["a"],"rate":"0/s"}"#, 400),
        (r#"{"keys":["a"],"rate":"5"}"#, 400),
        (r#"{"resume":true,"repair":true}"#, 400),
    ] {
        let answer = serin.ask("POST", "/api/v1/services/shop/reconcile", body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    assert_eq!(serin.ask("POST", "/api/v1/services/none/reconcile", r#"{"keys":["a"]}"#).status, 404);
    assert_eq!(serin.ask("DELETE", "/api/v1/services/shop/reconcile", "").status, 409, "none is on");
}

#[test]
fn killed_half_way_a_repair_is_resumed_and_counts_every_key_once() {
    const ITEMS: u32 = 240;
    let place = Place::new(ITEMS);
    for n in (0..ITEMS).step_by(4) {
        place.new.remove(&key(n));
    }
    let serin = place.start("dualWrite");
    let (_, view) = reconciled(&serin, &["--sample", "100%", "--repair", "--rate", "150/s", "--detach"]);
    assert!(["listing", "running"].contains(&view["state"].as_str().expect("a word")), "{view}");
    let again = serin.ask("POST", "/api/v1/services/shop/reconcile", r#"{"sample":"100%"}"#);
    assert_eq!(again.status, 409, "one at a time: {}", again.text());
    // Until something of it is written down that is worth going on with.
    let kept = place.state.path().join("reconcile-shop.json");
    eventually("some progress on the disk", || {
        let run: Value = serde_json::from_slice(&std::fs::read(&kept).ok()?).ok()?;
        (run["counts"]["agreed"].as_u64()? >= 50).then_some(())
    });
    serin.signal("KILL");
    drop(serin);
    assert!(!place.is_equal(), "it was killed too late to say anything");
    let serin = place.start("dualWrite");
    assert_eq!(state_of(&serin)["state"], "interrupted");
    let before = state_of(&serin)["looked"].as_u64().expect("a number");
    assert!(before >= 50);
    let (code, view) = reconciled(&serin, &["--resume"]);
    assert_eq!((code, &view["state"], &view["looked"]), (Some(0), &json!("done"), &json!(ITEMS)), "{view}");
    let counts = &view["counts"];
    let of = |name: &str| counts[name].as_u64().expect("a number");
    assert_eq!(of("agreed") + of("missing"), u64::from(ITEMS), "each once: {view}");
    assert_eq!(of("missing"), of("repaired"));
    assert!(place.is_equal());
    assert!(place.new.writes() <= u64::from(ITEMS / 4) + 2, "what was mended is not written again");
    assert_eq!(events(&serin).len(), 1, "one entry, at the end");
    assert_eq!(reconcile(&serin, &["--resume"]).status.code(), Some(1), "it is done");
}

#[test]
fn one_that_is_cancelled_ends_and_goes_on_where_it_was() {
    let place = Place::new(200);
    let serin = place.start("dualWrite");
    reconciled(&serin, &["--sample", "100%", "--rate", "40/s", "--detach"]);
    eventually("some keys", || (state_of(&serin)["looked"].as_u64()? > 3).then_some(()));
    let out = reconcile(&serin, &["--cancel"]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("cancelled by admin-api"), "{out:?}");
    let looked = state_of(&serin)["looked"].as_u64().expect("a number");
    assert!(looked < 200);
    let file = place.state.path().join("reconcile-shop.json");
    let text = std::fs::read_to_string(&file).expect("a file").replace("\"perSecond\":40.0", "\"perSecond\":5000.0");
    drop(serin);
    // Patience is not what is tested here.
    std::fs::write(&file, text).expect("a file");
    let serin = place.start("dualWrite");
    let (code, view) = reconciled(&serin, &["--resume"]);
    assert_eq!((code, &view["looked"]), (Some(0), &json!(200)), "{view}");
}

#[test]
fn keys_that_are_being_written_are_never_called_different() {
    let place = Place::new(30);
    let serin = place.start("dualWrite");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..3_u32 {
            let (over, web) = (&over, serin.web());
            scope.spawn(move || {
                let mut client = Raw::connect(web);
                for n in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return n;
                    }
                    let body = json!({"name": format!("Writer {writer}-{n}")}).to_string();
                    let path = key((n * 7 + writer) % 30);
                    let answer = client
                        .send(format!(
                            "PUT /items/{path} HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        ))
                        .response(false)
                        .expect("an answer");
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
                0
            });
        }
        for _ in 0..3 {
            let (_, view) = reconciled(&serin, &["--sample", "100%", "--rate", "400/s"]);
            let counts = &view["counts"];
            let wrong = ["differed", "missing", "extra", "failed"].map(|name| counts[name].as_u64());
            assert_eq!(wrong, [Some(0); 4], "{view}");
            assert!(counts["agreed"].as_u64() > Some(20), "{view}");
        }
        over.store(true, Ordering::SeqCst);
    });
    eventually("both sides to be the same", || place.is_equal().then_some(()));
}

#[test]
fn a_side_that_is_down_stops_a_run_with_its_reason() {
    let place = Place::new(150);
    let serin = place.start("dualWrite");
    place.new.set_down(true);
    let names: Vec<_> = (0..150).map(key).collect();
    let body = json!({"keys": names, "rate": "10000/s"}).to_string();
    assert_eq!(serin.ask("POST", "/api/v1/services/shop/reconcile", &body).status, 202);
    let view = eventually("its end", || Some(state_of(&serin)).filter(|view| view["state"] != "running"));
    assert_eq!(view["state"], "stopped", "{view}");
    let why = view["detail"].as_str().expect("a reason");
    assert!(why.contains("keys in a row could not be read: new: GET /items/item-") && why.contains("503"), "{why}");
    assert_eq!(view["resumable"], true);
    place.new.set_down(false);
    let (code, view) = reconciled(&serin, &["--resume"]);
    assert_eq!((code, &view["counts"]["agreed"]), (Some(0), &json!(150)), "{view}");
}

fn write(serin: &Serin, n: u32, name: &str) {
    let body = json!({"name": name}).to_string();
    let length = body.len();
    let answer = support::client::request(
        serin.web(),
        &format!(
            "PUT /items/{} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}",
            key(n)
        ),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn keys_seen_in_writes_are_verified_without_anybody_asking() {
    let place = Place::new(0);
    let serin = place.start_with("shadow", "verifyRate: 200/s", "");
    (0..20).for_each(|n| write(&serin, n, "Ada Lovelace"));
    eventually("evidence", || (serin.metric("serin_consistency_keys", &["service=\"shop\""]) > 15.0).then_some(()));
    let ratio = || serin.metric("serin_consistency_ratio", &["service=\"shop\""]);
    assert!((ratio() - 1.0).abs() < 1e-9);
    let [low, high] =
        ["serin_consistency_ratio_low", "serin_consistency_ratio_high"].map(|name| serin.metric(name, &[]));
    assert!(low > 0.0 && low < 1.0 && (high - 1.0).abs() < 1e-9, "{low} to {high}");
    place.new.put(Shape::Split, &key(4), "Eve Lovelace", None);
    eventually("the difference to be noticed", || (ratio() < 1.0).then_some(()));
    // It is among the keys there are doubts about.
    let (code, view) = reconciled(&serin, &["--from-journal", "--repair", "--rate", "5000/s"]);
    assert_eq!((code, &view["total"], &view["counts"]["repaired"]), (Some(0), &json!(1), &json!(1)), "{view}");
    assert!(place.is_equal());
    eventually("evidence gathered anew", || ((ratio() - 1.0).abs() < 1e-9).then_some(()));
}

#[test]
fn an_interrupted_follower_does_not_stop_a_run() {
    let place = Place::new(60);
    let serin = place.start("dualWrite");
    let mut follower = Command::new(serin::binary())
        .args(["--admin", &serin.admin_url(), "reconcile", "shop", "--sample", "100%", "--rate", "60/s"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    eventually("some keys", || (state_of(&serin)["looked"].as_u64()? > 0).then_some(()));
    follower.kill().expect("it runs");
    follower.wait().expect("it ends");
    eventually("its end", || (state_of(&serin)["state"] == "done").then_some(()));
}

fn to_stage(serin: &Serin, body: &Value) -> (u16, String) {
    let answer = serin.ask("PUT", "/api/v1/services/shop/migration", &body.to_string());
    let text = answer.text();
    let detail = serde_json::from_str::<Value>(&text).ok().and_then(|json| json["detail"].as_str().map(str::to_owned));
    (answer.status, detail.unwrap_or(text))
}

fn missing(serin: &Serin) -> Vec<String> {
    let view: Value =
        serde_json::from_str(&serin.ask("GET", "/api/v1/services/shop/migration", "").text()).expect("JSON");
    let missing = view["missing"].as_array().expect("a list").clone();
    missing.iter().map(|one| one["gate"].as_str().expect("a word").to_owned()).collect()
}

#[test]
fn a_stage_is_taken_once_what_it_needs_is_shown_and_left_where_that_is_safe() {
    let place = Place::new(60);
    let gates = "gates: { consistency: 80%, minKeys: 50, bake: 1h }";
    let serin = place.start_with("dualWrite", "verifyRate: 0/s", gates);
    let (status, why) = to_stage(&serin, &json!({"stage": "live"}));
    assert_eq!((status, why.contains("from dualWrite the next stage is shadow, not live")), (409, true), "{why}");
    assert_eq!(to_stage(&serin, &json!({"stage": "shadow"})).0, 200);
    assert_eq!(missing(&serin), ["keys", "consistency"]);
    let (status, why) = to_stage(&serin, &json!({"stage": "live", "share": "10%"}));
    assert_eq!(status, 409, "{why}");
    assert!(
        why.contains("0 of 50 keys have been looked at; both sides are shown to be the same for 0% of keys"),
        "{why}"
    );
    let told = serin::command(&["--admin", &serin.admin_url(), "migration", "status", "shop"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("missing: 0 of 50 keys have been looked at"), "{told}");
    // A look at all of them is evidence, too.
    reconciled(&serin, &["--sample", "100%", "--rate", "5000/s"]);
    assert_eq!(missing(&serin), [""; 0]);
    // But not while the new version lacks a write.
    place.new.set_down(true);
    write(&serin, 1, "Grace Hopper");
    let (status, why) = to_stage(&serin, &json!({"stage": "live"}));
    assert_eq!(status, 409, "{why}");
    assert!(why.contains("the journal must be empty: 1 write waits for the new version"), "{why}");
    place.new.set_down(false);
    eventually("the write to be delivered", || (place.new.names()[&key(1)] == "Grace Hopper").then_some(()));
    assert_eq!(to_stage(&serin, &json!({"stage": "live"})).0, 200);
    // Back and forth is free while both have every write.
    assert_eq!(to_stage(&serin, &json!({"stage": "shadow"})).0, 200);
    assert_eq!(to_stage(&serin, &json!({"stage": "live"})).0, 200);
    assert_eq!(to_stage(&serin, &json!({"stage": "rampDown"})).0, 200);
    assert_eq!(missing(&serin), ["bake"]);
    let (status, why) = to_stage(&serin, &json!({"stage": "complete"}));
    assert_eq!((status, why.starts_with("rampDown has been in force for 0s of 1h")), (409, true), "{why}");
    let forced = to_stage(&serin, &json!({"stage": "complete", "force": true, "reason": "the old one is on fire"}));
    assert_eq!(forced.0, 200, "{}", forced.1);
    let ledger: Value = serde_json::from_str(&serin.ask("GET", "/api/v1/ledger?limit=1000", "").text()).expect("JSON");
    let entries = ledger["entries"].as_array().expect("entries");
    let forced = entries.iter().find(|entry| entry["forced"] == true).expect("an entry that says so");
    assert!(
        forced["reason"].as_str().is_some_and(|why| why.contains("although rampDown has been in force")),
        "{forced}"
    );
    // There is no way back before the old version has what it missed.
    write(&serin, 2, "Mary Shelley");
    assert_ne!(place.old.names()[&key(2)], "Mary Shelley");
    let (status, why) = to_stage(&serin, &json!({"stage": "rampDown"}));
    assert_eq!((status, why.contains("reconcile all keys with --repair first")), (409, true), "{why}");
    let (code, view) = reconciled(&serin, &["--sample", "100%", "--repair", "--rate", "5000/s"]);
    assert_eq!((code, &view["counts"]["repaired"]), (Some(0), &json!(1)), "{view}");
    assert_eq!(to_stage(&serin, &json!({"stage": "rampDown"})).0, 200);
    assert!(place.is_equal());
}

#[test]
fn a_file_is_held_to_the_same_gates() {
    let place = Place::new(10);
    let serin = place.start("shadow");
    let path = serin.path("serin.yaml");
    let text = std::fs::read_to_string(&path).expect("serin.yaml");
    std::fs::write(&path, text.replace("stage: shadow", "stage: live")).expect("serin.yaml");
    eventually("the refusal", || {
        (serin.metric("serin_config_reload_total", &["result=\"refused\""]) >= 1.0).then_some(())
    });
    let said = serin.stderr();
    assert!(
        said.contains("services.shop.migration: it cannot go to live now: 0 of 1000 keys have been looked at"),
        "{said}"
    );
    assert_eq!(missing(&serin), ["keys", "consistency"], "it is where it was");
}

#[test]
fn a_plan_moves_a_migration_on_until_somebody_takes_over() {
    let place = Place::new(30);
    let plan = "gates: { consistency: 60%, minKeys: 20, bake: 100ms }\n      plan: [ { stage: dualWrite, bake: 100ms }, \
                { stage: shadow, bake: 100ms }, { stage: live, share: 20%, bake: 720h }, { stage: live, bake: 100ms } ]";
    let serin = place.start_with("dualWrite", "verifyRate: 0/s", plan);
    let stage = |serin: &Serin| -> Value {
        serde_json::from_str(&serin.ask("GET", "/api/v1/services/shop/migration", "").text()).expect("JSON")
    };
    eventually("the first step", || (stage(&serin)["stage"] == "shadow").then_some(()));
    let waits = eventually("the next one to lack evidence alone", || {
        let missing = stage(&serin)["plan"]["missing"].clone();
        let gates: Vec<_> = missing.as_array()?.iter().map(|one| one["gate"].clone()).collect();
        (gates == ["keys", "consistency"]).then_some(missing)
    });
    assert!(waits[0]["detail"].as_str().is_some_and(|why| why.starts_with("0 of 20 keys")), "{waits}");
    reconciled(&serin, &["--sample", "100%", "--rate", "5000/s"]);
    eventually("a share of keys to go live", || {
        let view = stage(&serin);
        (view["stage"] == "live" && view["share"] == "20%").then_some(())
    });
    let ledger = serin.ask("GET", "/api/v1/ledger?limit=1000", "").text();
    assert!(ledger.contains("\"actor\":\"migration plan\"") && ledger.contains("\"source\":\"plan\""), "{ledger}");
    // Whoever moves it has it, also after a restart.
    assert_eq!(to_stage(&serin, &json!({"stage": "shadow", "reason": "a closer look"})).0, 200);
    assert_eq!(stage(&serin)["plan"]["paused"], true);
    serin.signal("KILL");
    drop(serin);
    let serin = place.start_with("dualWrite", "verifyRate: 0/s", plan);
    let view = stage(&serin);
    assert_eq!((&view["stage"], &view["plan"]["paused"]), (&json!("shadow"), &json!(true)), "{view}");
    reconciled(&serin, &["--sample", "100%", "--rate", "5000/s"]);
    let set = ["--admin", &serin.admin_url(), "migration", "set", "shop", "shadow", "--by-plan", "--reason", "looked"];
    let out = serin::command(&set);
    assert!(String::from_utf8_lossy(&out.stdout).contains("by plan: live for 20%"), "{out:?}");
    eventually("the plan to go on", || (stage(&serin)["stage"] == "live").then_some(()));
}
