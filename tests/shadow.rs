//! Copies of requests to a version that answers nobody with them, and what is found by comparing its answers.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

#[path = "shadow/bounds.rs"]
mod bounds;
#[path = "shadow/copies.rs"]
mod copies;
#[path = "shadow/diffs.rs"]
mod diffs;
#[path = "shadow/grpc.rs"]
mod grpc;
#[path = "shadow/judged.rs"]
mod judged;
mod support;

use support::client::Raw;
use support::load::{ask, shop};
use support::serin::Serin;
use support::upstream::Upstream;

/// A service whose requests all go to `old` and are copied to `new` as `shadow` says.
fn start(old: &Upstream, new: &Upstream, shadow: &str) -> Serin {
    Serin::new(&shop(&[("old", old), ("new", new)], &format!("    shadow: {{ to: new, {shadow} }}\n"), ""))
}

/// Asks `times` on one connection; each is answered by `old`.
fn ask_old(serin: &Serin, times: usize) {
    let mut connection = Raw::connect(serin.web());
    for _ in 0..times {
        let answer = ask(&mut connection, "");
        assert_eq!((answer.status, answer.header("x-serin-version")), (200, Some("old")), "{answer:?}");
    }
}
