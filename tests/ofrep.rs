//! The flag API as applications meet it: OFREP 0.3 over raw HTTP, and with other people's providers.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

#[path = "ofrep/answers.rs"]
mod answers;
#[path = "ofrep/bodies.rs"]
mod bodies;
#[path = "ofrep/bulk.rs"]
mod bulk;
#[path = "ofrep/cors.rs"]
mod cors;
#[path = "ofrep/events.rs"]
mod events;
#[path = "ofrep/file.rs"]
mod file;
#[path = "ofrep/providers.rs"]
mod providers;

use serde_json::Value;
use support::client::{self, Response};
use support::serin::Serin;

/// A serin with the flag API and these flags.
fn with_flags(flags: &str) -> Serin {
    with_flags_and(flags, "")
}

/// The same with more keys in `ofrep`, such as `, maxBody: 1KiB`.
fn with_flags_and(flags: &str, more: &str) -> Serin {
    Serin::with_files(&config(more), &[("flags.yaml", flags), ("weights.yaml", "shop: { old: 1, new: 1 }\n")])
}

fn config(more: &str) -> String {
    format!(
        "listeners: [{{ name: web, address: 127.0.0.1:0 }}]\nadmin: {{ address: 127.0.0.1:0 }}\n\
         ofrep: {{ address: 127.0.0.1:0{more} }}\nfiles: {{ flags: flags.yaml, weights: weights.yaml }}\n\
         services:\n  shop: {{ versions: {{ old: {{ upstream: http://127.0.0.1:9 }}, new: {{ upstream: http://127.0.0.1:9 }} }} }}\n\
         routes: [{{ service: shop }}]\n"
    )
}

const SINGLE: &str = "/ofrep/v1/evaluate/flags/";
const BULK: &str = "/ofrep/v1/evaluate/flags";
const EVENTS: &str = "/ofrep/v1/events";

/// A request to the flag API, with these header lines and this body.
fn ask(serin: &Serin, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut lines = String::new();
    for (name, value) in headers {
        lines.extend([*name, ": ", *value, "\r\n"]);
    }
    let length = body.len();
    client::request(
        serin.address("ofrep"),
        &format!(
            "{method} {path} HTTP/1.1\r\nhost: flags\r\nconnection: close\r\n{lines}content-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// A POST whose answer is JSON: status and body.
fn post(serin: &Serin, path: &str, body: &str) -> (u16, Value) {
    let response = ask(serin, "POST", path, &[("content-type", "application/json")], body);
    assert_eq!(response.header("content-type"), Some("application/json"));
    let value = serde_json::from_slice(&response.body);
    (response.status, value.unwrap_or_else(|error| panic!("{error}: {}", response.text())))
}

/// One flag for nobody in particular.
fn evaluate(serin: &Serin, key: &str) -> (u16, Value) {
    post(serin, &format!("{SINGLE}{key}"), "{}")
}
