//! Chunks and trailers, and bodies that go wrong on the way.

use crate::House;
use crate::support::client::{Raw, Response};
use crate::support::strict::{self, Rest};
use crate::support::upstream::Upstream;
use crate::support::{eventually, sidecar};

#[test]
fn chunks_are_what_their_sizes_say() {
    let mut house = House::new();
    for (chunks, body) in [
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("003\r\nabc\r\n000\r\n\r\n", "abc"),
        ("A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", "0123456789x"),
        ("3;name=value;other\r\nabc\r\n0;last\r\n\r\n", "abc"),
        ("3 \r\nabc\r\n0\r\n\r\n", "abc"),
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\nx-trailer: y\r\n\r\n", "abc"),
        ("3\r\nabc\r\n0\r\ncontent-length: 5\r\nhost: other\r\n\r\n", "abc"),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
    ] {
        let seen =
            house.passes_post("transfer-encoding: chunked\r\ntrailer: x-trailer, content-length, host\r\n", chunks);
        assert_eq!(String::from_utf8_lossy(&seen.body), body);
    }
    let get = house.passes("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!((get.headers("transfer-encoding"), get.body.as_slice()), (vec!["chunked".to_owned()], &b"abc"[..]));
    for chunks in [
        "g\r\n",
        "\r\n",
        "-1\r\na\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        "1 1\r\na\r\n",
        " 1\r\na\r\n",
        "1,1\r\na\r\n",
        "1.\r\na\r\n",
        "ffffffffffffffff\r\na\r\n",
        "10000000000000001\r\na\r\n",
        "fffffffffffffffff\r\na\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\ra\r\n",
        "1\r\ra\r\n",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
        "1;\0\r\na\r\n",
        "1;\u{7f}\r\na\r\n0\r\n\r\n",
        "1 x\r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "2\r\na\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na\r0\r\n\r\n",
        "1\r\na\r\n\r\n0\r\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx: y\r\n\n",
        "0\r\n\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx: a\r\n b\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\nx: \0\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\nx: a\rb\r\n\r\n",
        "0\r\ncontent-length: 05\r\n\r\n",
        "0\r\ntransfer-encoding: chunked\r\n\r\n",
        "0\r\ntransfer-encoding: gzip\r\n\r\n",
    ] {
        house.refuses_post("transfer-encoding: chunked\r\n", chunks);
    }
}

/// What reached the upstream of a request whose body goes wrong after the head was passed on.
fn broken_off(head: &str, then: &[u8]) -> (Response, Vec<u8>) {
    let upstream = Upstream::scripted(|connection| {
        connection.head();
        connection.await_close();
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send(head);
    eventually("the head at the upstream", || upstream.bytes().first().is_some_and(|b| !b.is_empty()).then_some(()));
    let answer = client.send(then).response(false).expect("an answer");
    assert!(client.is_closed());
    eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
    let bytes = upstream.bytes();
    assert_eq!(bytes.len(), 1, "sent once only");
    (answer, bytes[0].clone())
}

#[test]
fn a_body_that_goes_wrong_on_the_way_never_ends_at_the_upstream() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    for then in
        ["x\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "1\na\r\n0\r\n\r\n", "0\r\nx: y\n\r\n", "0\r\n\n", "ffffffffffffffff\r\n"]
    {
        let (answer, bytes) = broken_off(head, then.as_bytes());
        assert_eq!(answer.status, 400, "{then:?}");
        assert_eq!(answer.header("x-serin-error"), Some("malformed"), "{then:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{then:?}");
        let (messages, rest) = strict::requests(&bytes, strict::NO_LEAVE);
        assert_eq!((messages.len(), rest), (0, Rest::PartialBody), "{then:?}: {:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_body_that_stops_in_the_middle_never_ends_at_the_upstream() {
    for head in [
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
        "POST / HTTP/1.0\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
    ] {
        let upstream = Upstream::scripted(|connection| {
            connection.head();
            connection.await_close();
        });
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        client.send(head).finish();
        let answer = client.response(false).expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{head:?}");
        assert!(client.is_closed());
        // A connection may have been opened and dropped before a byte was sent.
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
        for bytes in upstream.bytes() {
            let (messages, rest) = strict::requests(&bytes, strict::NO_LEAVE);
            assert_eq!(messages.len(), 0, "{head:?}");
            assert!(matches!(rest, Rest::PartialBody | Rest::Nothing), "{head:?}: {rest:?}");
        }
    }
}

#[test]
fn what_was_asked_before_a_refused_request_is_still_answered() {
    let mut house = House::new();
    for wrong in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "nonsense\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n",
    ] {
        let good = "POST /first HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok";
        let mut client = Raw::connect(house.serin.web());
        client.send(format!("{good}{good}{wrong}"));
        for _ in 0..2 {
            assert_eq!(client.response(false).expect("an answer").text(), "answered", "{wrong:?}");
        }
        let refusal = client.response(false).expect("a refusal");
        assert_eq!((refusal.status, refusal.header("connection")), (400, Some("close")), "{wrong:?}");
        assert_eq!(refusal.header("x-serin-error"), Some("malformed"));
        assert!(client.is_closed());
        house.expected += 2;
        house.check(wrong);
    }
}
