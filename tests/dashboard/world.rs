//! A serin with everything that pages show: a rollout, copies that are compared, a migration and an experiment. Whatever
//! others have a say in would like to be more than text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use serin::access::TokenHash;

use crate::support::client::{Raw, request};
use crate::support::eventually;
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;

pub(crate) const IMAGE: &str = "<img src=x onerror=window.hacked=1>";
pub(crate) const SCRIPT: &str = "<script>window.hacked=1</script>";
pub(crate) const VECTOR: &str = "'><svg onload=window.hacked=1>";

/// The token of vera, a viewer.
pub(crate) const VIEWER: &str = "looking";
/// That of otto, an operator.
pub(crate) const OPERATOR: &str = "acting";
/// That of anna, an approver.
pub(crate) const APPROVER: &str = "approving";
/// That of adam, an admin.
pub(crate) const ADMIN: &str = "ruling";

/// That serin, and what answers for it. Anybody may look; to act, one needs a token.
pub(crate) struct World {
    pub(crate) serin: Serin,
    _upstreams: Vec<Upstream>,
}

impl World {
    /// One with differences, a dead letter and a rollout: something for every button.
    pub(crate) fn with_all_there_is_to_do() -> Self {
        let world = Self::new();
        world.differ();
        world.dead_letter();
        world.start("release 9");
        world
    }

    pub(crate) fn new() -> Self {
        let upstreams = vec![
            Upstream::named("old"),
            Upstream::named("new"),
            catalogue("old"),
            catalogue("new"),
            Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
            refusing(),
            measured(),
        ];
        let config = config(&upstreams);
        let flags = format!(
            "flags:\n  \"{IMAGE}\":\n    state: ENABLED\n    variants: {{ plain: 1, \"{SCRIPT}\": 2 }}\n    \
             defaultVariant: plain\n    targeting: {{ var: x-button }}\n"
        );
        let serin = Serin::with_files(&config, &[("flags.yaml", &flags), ("tokens.yaml", &tokens())]);
        Self { serin, _upstreams: upstreams }
    }

    /// Has answers of the catalogue compared until it is clear where they differ, and where that is noise.
    pub(crate) fn differ(&self) {
        self.send("GET", "/catalogue", "", 200);
        eventually("the comparisons", || {
            let found = self.get("/api/v1/services/catalogue/diffs");
            (found["routes"][0]["compared"].as_u64() >= Some(200)).then_some(())
        });
    }

    /// Has a write that the other version does not take.
    pub(crate) fn dead_letter(&self) {
        let body = r#"{"stage":"dualWrite","reason":"two columns"}"#;
        self.order("PUT", "/api/v1/services/orders/migration", body);
        self.send("PUT", "/orders/1", &format!("x-entity-id: {IMAGE}\r\n"), 1);
        eventually("a dead letter", || {
            let known = self.get("/api/v1/services/orders/migration");
            (known["journal"]["deadLetters"] == 1).then_some(())
        });
    }

