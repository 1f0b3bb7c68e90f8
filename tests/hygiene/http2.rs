//! HTTP/2 clients, in frames.

use crate::support::client::Raw;
use crate::support::frames::{self, Frames};
use crate::support::serin::Serin;
use crate::support::strict::{self, Rest};
use crate::support::upstream::Upstream;
use crate::support::{eventually, h2, sidecar};

/// The fields every HTTP/2 request needs, and `extra`.
fn h2_fields<'a>(extra: &[(&'a str, &'a str)]) -> Vec<u8> {
    let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "shop.example")];
    fields.retain(|(name, _)| !extra.iter().any(|(other, _)| name == other));
    fields.extend(extra.iter().filter(|(name, _)| name.starts_with(':')));
    fields.extend(extra.iter().filter(|(name, _)| !name.starts_with(':')));
    h2::block(&fields)
}

/// What a request by these fields comes to: its status, or `None` where its stream was reset or the connection closed.
fn h2_status(serin: &Serin, block: &[u8]) -> Option<u16> {
    let mut client = Frames::connect(serin.web());
    client.send(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, 1, block);
    loop {
        let frame = client.next()?;
        match frame.kind {
            frames::HEADERS => return Some(h2::indexed_status(&frame.payload).expect("an indexed status")),
            frames::RESET | frames::GOAWAY => return None,
            _ => {}
        }
    }
}

#[test]
fn an_http_2_request_has_one_authority() {
    let upstream = Upstream::named("answered");
    let serin = sidecar::before(&upstream.url());
    for (extra, status) in [
        (&[][..], 200),
        (&[("host", "shop.example")], 200),
        (&[("host", "SHOP.example")], 200),
        (&[("host", "other.example")], 400),
        (&[("host", "shop.example"), ("host", "other.example")], 400),
        (&[("host", "")], 400),
    ] {
        assert_eq!(h2_status(&serin, &h2_fields(extra)), Some(status), "{extra:?}");
    }
    // `Host` alone will do, nothing at all will not.
    let only_host = h2::block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "shop.example")]);
    assert_eq!(h2_status(&serin, &only_host), Some(200));
    assert_eq!(h2_status(&serin, &h2::block(&[(":method", "GET"), (":scheme", "http"), (":path", "/")])), Some(400));
    for authority in ["user@shop.example", "a:b", "a b", "", "a/b"] {
        let status = h2_status(&serin, &h2_fields(&[(":authority", authority)]));
        assert!(matches!(status, None | Some(400)), "{authority:?} was answered {status:?}");
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 4);
    for seen in requests {
        assert_eq!(seen.headers("host").len(), 1);
        assert!(seen.headers("host")[0].eq_ignore_ascii_case("shop.example"));
    }
}

#[test]
fn an_http_2_request_has_no_fields_of_a_connection() {
    let upstream = Upstream::named("answered");
    let serin = sidecar::before(&upstream.url());
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("Upper", "case"),
        ("bad name", "x"),
        ("x", "a\nb"),
        ("x", "a\rb"),
        ("x", "a\0b"),
        (":path", ""),
        (":path", "no-slash"),
        (":path", "?query"),
        (":path", "*"),
        (":method", "CONNECT"),
        (":method", "G T"),
        (":unknown", "x"),
        ("content-length", "5"),
        ("content-length", "x"),
        (":path", "/a b"),
        (":path", "/a\r\nx: y"),
    ] {
        let status = h2_status(&serin, &h2_fields(&[(name, value)]));
        assert!(matches!(status, None | Some(400 | 405)), "{name}: {value:?} was answered {status:?}");
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
    assert_eq!(h2_status(&serin, &h2_fields(&[("te", "trailers")])), Some(200));
    for bytes in upstream.bytes() {
        assert_eq!(strict::requests(&bytes, strict::NO_LEAVE).1, Rest::Nothing);
    }
}

#[test]
fn cookies_of_an_http_2_client_become_one_line() {
    let upstream = Upstream::named("answered");
    let serin = sidecar::before(&upstream.url());
    let block = h2_fields(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")]);
    assert_eq!(h2_status(&serin, &block), Some(200));
    assert_eq!(upstream.last().headers("cookie"), ["a=1; b=2; c=3"]);
}

#[test]
fn an_http_2_body_that_differs_from_its_length_never_ends_at_the_upstream() {
    for (length, data, last) in [("5", "abc", true), ("2", "abc", true), ("2", "abc", false)] {
        let upstream = Upstream::named("answered");
        let serin = sidecar::before(&upstream.url());
        let mut client = Frames::connect(serin.web());
        let block = h2_fields(&[(":method", "POST"), ("content-length", length)]);
        client.send(frames::HEADERS, frames::END_HEADERS, 1, &block);
        client.send(frames::DATA, if last { frames::END_STREAM } else { 0 }, 1, data.as_bytes());
        let end = client.next();
        let refused = end.as_ref().is_none_or(|frame| {
            matches!(frame.kind, frames::RESET | frames::GOAWAY) || h2::indexed_status(&frame.payload) == Some(400)
        });
        assert!(refused, "{length} and {data:?}: {end:?}");
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
        assert_eq!(upstream.requests().len(), 0, "{length} and {data:?}");
    }
}

#[test]
fn a_flood_of_resets_ends_its_connection_and_no_other() {
    let upstream = Upstream::named("answered");
    let serin = sidecar::before(&upstream.url());
    let mut other = Raw::connect(serin.web());
    let mut flood = Frames::connect(serin.web());
    let block = h2_fields(&[]);
    for number in 0..20_000 {
        flood.send(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, 2 * number + 1, &block);
        flood.send(frames::RESET, 0, 2 * number + 1, &8_u32.to_be_bytes());
    }
    // It is told to go, or finds the connection closed.
    if let Some(goaway) = flood.await_kind(frames::GOAWAY) {
        assert_eq!(goaway.payload[4..8], 11_u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
    }
    other.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(other.response(false).expect("an answer").text(), "answered");
    assert!(upstream.accepted() < 1_000, "{} upstream connections for a flood", upstream.accepted());
    assert_eq!(h2_status(&serin, &block), Some(200));
}

#[test]
fn a_flood_of_continuations_ends_its_connection_and_no_other() {
    let upstream = Upstream::named("answered");
    let serin = sidecar::before(&upstream.url());
    let mut flood = Frames::connect(serin.web());
    flood.send(frames::HEADERS, frames::END_STREAM, 1, &h2_fields(&[]));
    let field = h2::block(&[("x-filler", "0123456789012345678901234567890123456789")]);
    for _ in 0..20_000 {
        flood.send(9, 0, 1, &field);
    }
    assert!(flood.await_kind(frames::HEADERS).is_none(), "it never said that its head was over");
    assert_eq!(h2_status(&serin, &h2_fields(&[])), Some(200));
    assert_eq!(upstream.requests().len(), 1);
}
