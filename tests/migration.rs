//! Migrations through real sockets: who is asked in which stage, writes that two versions get, and what cannot be one.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

#[path = "migration/database.rs"]
mod database;
#[path = "migration/deprecation.rs"]
mod deprecation;
#[path = "migration/moves.rs"]
mod moves;
#[path = "migration/secure.rs"]
mod secure;
#[path = "migration/stages.rs"]
mod stages;
#[path = "migration/weights.rs"]
mod weights;
#[path = "migration/writes.rs"]
mod writes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::client::{Raw, Response};
use support::eventually;
use support::serin::Serin;
use support::upstream::{Recorded, Upstream};

/// Where a migration is looked at and moved.
const MIGRATION: &str = "/api/v1/services/shop/migration";

/// A version that keeps things: what is put under a path is there to be got.
struct Store {
    upstream: Upstream,
    things: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// What every write is answered, in place of being carried out.
    refuses: Arc<Mutex<Option<&'static str>>>,
}

impl Store {
    fn new() -> Self {
        let things = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let refuses = Arc::<Mutex<Option<&'static str>>>::default();
        let (kept, answer) = (Arc::clone(&things), Arc::clone(&refuses));
        let upstream = Upstream::scripted(move |connection| {
            while let Some(request) = connection.request() {
                let mut words = request.request_line().split(' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
                let mut things = kept.lock().unwrap();
                let instead = *answer.lock().unwrap();
                let (status, body) = match (method, instead) {
                    ("GET" | "HEAD", _) => match things.get(&path) {
                        Some(thing) => ("200 OK", thing.clone()),
                        None => ("404 Not Found", b"none".to_vec()),
                    },
                    (_, Some(status)) => (status, b"no".to_vec()),
                    ("DELETE", _) => {
                        things.remove(&path);
                        ("200 OK", b"gone".to_vec())
                    }
                    _ => {
                        things.insert(path, request.body.clone());
                        ("200 OK", b"kept".to_vec())
                    }
                };
                drop(things);
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
                connection.send([head.as_bytes(), &body].concat());
            }
        });
        Self { upstream, things, refuses }
    }

    fn refuse(&self, with: Option<&'static str>) {
        *self.refuses.lock().unwrap() = with;
    }

    fn thing(&self, path: &str) -> Option<String> {
        self.things.lock().unwrap().get(path).map(|thing| String::from_utf8_lossy(thing).into_owned())
    }

    /// Methods and paths it was asked, in their order.
    fn asked(&self) -> Vec<String> {
        let line = |request: &Recorded| request.request_line().trim_end_matches(" HTTP/1.1").to_owned();
        self.upstream.requests().iter().map(line).collect()
    }

    fn await_thing(&self, path: &str, thing: Option<&str>) {
        eventually(&format!("{path} to be {thing:?}"), || (self.thing(path).as_deref() == thing).then_some(()));
    }
}

/// A serin with the service `shop` of `old` and `new` under migration. `migration`: further keys of it.
fn config(old: &Upstream, new: &Upstream, migration: &str) -> String {
    format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]
admin: {{ address: 127.0.0.1:0, open: true }}
workers: 2
stateDir: state
services:
  shop:
    versions: {{ old: {{ upstream: \"{}\" }}, new: {{ upstream: \"{}\" }} }}
    migration:
      from: old
      to: new
      key: [ {{ header: x-entity-id }}, {{ pathSegment: 2 }} ]
{migration}routes: [ {{ service: shop }} ]
",
        old.url(),
        new.url()
    )
}

fn send(serin: &Serin, method: &str, path: &str, headers: &str, body: &str) -> Response {
    let length = if method == "GET" { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let request = format!("{method} {path} HTTP/1.1\r\nhost: shop.example\r\n{headers}{length}\r\n{body}");
    Raw::connect(serin.web()).send(request).response(false).expect("an answer")
}

/// Moves the migration, whatever stands in the way.
fn to_stage(serin: &Serin, stage: &str, share: &str) -> Value {
    let body = json!({ "stage": stage, "share": share, "reason": "a test", "force": true });
    let answer = serin.ask("PUT", MIGRATION, &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).expect("JSON")
}

fn view(serin: &Serin) -> Value {
    serde_json::from_str(&serin.ask("GET", MIGRATION, "").text()).expect("JSON")
}

fn await_empty_journal(serin: &Serin) {
    eventually("an empty journal", || (view(serin)["journal"]["entries"] == 0).then_some(()));
}
