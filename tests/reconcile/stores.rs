//! Two versions of a small service that keep the same things in different shapes.
//!
//! Both speak the same HTTP: `GET`, `PUT` and `DELETE /items/KEY` with `{"name": "Ada Lovelace"}`, and `GET /items?after=KEY`.
//! The old one keeps a name as it is, the new one in two parts, which it also shows; each says when it wrote something, which
//! the other cannot know.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::upstream::{Connection, Recorded, Upstream};

/// What both sides are compared by.
pub(crate) const DIFF: &str = "diff: { ignore: [ $.at, $.first, $.last ], redact: [ $.secret ] }";

/// Keys on one page of the list.
const PAGE: usize = 40;

/// One version's store, and the server in front of it.
pub(crate) struct Store {
    pub(crate) upstream: Upstream,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    rows: Mutex<BTreeMap<String, Row>>,
    /// It answers 503 to everything.
    is_down: AtomicBool,
    writes: AtomicU64,
}

/// A row, in the shape of its version.
#[derive(Debug, Clone, PartialEq)]
enum Row {
    Whole { name: String, at: u64, secret: Option<String> },
    Split { first: String, last: String, at: u64, secret: Option<String> },
}

/// Which shape a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Split,
}

impl Row {
    fn new(shape: Shape, name: &str, at: u64, secret: Option<String>) -> Self {
        match shape {
            Shape::Whole => Self::Whole { name: name.to_owned(), at, secret },
            Shape::Split => {
                let (first, last) = name.split_once(' ').unwrap_or((name, ""));
                Self::Split { first: first.to_owned(), last: last.to_owned(), at: at + 1_000_000, secret }
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Whole { name, .. } => name.clone(),
            Self::Split { first, last, .. } => format!("{first} {last}").trim_end().to_owned(),
        }
    }

    fn json(&self, key: &str) -> Value {
        let mut json = json!({"id": key, "name": self.name()});
        let (Self::Whole { at, secret, .. } | Self::Split { at, secret, .. }) = self;
        json["at"] = (*at).into();
        if let Self::Split { first, last, .. } = self {
            json["first"] = first.as_str().into();
            json["last"] = last.as_str().into();
        }
        if let Some(secret) = secret {
            json["secret"] = secret.as_str().into();
        }
        json
    }
}

impl Store {
    pub(crate) fn new(shape: Shape) -> Self {
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let upstream = Upstream::scripted(move |connection: &mut Connection| {
            while let Some(request) = connection.request() {
                let (status, body) = answer(&shared, shape, &request);
                let body = body.map(|body| body.to_string()).unwrap_or_default();
                let length = body.len();
                connection.send(format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                ));
            }
        });
        Self { upstream, state }
    }

    /// Writes a row behind the server's back.
    pub(crate) fn put(&self, shape: Shape, key: &str, name: &str, secret: Option<&str>) {
        let row = Row::new(shape, name, 0, secret.map(str::to_owned));
        self.state.rows.lock().expect("no one panics with it").insert(key.to_owned(), row);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.state.rows.lock().expect("no one panics with it").remove(key);
    }

    /// The names by their keys.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        let rows = self.state.rows.lock().expect("no one panics with it");
        rows.iter().map(|(key, row)| (key.clone(), row.name())).collect()
    }

    /// Requests so far that wrote something.
    pub(crate) fn writes(&self) -> u64 {
        self.state.writes.load(Ordering::SeqCst)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state.is_down.store(down, Ordering::SeqCst);
    }
}

fn answer(state: &State, shape: Shape, request: &Recorded) -> (u16, Option<Value>) {
    if state.is_down.load(Ordering::SeqCst) {
        return (503, None);
    }
    let line = request.request_line();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut rows = state.rows.lock().expect("no one panics with it");
    if let Some(after) = target.strip_prefix("/items?after=") {
        let after = after.to_owned();
        let page = rows.range(after.clone()..).filter(|(key, _)| **key != after).take(PAGE);
        let items: Vec<_> = page.map(|(key, row)| row.json(key)).collect();
        return (200, Some(json!({ "items": items })));
    }
    let Some(key) = target.strip_prefix("/items/") else { return (404, None) };
    match method {
        "GET" => match rows.get(key) {
            Some(row) => (200, Some(row.json(key))),
            None => (404, None),
        },
        "PUT" => {
            let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return (400, None) };
            let Some(name) = body["name"].as_str() else { return (422, None) };
            let at = state.writes.fetch_add(1, Ordering::SeqCst);
            let row = Row::new(shape, name, at, body["secret"].as_str().map(str::to_owned));
            let json = row.json(key);
            rows.insert(key.to_owned(), row);
            (200, Some(json))
        }
        "DELETE" => {
            state.writes.fetch_add(1, Ordering::SeqCst);
            (if rows.remove(key).is_some() { 204 } else { 404 }, None)
        }
        _ => (405, None),
    }
}