    /// Has requests with both variants.
    pub(crate) fn measure(&self) {
        eventually("the experiment to have begun", || {
            let service = self.get("/api/v1/services/search");
            (!service["experiment"].is_null()).then_some(())
        });
        for variant in ["plain", SCRIPT] {
            self.send("GET", "/search", &format!("x-button: {variant}\r\n"), 60);
        }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.serin.ask("GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Asks for a change, as the admin.
    pub(crate) fn order(&self, method: &str, path: &str, body: &str) {
        let answer = request(
            self.serin.admin(),
            &format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {ADMIN}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    }

    /// Starts the rollout.
    pub(crate) fn start(&self, reason: &str) {
        let body = json!({ "action": "start", "reason": reason });
        self.order("POST", "/api/v1/services/checkout/rollout", &body.to_string());
    }

    /// Whether the ledger has an entry by this one for this reason.
    pub(crate) fn has_entry(&self, actor: &str, reason: &str) -> bool {
        let entries = crate::ledger(&self.serin);
        entries
            .iter()
            .any(|entry| entry["actor"] == actor && entry["reason"].as_str().is_some_and(|text| text.contains(reason)))
    }

    /// The address of a page of a service.
    pub(crate) fn page(&self, service: &str) -> String {
        format!("{}/#/service/{service}", self.serin.admin_url())
    }

    fn send(&self, method: &str, path: &str, headers: &str, times: usize) {
        let mut connection = Raw::connect(self.serin.web());
        let length = if method == "GET" { "" } else { "content-length: 0\r\n" };
        for _ in 0..times {
            connection.send(format!("{method} {path} HTTP/1.1\r\nhost: shop.example\r\n{headers}{length}\r\n"));
            let answer = connection.response(false).expect("an answer");
            assert!(answer.status == 200 || path == "/search", "{}", answer.text());
        }
    }
}

fn config(upstreams: &[Upstream]) -> String {
    let url = |index: usize| upstreams[index].url();
    let two = |index: usize| {
        format!("{{ old: {{ upstream: \"{}\" }}, new: {{ upstream: \"{}\" }} }}", url(index), url(index + 1))
    };
    format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]
admin: {{ address: 127.0.0.1:0, tokens: tokens.yaml }}
workers: 1
stateDir: state
files: {{ flags: flags.yaml }}
flagContext: {{ attributes: [ {{ header: x-button }} ] }}
services:
  checkout:
    versions: {}
    sticky: [ {{ header: x-user-id }} ]
    rollout: {{ from: old, to: new, steps: [ {{ weight: 20, bake: 1h }}, {{ weight: 50, bake: 1h }} ],
      approval: {{ above: 25, required: 1 }} }}
  catalogue:
    versions: {}
    weights: {{ old: 100, new: 0 }}
    shadow: {{ to: new }}
    diff: {{ noise: 50%, headers: [ x-note ] }}
  orders:
    versions: {}
    migration: {{ from: old, to: new, key: [ {{ header: x-entity-id }} ] }}
  search:
    versions: {{ v1: {{ upstream: \"{}\" }} }}
    measureBy: \"{IMAGE}\"
routes:
  - {{ matches: [ {{ path: {{ type: PathPrefix, value: /catalogue }} }} ], service: catalogue }}
  - {{ matches: [ {{ path: {{ type: PathPrefix, value: /orders }} }} ], service: orders }}
  - {{ matches: [ {{ path: {{ type: PathPrefix, value: /search }} }} ], service: search }}
  - {{ service: checkout }}
",
        two(0),
        two(2),
        two(4),
        url(6)
    )
}

fn tokens() -> String {
    let line = |name: &str, role: &str, token: &str| {
        format!("  - {{ name: \"{name}\", role: {role}, sha256: \"{}\" }}\n", TokenHash::of(token.as_bytes()))
    };
    let known = [
        line("vera", "viewer", VIEWER),
        line("otto", "operator", OPERATOR),
        line("anna", "approver", APPROVER),
        line("adam", "admin", ADMIN),
    ];
    format!("tokens:\n{}", known.concat())
}

/// A version of the catalogue: a path, a value and a header are its own, and a number counts up.
fn catalogue(version: &'static str) -> Upstream {
    let number = Arc::new(AtomicU64::new(0));
    Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let at = number.fetch_add(1, Ordering::Relaxed);
            let body = json!({ IMAGE: format!("{version} {SCRIPT}"), "at": at }).to_string();
            connection.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-note: {version} {VECTOR}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    })
}

/// A version that takes no writes.
fn refusing() -> Upstream {
    let body = format!("never {SCRIPT}");
    Upstream::answering(format!("HTTP/1.1 400 {VECTOR}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

/// A version that fails whoever has the variant that is a script.
fn measured() -> Upstream {
    Upstream::scripted(|connection| {
        while let Some(request) = connection.request() {
            let failed = request.header("x-button").as_deref() == Some(SCRIPT);
            connection.send(format!("HTTP/1.1 {} x\r\ncontent-length: 0\r\n\r\n", if failed { 500 } else { 200 }));
        }
    })
}
