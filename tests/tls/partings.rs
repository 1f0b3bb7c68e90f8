//! How connections inside TLS end.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::support::load::said;
use crate::support::tls::{Ca, RawTls};
use crate::support::upstream::{Connection, Upstream};
use crate::support::{OK, PATIENCE, eventually, h2};
use crate::{GET, ask, shop};

/// An upstream that answers a request only once it is let go, and how to let one go.
fn held_back() -> (Upstream, mpsc::Sender<()>) {
    let (let_go, told) = mpsc::channel::<()>();
    let told = Arc::new(Mutex::new(told));
    let upstream = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            if told.lock().expect("no one panics with it").recv_timeout(PATIENCE).is_err() {
                return;
            }
            connection.send(OK);
        }
    });
    (upstream, let_go)
}

fn await_request(upstream: &Upstream) {
    eventually("a request at the upstream", || upstream.requests().pop());
}

/// Whether the connection ends as TLS wants it: by a goodbye.
fn ends_well(client: &mut RawTls) -> bool {
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).is_ok() && rest.is_empty()
}

#[test]
fn a_client_that_has_only_stopped_sending_gets_its_answer() {
    let ca = Ca::new("ca");
    for goodbye in [true, false] {
        let (upstream, let_go) = held_back();
        let serin = shop(&ca, &upstream);
        let mut client = ca.trusting().connect(serin.web(), "shop.example");
        client.send(GET);
        await_request(&upstream);
        if goodbye {
            client.say_goodbye();
        }
        client.stream.sock.shutdown(std::net::Shutdown::Write).expect("still open");
        // It is asked whether it is still there, which it is.
        assert_eq!(client.head().expect("a question").status, 100);
        let_go.send(()).expect("an upstream");
        assert_eq!(client.response(false).expect("an answer").text(), "ok", "goodbye: {goodbye}");
        assert!(ends_well(&mut client));
    }
}

#[test]
fn a_client_that_has_left_is_not_waited_for() {
    let ca = Ca::new("ca");
    let (upstream, _let_go) = held_back();
    let serin = shop(&ca, &upstream);
    for goodbye in [true, false] {
        let mut client = ca.trusting().connect(serin.web(), "shop.example");
        client.send(GET);
        await_request(&upstream);
        if goodbye {
            client.say_goodbye();
        }
        drop(client);
    }
    eventually("both to be given up", || {
        (serin.metric("serin_requests_total", &["code=\"clientGone\""]) == 2.0).then_some(())
    });
}

#[test]
fn an_answer_that_broke_off_does_not_end_well() {
    let ca = Ca::new("ca");
    let upstream = Upstream::scripted(|connection| {
        if connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
        }
    });
    let serin = shop(&ca, &upstream);
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    client.send(GET);
    assert!(client.until(b"half").is_some());
    assert!(!ends_well(&mut client));
}

#[test]
fn the_last_answer_is_followed_by_a_goodbye() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    assert_eq!(ask(&mut client, "shop.example", "connection: close\r\n").status, 200);
    assert!(ends_well(&mut client));
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.response(false).expect("an answer").status, 400);
    assert!(ends_well(&mut client));
}

#[test]
fn what_is_in_flight_finishes_when_serin_is_told_to_stop() {
    let ca = Ca::new("ca");
    let (upstream, let_go) = held_back();
    let mut serin = shop(&ca, &upstream);
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    let mut idle = ca.trusting().connect(serin.web(), "shop.example");
    client.send(GET);
    await_request(&upstream);
    serin.signal("TERM");
    said(&serin, "draining");
    assert!(ends_well(&mut idle), "an unused connection is closed with a goodbye");
    let_go.send(()).expect("an upstream");
    let answer = client.response(false).expect("an answer");
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("ok", Some("close")));
    assert!(ends_well(&mut client));
    assert!(serin.wait().success());
}

#[test]
fn http_2_streams_in_flight_finish_as_well() {
    let ca = Ca::new("ca");
    let (upstream, let_go) = held_back();
    let mut serin = shop(&ca, &upstream);
    let trust = ca.trusting();
    let body = h2::run(async {
        let mut client = h2::connect_over(trust.h2(serin.web(), "shop.example").await).await;
        let answer = tokio::task::spawn_local(client.send_request(h2::get("/")));
        while upstream.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        serin.signal("TERM");
        let_go.send(()).expect("an upstream");
        h2::whole(answer.await.expect("a task").expect("an answer")).await.expect("whole").body
    });
    assert_eq!(&*body, b"ok");
    assert!(serin.wait().success());
}

#[test]
fn a_client_that_does_not_read_holds_up_only_itself() {
    let ca = Ca::new("ca");
    let length = 32 << 20;
    let upstream = Upstream::scripted(move |connection| {
        while let Some(request) = connection.request() {
            if request.request_line().contains("large") {
                connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
                connection.send(vec![b'x'; length]);
            } else {
                connection.send(OK);
            }
        }
    });
    let serin = shop(&ca, &upstream);
    let mut slow = ca.trusting().connect(serin.web(), "shop.example");
    slow.send("GET /large HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    await_request(&upstream);
    for _ in 0..4 {
        let mut other = ca.trusting().connect(serin.web(), "shop.example");
        assert_eq!(ask(&mut other, "shop.example", "").text(), "ok");
    }
    assert_eq!(slow.response(false).expect("an answer").body.len(), length);
    // And what comes next on it is not late.
    assert_eq!(ask(&mut slow, "shop.example", "").text(), "ok");
}

fn switch_and_echo(connection: &mut Connection) {
    connection.head().expect("a request");
    connection.send("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhello\n");
    while let Some(byte) = connection.exactly(1) {
        connection.send(byte);
        let rest = connection.take_buffered();
        connection.send(rest);
    }
    connection.send("bye");
}

#[test]
fn an_upgrade_becomes_a_tunnel_inside_tls() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::scripted(switch_and_echo));
    let serin = shop(&ca, &upstream);
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    client.send("GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly");
    assert_eq!(client.head().expect("a switch").status, 101);
    assert_eq!(client.exactly(11).as_deref(), Some(&b"hello\nearly"[..]));
    for size in [1, 100, 100_000] {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        client.send(&bytes);
        assert!(client.exactly(size).is_some_and(|back| back == bytes), "other bytes came back");
    }
    client.say_goodbye();
    client.stream.sock.flush().expect("nothing to flush");
    assert_eq!(client.rest(), b"bye");
}
