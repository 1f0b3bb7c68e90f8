//! What a copy is, and which requests are copied.

use std::collections::BTreeSet;

use http::Response;

use super::{ask_old, start};
use crate::support::client::{Raw, request};
use crate::support::h2::{self, H2Upstream};
use crate::support::load::{ask, await_metric, shop};
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::support::{OK, eventually};

const DARK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndark";

fn both() -> (Upstream, Upstream) {
    (Upstream::answering(OK), Upstream::answering(DARK))
}

#[test]
fn a_copy_is_the_request_after_filters_and_says_what_it_is() {
    let (old, new) = both();
    let service = "    shadow: { to: new }\n";
    let text = shop(&[("old", &old), ("new", &new)], service, "").replace(
        "  - service: shop\n",
        "  - service: shop\n    filters:\n      - { type: RequestHeaderModifier, requestHeaderModifier: { set: [ { name: x-added, value: \"1\" } ] } }\n      - { type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /v2 } } }\n",
    );
    let serin = Serin::new(&text);
    let answer = request(
        serin.web(),
        "GET /a?b=c HTTP/1.1\r\nhost: shop.example\r\nx-user-id: ada\r\ncookie: s=1\r\nauthorization: Basic x\r\n\
         x-serin-shadow: evil/new\r\nx-hop: 1\r\nte: gzip\r\nconnection: close, x-hop\r\n\r\n",
    );
    assert_eq!((answer.text().as_str(), answer.header("x-serin-shadow")), ("ok", None));
    // A client that nobody trusts cannot make its request look like a copy: nor is it one, so it is not copied.
    assert_eq!(old.last().header("x-serin-shadow"), None);
    assert_eq!(new.requests().len(), 0);

    let _ = request(
        serin.web(),
        "GET /a?b=c HTTP/1.1\r\nhost: shop.example\r\nx-user-id: ada\r\ncookie: s=1\r\nauthorization: Basic x\r\n\
         x-hop: 1\r\nte: gzip\r\nconnection: close, x-hop\r\n\r\n",
    );
    let (real, copy) = (old.last(), new.last());
    assert_eq!(copy.request_line(), "GET /v2/a?b=c HTTP/1.1");
    assert_eq!(copy.request_line(), real.request_line());
    assert_eq!(copy.header("x-serin-shadow").as_deref(), Some("shop/new"));
    assert_eq!(copy.header("x-serin-version").as_deref(), Some("new"));
    for name in ["host", "x-user-id", "cookie", "authorization", "x-added", "x-forwarded-for", "x-forwarded-proto"] {
        assert_eq!((copy.header(name), copy.header(name).is_some()), (real.header(name), true), "{name}");
    }
    for name in ["x-hop", "te", "connection"] {
        assert_eq!(copy.header(name), None, "{name}");
    }
    await_metric(&serin, "serin_shadow_total", &["version=\"new\"", "result=\"answered\""], 1.0);
    assert_eq!(serin.metric("serin_shadow_duration_seconds_count", &["version=\"new\"", "code=\"2xx\""]), 1.0);
    assert_eq!(serin.metric("serin_requests_total", &["version=\"new\""]), 0.0, "it has no requests of its own");
}

#[test]
fn a_body_is_copied_as_it_streams_by_either_framing() {
    let (old, new) = both();
    let serin = start(&old, &new, "methods: [ POST ], idempotent: true");
    let length =
        "POST / HTTP/1.1\r\nhost: shop.example\r\nexpect: 100-continue\r\ncontent-length: 11\r\n\r\nhello world";
    let chunked = "POST / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n\
                   5\r\nhello\r\n6\r\n world\r\n0\r\nx-t: 1\r\n\r\n";
    for (number, text) in [length, chunked].into_iter().enumerate() {
        assert_eq!(request(serin.web(), text).status, 200);
        let copy = eventually("the copy", || new.requests().get(number).cloned());
        assert_eq!(copy.body, b"hello world");
        assert_eq!(copy.header("content-length").as_deref(), Some("11"));
        for name in ["transfer-encoding", "expect", "trailer"] {
            assert_eq!(copy.header(name), None, "{name}");
        }
    }
}

