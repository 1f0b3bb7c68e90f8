//! One test for each fault that was found by looking, named after what a user would have seen.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use support::client::{Raw, get};
use support::load::{ask, shop};
use support::serin::Serin;
use support::upstream::Upstream;

/// A shop whose only route is `/shop`: all else is answered 404 by serin itself.
fn mostly_404(upstream: &Upstream, top: &str) -> String {
    shop(&[("only", upstream)], "", top)
        .replace("  - service: shop\n", "  - { service: shop, matches: [ { path: { value: /shop } } ] }\n")
}

#[test]
fn a_client_that_reads_slowly_gets_all_answers_to_what_it_sent_ahead() {
    const REQUESTS: usize = 60_000;
    let upstream = Upstream::named("only");
    let serin = Serin::new(&mostly_404(&upstream, ""));
    let mut client = Raw::connect(serin.web());
    let mut sending = client.stream.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        let some = "GET /none HTTP/1.1\r\nhost: shop.example\r\n\r\n".repeat(100);
        (0..REQUESTS / 100).try_for_each(|_| sending.write_all(some.as_bytes())).is_ok()
    });
    // Until the sockets are full and serin has waited for a while: it asks for nothing more.
    let refused = || serin.metric("serin_refused_total", &["kind=\"noRoute\""]);
    let mut steady = (0.0, 0);
    while steady.1 < 100 {
        let now = refused();
        steady = if now == steady.0 && now > 0.0 { (now, steady.1 + 1) } else { (now, 0) };
    }
    assert!(steady.0 < REQUESTS as f64, "the sockets took everything; the test needs more requests");
    for number in 0..REQUESTS {
        let answer = client.response(false).unwrap_or_else(|| panic!("no answer to request {number}"));
        assert_eq!(answer.status, 404);
    }
    assert!(sender.join().expect("no panic"), "everything was sent");
}

#[test]
fn a_connection_that_only_gets_serins_own_answers_is_not_idle() {
    let upstream = Upstream::named("only");
    let serin = Serin::new(&mostly_404(&upstream, "limits: { idleTimeout: 1s }\n"));
    let mut client = Raw::connect(serin.web());
    let until = std::time::Instant::now() + std::time::Duration::from_millis(1500);
    while std::time::Instant::now() < until {
        assert_eq!(ask(&mut client, "").status, 404);
    }
    assert_eq!(get(serin.web(), "/shop", "").status, 200);
}
