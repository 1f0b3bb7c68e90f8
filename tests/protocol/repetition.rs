//! Requests that meet a connection which the upstream is just closing.

use crate::support::client::Raw;
use crate::support::upstream::{Connection, Upstream};
use crate::support::{eventually, net, sidecar};
use crate::{GET, OK};

/// Answers once, and closes its connection as soon as a second request has begun to arrive.
fn closes_on_the_second(connection: &mut Connection) {
    connection.request();
    connection.send(OK);
    connection.exactly(1);
}

#[test]
fn a_request_that_met_a_closing_connection_is_sent_once_more_where_that_is_safe() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"] {
        let upstream = Upstream::scripted(closes_on_the_second);
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        for number in 1..=3 {
            client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"));
            assert_eq!(client.response(method == "HEAD").expect("an answer").status, 200, "{method}");
            assert_eq!(upstream.accepted(), number, "{method}");
        }
    }
}

#[test]
fn a_request_that_may_not_be_repeated_is_sent_once_only() {
    for (method, headers, body) in [
        ("POST", "", ""),
        ("PATCH", "", ""),
        ("POST", "content-length: 2\r\n", "ok"),
        ("PUT", "content-length: 2\r\n", "ok"),
        ("POST", "transfer-encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
    ] {
        let upstream = Upstream::scripted(closes_on_the_second);
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        assert_eq!(client.send(GET).response(false).expect("an answer").status, 200);
        client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n{headers}\r\n{body}"));
        let got = client.response(false).expect("an answer");
        assert_eq!((got.status, got.header("x-serin-error")), (502, Some("reset")), "{method}");
        assert_eq!(upstream.accepted(), 1, "{method}");
    }
}

#[test]
fn a_request_is_not_repeated_once_its_answer_has_begun() {
    let upstream = Upstream::scripted(|connection| {
        connection.request();
        connection.send(OK);
        connection.request();
        connection.send("HTTP/1.1 2");
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    assert_eq!(client.send(GET).response(false).expect("an answer").status, 200);
    let got = client.send(GET).response(false).expect("an answer");
    assert_eq!((got.status, got.header("x-serin-error")), (502, Some("protocol")));
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_request_is_repeated_once_only() {
    let upstream = Upstream::scripted(|connection| {
        if connection.request().is_some_and(|request| request.request_line().contains("/first")) {
            connection.send(OK);
            connection.exactly(1);
        }
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send("GET /first HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response(false).expect("an answer").status, 200);
    let got = client.send(GET).response(false).expect("an answer");
    assert_eq!((got.status, got.header("x-serin-error")), (502, Some("reset")));
    assert_eq!(upstream.accepted(), 2);
}

#[test]
fn an_idle_connection_that_the_upstream_closed_is_not_used() {
    let upstream = Upstream::scripted(|connection| {
        connection.request();
        connection.send(OK);
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    for _ in 0..3 {
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(
            client.response(false).expect("an answer").status,
            200,
            "even a POST may go elsewhere: none of it was sent"
        );
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
        eventually("serin's side to know", || net::ends_are_known(upstream.address).then_some(()));
    }
}
