//! A serin in which everything is on that the admin API tells of.

use std::fmt::Write as _;

use serde_json::Value;
use serin::access::TokenHash;

use crate::support::client::{Raw, Response, request};
use crate::support::eventually;
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;

/// The token of an admin, where there are tokens.
pub(crate) const ADMIN: &str = "token-admin";

const FLAGS: &str = r"flags:
  button:
    { state: ENABLED, variants: { blue: blue, red: red }, defaultVariant: blue,
      targeting: { fractional: [ [ blue, 1 ], [ red, 1 ] ] } }
  broken: { state: ENABLED, variants: { yes: true }, defaultVariant: yes, targeting: { unheard: [ 1 ] } }
  away: { state: DISABLED, variants: { yes: true, no: false }, defaultVariant: no }
";

/// A rollout that waits for approval, a migration with its journal, copies that are compared, flags, a ledger.
pub(crate) struct Everything {
    pub(crate) serin: Serin,
    _upstreams: [Upstream; 2],
}

impl Everything {
    /// Whoever reaches it may do everything.
    pub(crate) fn open() -> Self {
        Self::new("{ address: 127.0.0.1:0, open: true }", "")
    }

    /// Only those may do anything who have a token, each role one: `token-viewer` and so on.
    pub(crate) fn with_tokens() -> Self {
        Self::new("{ address: 127.0.0.1:0, tokens: tokens.yaml, reads: protected, metrics: protected }", ADMIN)
    }

    fn new(admin: &str, token: &str) -> Self {
        let upstreams = [Upstream::named("old"), Upstream::named("new")];
        let versions = format!(
            "{{ old: {{ upstream: \"{}\" }}, new: {{ upstream: \"{}\" }} }}",
            upstreams[0].url(),
            upstreams[1].url()
        );
        let config = format!(
            "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]
admin: {admin}
workers: 1
stateDir: state
files: {{ weights: weights.yaml, flags: flags.yaml }}
services:
  shop:
    versions: {versions}
    sticky: [ {{ header: x-user-id }} ]
    measureBy: button
    overload: {{}}
    rollout:
      from: old
      to: new
      steps: [ {{ weight: 1, bake: 1h }}, {{ weight: 50, bake: 1h }} ]
      approval: {{ above: 0.5 }}
      control: {{ weight: 5 }}
  moving:
    versions: {versions}
    diff: {{}}
    migration:
      stage: dualWrite
      from: old
      to: new
      key: [ {{ pathSegment: 2 }} ]
      reconcile:
        {{ read: {{ path: \"/items/{{key}}\" }}, write: {{ path: \"/items/{{key}}\" }}, delete: {{ path: \"/items/{{key}}\" }},
          list: {{ path: \"/items?after={{after}}\", keys: \"$.items[*].id\" }}, verifyRate: 0/s }}
  dark:
    versions: {versions}
    shadow: {{ to: new }}
    diff: {{}}
routes:
  - {{ matches: [ {{ path: {{ type: PathPrefix, value: /items }} }} ], service: moving }}
  - {{ matches: [ {{ path: {{ type: PathPrefix, value: /dark }} }} ], service: dark }}
  - service: shop
"
        );
        let mut tokens = "tokens:\n".to_owned();
        for role in ["viewer", "operator", "approver", "admin"] {
            let hash = TokenHash::of(format!("token-{role}").as_bytes());
            // Writing to a string does not fail.
            let _ = writeln!(tokens, "  - {{ name: a-{role}, role: {role}, sha256: \"{hash}\" }}");
        }
        let files = [("weights.yaml", "shop: { old: 95, new: 5 }\n"), ("flags.yaml", FLAGS), ("tokens.yaml", &tokens)];
        let everything = Self { serin: Serin::with_files(&config, &files), _upstreams: upstreams };
        everything.live(token);
        everything
    }

    /// Requests of every kind, a change, and a rollout that waits for approval.
    fn live(&self, token: &str) {
        let mut clients = Raw::connect(self.serin.web());
        for n in 0..30 {
            for (path, method) in [("item", "GET"), ("dark", "GET"), ("items/7", "GET"), ("items/7", "PUT")] {
                clients.send(format!(
                    "{method} /{path} HTTP/1.1\r\nhost: shop.example\r\nx-user-id: {n}\r\ncontent-length: 0\r\n\r\n"
                ));
                let answer = clients.response(false).expect("an answer");
                assert_eq!(answer.status, 200, "{method} /{path}: {answer:?}");
            }
        }
        let weights = r#"{"weights":{"old":90,"new":10},"reason":"a test"}"#;
        let changed = self.ask("PUT", "/api/v1/services/shop/weights", token, weights);
        assert_eq!(changed.status, 200, "{}", changed.text());
        let order = r#"{"action":"start","reason":"a test"}"#;
        let begun = self.ask("POST", "/api/v1/services/shop/rollout", token, order);
        assert_eq!(begun.status, 200, "{}", begun.text());
        let compared = || {
            let diffs = self.ask("GET", "/api/v1/services/dark/diffs", token, "").text();
            serde_json::from_str::<Value>(&diffs).ok()?["routes"][0]["compared"]
                .as_u64()
                .filter(|compared| *compared > 0)
        };
        eventually("answers to be compared", compared);
    }

    /// Asks with a token, or without where that is empty.
    pub(crate) fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Response {
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        self.ask_with(method, path, token, kind, body)
    }

    /// The same with these header lines, each ending in CR LF.
    pub(crate) fn ask_with(&self, method: &str, path: &str, token: &str, headers: &str, body: &str) -> Response {
        let shown = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        let asked = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{shown}{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if method != "HEAD" {
            return request(self.serin.admin(), &asked);
        }
        Raw::connect(self.serin.admin()).send(asked).response(true).expect("a head")
    }

    /// The document, as it is told to whoever has this token.
    pub(crate) fn document(&self, token: &str) -> Value {
        let answer = self.ask("GET", "/api/v1/openapi.json", token, "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Whoever shows nothing is answered 401 at every operation that the document does not say is open, whatever it is
    /// asked for.
    pub(crate) fn assert_closed(&self, document: &Value) {
        let mut closed = 0;
        for (path, method, operation) in operations(document) {
            let real = path.replace("{service}", "shop").replace("{number}", "1");
            let answer = self.ask(&method.to_uppercase(), &real, "", "{}");
            let ways = operation["security"].as_array().expect("who may");
            if ways.is_empty() || ways.contains(&serde_json::json!({})) {
                assert!(["/livez", "/readyz", "/api/v1/me"].contains(&path), "{path} is open");
                assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
                continue;
            }
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
            assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
            assert!(answer.text().contains("--token-file"), "{}", answer.text());
            closed += 1;
        }
        assert!(closed > 20, "{closed}");
    }
}

/// The operations of a document: path, method and what is said of it.
pub(crate) fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter().filter(|(key, _)| *key != "parameters");
        operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}
