//! TLS on both sides, with certificates made for the test.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

#[path = "tls/check.rs"]
mod check;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/listeners.rs"]
mod listeners;
#[path = "tls/partings.rs"]
mod partings;
#[path = "tls/reload.rs"]
mod reload;
#[path = "tls/size.rs"]
mod size;
#[path = "tls/tools.rs"]
mod tools;
#[path = "tls/upstreams.rs"]
mod upstreams;

use support::client::{Raw, Response};
use support::serin::Serin;
use support::tls::Ca;
use support::upstream::Upstream;

const GET: &str = "GET /item HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// A configuration with one listener `web` whose `tls` is as given, in front of `url`.
fn config(tls: &str, url: &str, top: &str) -> String {
    format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0, tls: {tls} }} ]\nadmin: {{ address: 127.0.0.1:0 }}\n\
         workers: 2\n{top}\nservices:\n  shop:\n    versions:\n      only: {{ upstream: \"{url}\" }}\n\
         routes:\n  - service: shop\n"
    )
}

/// The `tls` of a listener with the pair `shop.crt`, `shop.key`.
const SHOP: &str = "{ certificate: shop.crt, key: shop.key }";

/// A serin for `shop.example` by a certificate of `ca`, in front of `upstream`.
fn shop(ca: &Ca, upstream: &Upstream) -> Serin {
    let pair = ca.server(&["shop.example"]);
    Serin::with_files(&config(SHOP, &upstream.url(), ""), &[("shop.crt", &pair.certificate), ("shop.key", &pair.key)])
}

fn ask<S: std::io::Read + std::io::Write>(client: &mut Raw<S>, host: &str, headers: &str) -> Response {
    client.send(format!("GET /item HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n"));
    client.response(false).expect("an answer")
}

/// Handshakes counted so far.
fn handshakes(serin: &Serin, result: &str) -> f64 {
    serin.metric("serin_tls_handshakes_total", &["listener=\"web\"", &format!("result=\"{result}\"")])
}
