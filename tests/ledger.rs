//! The record of every change: what it says, that it is there before the change is, and what becomes of it when the process,
//! the disk or somebody with an editor gets in its way.

#![allow(clippy::float_cmp, reason = "weights are compared with what was set")]

#[path = "ledger/disks.rs"]
mod disks;
#[path = "ledger/killed.rs"]
mod killed;
mod support;

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use serin::ledger::{Entry, Reader, Verified, What};
use sha2::{Digest, Sha256};
use support::client::Response;
use support::eventually;
use support::load::{await_metric, said, shop_at};
use support::serin::{Serin, command};
use tempfile::TempDir;

/// What outlives a serin: the folder of its state and its weight file.
struct Place {
    root: TempDir,
}

impl Place {
    fn new(weights: &str) -> Self {
        let place = Self { root: tempfile::tempdir().expect("a temporary folder") };
        place.edit(weights);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Replaces the weight file at once.
    fn edit(&self, weights: &str) {
        std::fs::write(self.path("new.yaml"), weights).expect("a file");
        std::fs::rename(self.path("new.yaml"), self.path("weights.yaml")).expect("a rename");
    }

    fn config(&self, top: &str) -> String {
        let versions = [("old", "\"http://127.0.0.1:9\"".to_owned()), ("new", "\"http://127.0.0.1:9\"".to_owned())];
        let top = format!(
            "stateDir: {}\nfiles: {{ weights: {} }}\n{top}",
            self.state().display(),
            self.path("weights.yaml").display()
        );
        // A second service, that changes of the first must not touch.
        shop_at(&versions, "  blog: { versions: { a: { upstream: \"http://127.0.0.1:9\" }, b: { upstream: \"http://127.0.0.1:9\" } } }\n", &top)
            .replace("    sticky: [ { header: x-user-id } ]\n", "")
    }

    fn start(&self) -> Serin {
        Serin::new(&self.config(""))
    }

    fn reader(&self) -> Reader {
        Reader::of_folder(self.state())
    }

    fn verified(&self) -> Verified {
        let found = self.reader().verify(|_| {}).expect("a ledger to be read");
        found.unwrap_or_else(|broken| panic!("{broken}"))
    }

    fn entries(&self) -> Vec<Entry> {
        let page = self.reader().page(&serin::ledger::Query {
            after: Some(0),
            limit: 1000,
            ..serin::ledger::Query::default()
        });
        let lines = page.expect("a ledger to be read").lines;
        lines.iter().map(|line| serde_json::from_str(line).expect("an entry")).collect()
    }
}

fn put(serin: &Serin, old: u32, new: u32) -> Response {
    let body = json!({ "weights": { "old": old, "new": new }, "reason": "a test" });
    serin.ask("PUT", "/api/v1/services/shop/weights", &body.to_string())
}

fn body(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// The entries as the admin API gives them.
fn listed(serin: &Serin, query: &str) -> Vec<Value> {
    let answer = body(&serin.ask("GET", &format!("/api/v1/ledger{query}"), ""));
    answer["entries"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

fn await_entry(serin: &Serin, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || listed(serin, "").into_iter().rev().find(&is_it))
}

fn weights_in_force(serin: &Serin, service: &str) -> Vec<f64> {
    let view = body(&serin.ask("GET", &format!("/api/v1/services/{service}"), ""));
    let versions = view["versions"].as_array().expect("versions");
    versions.iter().map(|version| version["weight"].as_f64().expect("a weight")).collect()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_change_has_its_entry_whoever_made_it() {
    let place = Place::new("shop: { old: 95, new: 5 }\n");
    let serin = place.start();
    let kinds: Vec<_> = listed(&serin, "").iter().map(|entry| entry["kind"].as_str().map(str::to_owned)).collect();
    let first = ["genesis", "weights", "weights", "started"].map(|kind| Some(kind.to_owned()));
    assert_eq!(kinds, first);
    let change = r#"{"weights":{"old":90,"new":10},"reason":"slow start","dependsOn":[2,"pay@7"]}"#;
    let answer = serin.ask("PUT", "/api/v1/services/shop/weights", change);
    assert_eq!((answer.status, &body(&answer)["entry"]), (200, &json!(5)), "{}", answer.text());
    let entry = body(&serin.ask("GET", "/api/v1/ledger/5", ""));
    for (key, value) in [
        ("number", json!(5)),
        ("kind", json!("weights")),
        ("source", json!("admin")),
        ("service", json!("shop")),
        ("actor", json!("admin-api")),
        ("reason", json!("slow start")),
        ("from", json!({ "old": 95, "new": 5 })),
        ("to", json!({ "old": 90, "new": 10 })),
        ("dependsOn", json!([2, "pay@7"])),
    ] {
        assert_eq!(entry[key], value, "{key} of {entry}");
    }
    assert!(entry["files"]["serin.yaml"].as_str().is_some_and(|hash| hash.len() == 64), "{entry}");
    assert!(entry["files"]["weights.yaml"].is_string() && entry["plan"].is_string(), "{entry}");
    // A file that is edited, one that is wrong, and one that changes no weight.
    place.edit("shop: { old: 80, new: 20 }\n");
    let edited = await_entry(&serin, "the edit", |entry| entry["to"]["new"] == 20);
    assert_eq!(
        (&edited["actor"], &edited["source"], &edited["from"]["new"]),
        (&json!("weights.yaml"), &json!("file"), &json!(10))
    );
    assert_ne!(edited["files"]["weights.yaml"], entry["files"]["weights.yaml"]);
    place.edit("shop: { old: 80, nwe: 20 }\n");
    let refused = await_entry(&serin, "the refusal", |entry| entry["result"] == "refused");
    assert!(refused["problem"].as_str().is_some_and(|problem| problem.contains("shop.nwe")), "{refused}");
    place.edit("shop: { old: 80, new: 20 } # again\n");
    await_entry(&serin, "the comment", |entry| entry["kind"] == "files" && entry["result"] == "applied");
    // Two services at once take effect together.
    place.edit("shop: { old: 1, new: 1 }\nblog: { a: 3, b: 1 }\n");
    let blog = await_entry(&serin, "the second edit", |entry| entry["service"] == "blog" && entry["to"]["b"] == 1);
    assert_eq!(blog["with"], blog["number"]);
    // Who asks by service gets that service's alone; by pages, all.
    assert!(listed(&serin, "?service=blog").iter().all(|entry| entry["service"] == "blog"));
    let page = body(&serin.ask("GET", "/api/v1/ledger?after=0&limit=4", ""));
    assert_eq!((page["entries"].as_array().map(Vec::len), &page["next"]), (Some(4), &json!(4)));
    assert_eq!(listed(&serin, "?after=4&limit=1")[0]["number"], 5);
    // Counted a moment after they can be read.
    await_metric(&serin, "serin_ledger_entries_total", &[], listed(&serin, "").len() as f64);
    await_metric(&serin, "serin_ledger_append_duration_seconds_count", &[], 6.0);
    let figure = |name: &str| serin.metric(name, &[]);
    assert_eq!((figure("serin_ledger_healthy"), figure("serin_ledger_write_failures_total")), (1.0, 0.0));
    // Anybody can follow the chain with nothing but SHA-256.
    let text = std::fs::read_to_string(place.state().join("ledger-000000000001.jsonl")).expect("the file");
    let mut before = "0".repeat(64);
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(entry["before"], before);
        before = serin::ledger::Digest::from(<[u8; 32]>::from(Sha256::digest(line))).to_string();
    }
}

#[test]
fn what_is_asked_for_wrongly_is_refused_with_a_reason() {
    let place = Place::new("{}\n");
    let serin = place.start();
    let entries = listed(&serin, "").len();
    for (query, part) in
        [("?limit=0", "from 1 to 1000"), ("?limit=1001", "1001"), ("?after=x", "after"), ("?who=me", "who")]
    {
        let answer = serin.ask("GET", &format!("/api/v1/ledger{query}"), "");
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert!(answer.text().contains(part), "{query}: {}", answer.text());
    }
    assert_eq!(serin.ask("GET", "/api/v1/ledger/99", "").status, 404);
    assert_eq!(serin.ask("GET", "/api/v1/ledger/x", "").status, 400);
    let change = |more: &str| {
        let body = format!(r#"{{"weights":{{"old":1}},"reason":"r","dependsOn":[{more}]}}"#);
        serin.ask("PUT", "/api/v1/services/shop/weights", &body)
    };
    let missing = change("99");
    assert_eq!(missing.status, 422, "{}", missing.text());
    assert!(missing.text().contains("there is no entry 99 to depend on; the last is 4"), "{}", missing.text());
    assert_eq!(change("\"no such@thing\"").status, 400);
    assert_eq!(change(&["1"; 33].join(",")).status, 422);
    assert_eq!(listed(&serin, "").len(), entries, "nothing of it is recorded");
}

#[test]
fn the_command_line_reads_a_running_serin_and_a_folder_alike() {
    let place = Place::new("shop: { old: 95, new: 5 }\n");
    let serin = place.start();
    let admin = serin.admin_url();
    let set =
        command(&["set", "shop", "old=90", "new=10", "--reason", "look", "--depends-on", "2,pay@3", "--admin", &admin]);
    assert!(set.status.success() && out(&set).contains("entry 5 of the ledger"), "{set:?}");
    let (state, config) = (place.state().display().to_string(), serin.path("serin.yaml").display().to_string());
    let from = [["--admin", &admin], ["--state-dir", &state], ["--config", &config]];
    let every = |args: &[&str]| {
        let answers: Vec<Output> = from.iter().map(|from| command(&[&["ledger"], args, from].concat())).collect();
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
        assert!(answers[0].status.success(), "{answers:#?}");
        out(&answers[0])
    };
    let list = every(&[]);
    assert_eq!(list, every(&["list"]));
    let newest = list.lines().last().expect("an entry");
    assert!(newest.contains("old 95, new 5 → old 90, new 10") && newest.contains("[admin-api: look]"), "{list}");
    assert_eq!(every(&["list", "--service", "blog"]).lines().count(), 1);
    assert_eq!(every(&["list", "--after", "3", "--limit", "1"]).lines().count(), 1);
    let json = every(&["list", "--json"]);
    let text = std::fs::read_to_string(place.state().join("ledger-000000000001.jsonl")).expect("the file");
    assert_eq!(json, text, "byte for byte");
    assert!(every(&["show", "5"]).contains("  depends on   2, pay@3\n"));
    assert_eq!(every(&["show", "5", "--json"]), text.lines().last().expect("a line").to_owned() + "\n");
    assert!(every(&["verify"]).starts_with("verified: 5 entries in 1 file, 1 to 5; the last is "));
    assert!(every(&["verify", "--json"]).contains("\"entries\":5"));
    let graph = every(&["graph"]);
    assert!(
        graph.starts_with("flowchart LR\n") && graph.contains("e2 ==> e5") && graph.contains("x0 ==> e5"),
        "{graph}"
    );
    assert!(every(&["graph", "--format", "dot"]).contains("e2 -> e5 [style=bold];"));
    let code = |args: &[&str]| command(args).status.code();
    assert_eq!(code(&["ledger", "show", "99", "--state-dir", &state]), Some(1));
    assert_eq!(code(&["ledger", "show", "99", "--admin", &admin]), Some(1));
    assert_eq!(code(&["ledger", "verify", "--state-dir", &place.path("none").display().to_string()]), Some(2));
    assert_eq!(code(&["ledger", "list", "--limit", "5000", "--state-dir", &state]), Some(2));
    assert_eq!(code(&["ledger", "verify", "--state-dir", &state, "--config", &config]), Some(2));
    // Somebody with an editor.
    drop(serin);
    let file = place.state().join("ledger-000000000001.jsonl");
    std::fs::write(&file, text.replace("look", "luck")).expect("a file");
    let verify = command(&["ledger", "verify", "--state-dir", &state]);
    assert_eq!(verify.status.code(), Some(1));
    assert!(out(&verify).starts_with("not verified: ledger-000000000001.jsonl:5: entry 5: "), "{verify:?}");
}

#[test]
fn a_restart_goes_on_where_the_record_ends() {
    let place = Place::new("shop: { old: 95, new: 5 }\n");
    let serin = place.start();
    assert_eq!(put(&serin, 70, 30).status, 200);
    drop(serin);
    let serin = place.start();
    assert_eq!(weights_in_force(&serin, "shop"), [70.0, 30.0], "by hand, and the file has nothing new to say");
    // A comment is no news either.
    drop(serin);
    place.edit("shop: { old: 95, new: 5 } # five\n");
    let serin = place.start();
    assert_eq!(weights_in_force(&serin, "shop"), [70.0, 30.0]);
    drop(serin);
    place.edit("shop: { old: 60, new: 40 }\n");
    let serin = place.start();
    assert_eq!(weights_in_force(&serin, "shop"), [60.0, 40.0], "the last change wins");
    let entry = await_entry(&serin, "the edit", |entry| entry["kind"] == "weights");
    assert_eq!((&entry["from"]["new"], &entry["to"]["new"]), (&json!(30), &json!(40)));
    assert_eq!(entry["reason"], "the files changed while serin was not running");
    drop(serin);
    assert_eq!(weights_in_force(&place.start(), "shop"), [60.0, 40.0]);
    let starts = place.entries().iter().filter(|entry| matches!(entry.draft.what, What::Started { .. })).count();
    assert_eq!(starts, 5);
    place.verified();
}

#[test]
fn without_a_folder_the_record_ends_with_the_process() {
    let versions = [("old", "\"http://127.0.0.1:9\"".to_owned()), ("new", "\"http://127.0.0.1:9\"".to_owned())];
    let serin = Serin::new(&shop_at(&versions, "", ""));
    said(&serin, "no stateDir: the ledger is kept in memory and ends with this process");
    assert_eq!(put(&serin, 1, 1).status, 200);
    assert_eq!(listed(&serin, "").last().expect("an entry")["to"], json!({ "old": 1, "new": 1 }));
    let verify = command(&["ledger", "verify", "--admin", &serin.admin_url()]);
    assert!(out(&verify).starts_with("verified: 4 entries in memory, 1 to 4"), "{verify:?}");
}

#[test]
fn a_second_serin_on_the_same_folder_is_refused_with_the_first_ones_number() {
    let place = Place::new("{}\n");
    let first = place.start();
    let config = place.path("second.yaml");
    std::fs::write(&config, place.config("")).expect("a file");
    let second = command(&["run", "--config", &config.display().to_string()]);
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("{} is in use by another serin (process {})", place.state().display(), first.pid());
    assert!(err(&second).contains(&expected), "{second:?}");
}

#[test]
fn a_folder_that_cannot_be_is_an_error_with_its_place() {
    let place = Place::new("{}\n");
    std::fs::write(place.state(), "a file").expect("a file");
    let config = place.path("serin.yaml");
    std::fs::write(&config, place.config("")).expect("a file");
    let refused = command(&["run", "--config", &config.display().to_string()]);
    assert_eq!(refused.status.code(), Some(2));
    let expected = format!("serin.yaml:4:11: stateDir: {}: cannot be created: ", place.state().display());
    assert!(err(&refused).contains(&expected), "{}", err(&refused));
}
