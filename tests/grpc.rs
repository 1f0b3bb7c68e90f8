//! gRPC and gRPC-Web: what callers are told, deadlines, ends before their time, routes, health; by frames and by gRPC's own
//! libraries.

mod support;

#[path = "grpc/answers.rs"]
mod answers;
#[path = "grpc/deadlines.rs"]
mod deadlines;
#[path = "grpc/ends.rs"]
mod ends;
#[path = "grpc/health.rs"]
mod health;
#[path = "grpc/python.rs"]
mod python;
#[path = "grpc/routes.rs"]
mod routes;
#[path = "grpc/upstream.rs"]
mod upstream;
#[path = "grpc/web.rs"]
mod web;

use http::Request;
use support::h2::{self, AnyBody};
use support::serin::Serin;

/// Where nothing listens.
const NOWHERE: &str = "unix:/nowhere/serin-test.sock";

/// A call of `shop.Checkout/Pay` with these headers and this body.
fn call(headers: &[(&str, &str)], body: AnyBody) -> Request<AnyBody> {
    let request = Request::post("http://shop.example/shop.Checkout/Pay").header("te", "trailers");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let is_web = headers.iter().any(|(name, _)| *name == "content-type");
    let request = if is_web { request } else { request.header("content-type", "application/grpc+proto") };
    request.body(body).expect("a request")
}

/// A call with one message.
fn unary(headers: &[(&str, &str)]) -> Request<AnyBody> {
    call(headers, h2::body("\0\0\0\0\x05hello", None))
}

/// How often calls ended like this.
fn counted(serin: &Serin, code: &str) -> f64 {
    serin.metric("serin_requests_total", &[&format!("code=\"{code}\"")])
}

fn assert_counted(serin: &Serin, code: &str, times: f64) {
    support::eventually(&format!("{times} ended with {code}"), || {
        ((counted(serin, code) - times).abs() < f64::EPSILON).then_some(())
    });
}