#[test]
fn only_the_named_methods_are_copied_and_never_the_dark_versions_own_requests() {
    let (old, new) = both();
    let service = "    shadow: { to: new }\n    override: { header: x-serin-version, from: [ 127.0.0.0/8 ] }\n";
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], service, ""));
    let text = |method: &str, more: &str| {
        format!("{method} /{method} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n{more}\r\n")
    };
    for (method, more) in
        [("POST", "content-length: 0\r\n"), ("DELETE", ""), ("OPTIONS", ""), ("GET", "x-serin-version: new\r\n")]
    {
        assert_eq!(request(serin.web(), &text(method, more)).status, 200);
    }
    assert_eq!(request(serin.web(), &text("GET", "")).status, 200);
    let copies = || {
        let all = new.requests();
        let copies: Vec<_> = all.iter().filter(|request| request.header("x-serin-shadow").is_some()).collect();
        copies.iter().map(|copy| copy.request_line().to_owned()).collect::<Vec<_>>()
    };
    eventually("the copy", || (!copies().is_empty()).then_some(()));
    await_metric(&serin, "serin_shadow_total", &["version=\"new\"", "result=\"answered\""], 1.0);
    assert_eq!(copies(), ["GET /GET HTTP/1.1"]);
}

#[test]
fn a_share_is_of_the_same_users_again_and_again() {
    let (old, new) = both();
    let serin = start(&old, &new, "share: 25%");
    let mut connection = Raw::connect(serin.web());
    let copied = |round: usize| -> BTreeSet<String> {
        new.requests()[round..].iter().filter_map(|copy| copy.header("x-user-id")).collect()
    };
    for user in 0..200 {
        ask(&mut connection, &format!("x-user-id: user{user}\r\n"));
    }
    let settled = || {
        let answered = serin.metric("serin_shadow_total", &["version=\"new\"", "result=\"answered\""]);
        let held = serin.metric("serin_shadow_in_flight", &["version=\"new\""]);
        (held == 0.0).then_some(answered as usize)
    };
    let first = eventually("the copies", settled);
    assert!((25..80).contains(&first), "{first} of 200");
    let users = copied(0);
    for user in 0..200 {
        ask(&mut connection, &format!("x-user-id: user{user}\r\n"));
    }
    await_metric(&serin, "serin_shadow_total", &["version=\"new\"", "result=\"answered\""], 2.0 * first as f64);
    assert_eq!(copied(first), users);
}

#[test]
fn a_dark_version_that_speaks_http2_gets_its_copies_by_that() {
    let new = H2Upstream::answering(|_| async { Response::new(h2::body("dark", None)) });
    let old = Upstream::answering(OK);
    let serin =
        Serin::new(&shop(&[("old", &old)], "    shadow: { to: new }\n", "").replace(
            "    sticky:",
            &format!("      new: {{ upstream: \"{}\", protocol: h2 }}\n    sticky:", new.url()),
        ));
    ask_old(&serin, 3);
    await_metric(&serin, "serin_shadow_total", &["version=\"new\"", "result=\"answered\""], 3.0);
    let heads = new.heads();
    assert!(
        heads.iter().all(|head| head.version == http::Version::HTTP_2 && head.headers.contains_key("x-serin-shadow"))
    );
    assert_eq!(heads.len(), 3);
}

#[test]
fn a_client_that_speaks_http2_is_copied_like_any_other() {
    let (old, new) = both();
    let serin = start(&old, &new, "share: 100%");
    h2::run(async {
        let mut send = h2::connect(serin.web()).await;
        for _ in 0..3 {
            let answer =
                h2::whole(send.send_request(h2::get("/item")).await.expect("an answer")).await.expect("a body");
            assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
        }
    });
    await_metric(&serin, "serin_shadow_total", &["version=\"new\"", "result=\"answered\""], 3.0);
    assert_eq!(new.last().header("host").as_deref(), Some("shop.example"));
}
