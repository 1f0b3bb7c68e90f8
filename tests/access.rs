//! Who may do what with the admin API: tokens, certificates, unix sockets, and whoever shows nothing.

#[path = "access/certificates.rs"]
mod certificates;
#[path = "access/command_line.rs"]
mod command_line;
#[path = "access/pages.rs"]
mod pages;
#[path = "access/protection.rs"]
mod protection;
mod support;
#[path = "access/tokens.rs"]
mod tokens;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use serin::access::TokenHash;
use support::client::{Response, request};
use support::load::shop_at;
use support::serin::Serin;

const WEIGHTS: &str = "/api/v1/services/shop/weights";
/// Where nobody listens: these tests send no traffic.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A `serin.yaml` whose `admin` is as given.
fn config(admin: &str) -> String {
    let upstream = || format!("\"{NOWHERE}\"");
    shop_at(&[("old", upstream()), ("new", upstream())], "", "")
        .replace("admin: { address: 127.0.0.1:0, open: true }", &format!("admin: {admin}"))
}

/// A tokens file: by name, role and token.
fn tokens(known: &[(&str, &str, &str)]) -> String {
    let mut text = "tokens:\n".to_owned();
    for (name, role, token) in known {
        let hash = TokenHash::of(token.as_bytes());
        // Writing to a string does not fail.
        let _ = writeln!(text, "  - {{ name: {name}, role: {role}, sha256: \"{hash}\" }}");
    }
    text
}

/// A serin whose tokens file names these.
fn with_tokens(known: &[(&str, &str, &str)]) -> Serin {
    Serin::with_files(&config("{ address: 127.0.0.1:0, tokens: tokens.yaml }"), &[("tokens.yaml", &tokens(known))])
}

/// Whether a change is let through with these header lines (each ending in CR LF); every one is another.
fn change(serin: &Serin, headers: &str) -> Response {
    request(serin.admin(), &changing("localhost", &format!("content-type: application/json\r\n{headers}")))
}

/// A change as it is sent.
fn changing(host: &str, headers: &str) -> String {
    static WEIGHT: AtomicU32 = AtomicU32::new(1);
    let new = WEIGHT.fetch_add(1, Ordering::Relaxed);
    let body = format!("{{\"weights\":{{\"old\":1000,\"new\":{new}}},\"reason\":\"a test\"}}");
    format!(
        "PUT {WEIGHTS} HTTP/1.1\r\nhost: {host}\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn read(serin: &Serin, path: &str, headers: &str) -> Response {
    request(serin.admin(), &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n"))
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// The detail of a problem document (RFC 9457) with this status.
fn problem(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let document: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(document["status"], status);
    document["detail"].as_str().expect("a detail").to_owned()
}

/// How many requests were turned away for this reason.
fn turned_away(serin: &Serin, reason: &str) -> f64 {
    serin.metric("serin_admin_auth_failures_total", &[&format!("reason=\"{reason}\"")])
}

/// The number of the plan in force: every change makes another.
fn generation(serin: &Serin) -> u64 {
    let answer: Value = serde_json::from_slice(&read(serin, "/api/v1/services", "").body).expect("JSON");
    answer["generation"].as_u64().expect("a number")
}
