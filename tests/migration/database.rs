//! A real database behind both versions: two schemas over `SQLite`, migrated stage by stage while clients read and write.
//!
//! `SQLite` is Python's own, so that `cargo test` compiles no C for it. Skipped aloud without Python; required where `CI=true`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use super::support::client::{self, Raw};
use super::support::eventually;
use super::support::serin::Serin;
use super::{await_empty_journal, to_stage};

/// People that each client looks after.
const PEOPLE: usize = 12;
const CLIENTS: usize = 4;
/// Rounds of every client in each stage.
const ROUNDS: usize = 3;

/// A version of the service with a database of its own.
struct Database {
    process: Child,
    port: u16,
}

impl Database {
    fn start(version: &str, file: &Path) -> Option<Self> {
        Self::start_with(version, file, &[])
    }

    fn start_with(version: &str, file: &Path, more: &[&str]) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migration/store.py");
        let python = Command::new("python3").args(["-c", "import sqlite3"]).stderr(Stdio::null()).status();
        if !python.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has no Python with SQLite");
            eprintln!("SKIPPED: no Python with SQLite");
            return None;
        }
        let mut command = Command::new("python3");
        command.arg(script).arg(version).arg(file).args(more).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a server");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("its port");
        let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
        Some(Self { process, port: port.unwrap_or_else(|| panic!("no port: {line:?}")) })
    }

    /// Everybody it knows.
    fn people(&self) -> Value {
        let answer = client::get(([127, 0, 0, 1], self.port).into(), "/people", "");
        serde_json::from_str(&answer.text()).expect("JSON")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the clients have in common.
#[derive(Default)]
struct Clients {
    stop: AtomicBool,
    requests: AtomicUsize,
    failed: AtomicUsize,
    rounds: [AtomicUsize; CLIENTS],
}

impl Clients {
    /// Reads and writes all people of one client again and again, on one connection.
    fn work(&self, number: usize, serin: std::net::SocketAddr) {
        let mut connection = Raw::connect(serin);
        let mut round = 0;
        while !self.stop.load(Ordering::Relaxed) {
            for person in 0..PEOPLE {
                let path = format!("/people/{number}-{person}");
                let name = format!("{{\"name\": \"Round{round} Client{number}\"}}");
                let put = format!("PUT {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                let delete = format!("DELETE {path} HTTP/1.1\r\nhost: a\r\n\r\n");
                let get = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
                // Some leave now and then, and come again in the next round.
                let write = if (round + person) % 5 == 4 { &delete } else { &put };
                for (request, well) in [(write, &[200_u16][..]), (&get, &[200, 404])] {
                    let answer = connection.send(request).response(false);
                    self.requests.fetch_add(1, Ordering::Relaxed);
                    if !answer.as_ref().is_some_and(|answer| well.contains(&answer.status)) {
                        self.failed.fetch_add(1, Ordering::Relaxed);
                        eprintln!("{request:?}: {answer:?}");
                        connection = Raw::connect(serin);
                    }
                }
            }
            round += 1;
            self.rounds[number].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until every client has been through all its people a few times more.
    fn await_rounds(&self) {
        let before: Vec<usize> = self.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed)).collect();
        for (rounds, before) in self.rounds.iter().zip(before) {
            eventually("clients to go on", || (rounds.load(Ordering::Relaxed) >= before + ROUNDS).then_some(()));
        }
    }
}

#[test]
fn two_schemas_are_migrated_under_load_without_a_failed_request_and_end_up_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let Some((old, new)) = Database::start("1", &old).zip(Database::start("2", &new)) else { return };
    let serin = Serin::new(&format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]
admin: {{ address: 127.0.0.1:0, open: true }}
workers: 2
stateDir: state
services:
  shop:
    versions:
      old: {{ upstream: \"http://127.0.0.1:{}\" }}
      new: {{ upstream: \"http://127.0.0.1:{}\" }}
    migration: {{ from: old, to: new, key: [ {{ pathSegment: 2 }} ], idempotent: [ old, new ] }}
routes: [ {{ service: shop }} ]
",
        old.port, new.port
    ));
    let clients = Arc::<Clients>::default();
    let address = serin.web();
    let working: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let clients = Arc::clone(&clients);
            std::thread::spawn(move || clients.work(number, address))
        })
        .collect();
    clients.await_rounds();
    for (stage, share) in [
        ("dualWrite", "20%"),
        ("dualWrite", "100%"),
        ("shadow", "100%"),
        ("live", "30%"),
        ("live", "100%"),
        ("rampDown", "100%"),
    ] {
        to_stage(&serin, stage, share);
        clients.await_rounds();
    }
    clients.stop.store(true, Ordering::Relaxed);
    for client in working {
        client.join().expect("a client");
    }
    await_empty_journal(&serin);
    let (requests, failed) = (clients.requests.load(Ordering::Relaxed), clients.failed.load(Ordering::Relaxed));
    assert_eq!(failed, 0, "of {requests} requests");
    let people = old.people();
    assert_eq!(people, new.people(), "both have the same");
    assert!(people.as_object().is_some_and(|people| people.len() > PEOPLE), "{people}");
    to_stage(&serin, "complete", "100%");
    let answer = client::request(
        address,
        "PUT /people/last HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n{\"name\":\"Ada Lovel\"}",
    );
    assert_eq!(answer.header("x-serin-version"), Some("new"));
    assert_eq!(new.people()["last"]["name"], "Ada Lovel");
    assert_eq!(old.people()["last"], Value::Null);
}

#[test]
fn people_that_the_schemas_show_in_different_ways_are_not_copied_from_one_to_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let both = Database::start("1", &old).zip(Database::start_with("2", &new, &["own"]));
    let Some((old, new)) = both else { return };
    let serin = Serin::new(&format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]
admin: {{ address: 127.0.0.1:0, open: true }}
stateDir: state
services:
  shop:
    versions:
      old: {{ upstream: \"http://127.0.0.1:{}\" }}
      new: {{ upstream: \"http://127.0.0.1:{}\" }}
    migration:
      stage: dualWrite
      from: old
      to: new
      key: [ {{ pathSegment: 2 }} ]
      reconcile: {{ read: {{ path: \"/people/{{key}}\" }}, write: {{ path: \"/people/{{key}}\" }} }}
routes: [ {{ service: shop }} ]
",
        old.port, new.port
    ));
    let keys: Vec<String> = (0..30).map(|person| format!("person-{person}")).collect();
    for key in &keys {
        let body = "{\"name\":\"Ada Lovelace\"}";
        assert_eq!(super::send(&serin, "PUT", &format!("/people/{key}"), "", body).status, 200);
    }
    await_empty_journal(&serin);
    client::request(
        ([127, 0, 0, 1], new.port).into(),
        "DELETE /people/person-7 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    let before = new.people();
    assert_eq!(before["person-1"], serde_json::json!({"first": "Ada", "last": "Lovelace"}));
    let asked = serde_json::json!({ "keys": keys, "repair": true, "rate": "5000/s", "reason": "a test" });
    let path = "/api/v1/services/shop/reconcile";
    let begun = serin.ask("POST", path, &asked.to_string());
    assert!((200..300).contains(&begun.status), "{}", begun.text());
    let view = eventually("the end of it", || {
        let view: Value = serde_json::from_str(&serin.ask("GET", path, "").text()).ok()?;
        (view["state"] == "done").then_some(view)
    });
    assert_eq!((&view["counts"]["repaired"], &view["counts"]["unrepaired"]), (&0.into(), &30.into()), "{view}");
    assert!(view.to_string().contains("represent things differently"), "{view}");
    assert_eq!(new.people(), before, "nothing was written");
}
