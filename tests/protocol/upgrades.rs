//! Switching to another protocol.

use std::io::Write;

use crate::support::client::{self, Raw};
use crate::support::upstream::{Connection, Upstream};
use crate::support::{eventually, sidecar};
use crate::{GET, OK};

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-accept: y\r\n\r\n";

/// Gives back what comes, with a word at the beginning and one at the end.
fn switch_and_echo(connection: &mut Connection) {
    let head = connection.head().expect("a request");
    assert!(
        head.contains("upgrade: websocket")
            && head.contains("connection: upgrade")
            && head.contains("sec-websocket-key: x")
    );
    connection.send(format!("{SWITCH}hello\n"));
    while let Some(byte) = connection.exactly(1) {
        connection.send(byte);
        let rest = connection.take_buffered();
        connection.send(rest);
    }
    connection.send("bye");
}

#[test]
fn an_upgrade_becomes_a_tunnel_for_any_bytes() {
    let upstream = Upstream::scripted(switch_and_echo);
    let serin = sidecar::before(&upstream.url());
    // What a client sends before it was told to is no request, however much it may look like one.
    for early in [
        "",
        "early",
        "early\nbytes\r\n\0\u{fc}\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
        "\r\n",
    ] {
        let mut client = Raw::connect(serin.web());
        client.send(format!("{UPGRADE}{early}"));
        let head = client.head().expect("a switch");
        assert_eq!(
            (head.status, head.header("connection"), head.header("upgrade")),
            (101, Some("upgrade"), Some("websocket"))
        );
        assert_eq!((head.header("sec-websocket-accept"), head.header("content-length")), (Some("y"), None));
        assert_eq!(client.exactly(6).as_deref(), Some(&b"hello\n"[..]));
        assert_eq!(client.exactly(early.len()).as_deref(), Some(early.as_bytes()), "{early:?}");
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
        let mut sending = client.stream.try_clone().expect("another handle");
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || sending.write_all(&sent));
        assert!(client.exactly(bytes.len()).is_some_and(|back| back == bytes), "other bytes came back");
        sender.join().expect("a sender").expect("sent");
        // The end of one direction is not the end of the other.
        assert_eq!(client.finish().rest(), b"bye");
    }
    eventually("the upstream connections to be closed", || (upstream.open() == 0).then_some(()));
}

#[test]
fn a_large_first_message_after_an_upgrade_is_not_lost() {
    let upstream = Upstream::scripted(switch_and_echo);
    let serin = sidecar::before(&upstream.url());
    let early: Vec<u8> = (0..60_000_u32).map(|at| (at * 7) as u8).collect();
    let mut client = Raw::connect(serin.web());
    client.send([UPGRADE.as_bytes(), &early].concat());
    assert_eq!(client.head().expect("a switch").status, 101);
    assert_eq!(client.exactly(6).as_deref(), Some(&b"hello\n"[..]));
    assert!(client.exactly(early.len()).is_some_and(|back| back == early));
}

#[test]
fn a_tunnel_ends_when_either_side_does() {
    let upstream = Upstream::scripted(|connection| {
        connection.head();
        connection.send(SWITCH);
        if connection.exactly(5).as_deref() == Some(&b"leave"[..]) {
            return;
        }
        connection.await_close();
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    assert_eq!(client.send(UPGRADE).head().expect("a switch").status, 101);
    client.send("leave");
    assert!(client.is_closed());
    let mut client = Raw::connect(serin.web());
    assert_eq!(client.send(UPGRADE).head().expect("a switch").status, 101);
    client.send("stay.");
    drop(client);
    eventually("the upstream connections to be closed", || (upstream.open() == 0).then_some(()));
}

#[test]
fn an_upgrade_that_is_not_taken_up_leaves_a_usable_connection() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send(format!("{UPGRADE}{GET}"));
    for _ in 0..2 {
        assert_eq!(client.response(false).expect("an answer").text(), "ok");
    }
    client.send(UPGRADE);
    assert_eq!(client.response(false).expect("an answer").text(), "ok");
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn other_protocols_may_be_switched_to_but_not_http_2() {
    let upstream =
        Upstream::answering("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: mine/2\r\n\r\nhi");
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send("POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: mine/2\r\n\r\n");
    assert_eq!(client.head().expect("a switch").status, 101);
    assert_eq!(client.exactly(2).as_deref(), Some(&b"hi"[..]));

    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    for (connection, upgrade) in
        [("upgrade, http2-settings", "h2c"), ("upgrade", "H2C"), ("upgrade", "h2c, websocket"), ("close", "websocket")]
    {
        let headers = format!("connection: {connection}\r\nupgrade: {upgrade}\r\nhttp2-settings: AAMAAABk\r\n");
        assert_eq!(client::get(serin.web(), "/", &headers).status, 200);
        let seen = upstream.last();
        for name in ["connection", "upgrade", "http2-settings"] {
            assert_eq!(seen.headers(name), [""; 0], "{name} for {upgrade}");
        }
    }
}

#[test]
fn only_a_request_without_a_body_asks_for_an_upgrade() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nhi";
    assert_eq!(client::request(serin.web(), head).text(), "ok");
    assert_eq!(upstream.last().headers("upgrade"), [""; 0]);
}
