//! Connections and streams that end, and what becomes of those on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client;
use crate::support::eventually;
use crate::support::frames::{self, Frames};
use crate::support::h2;
use crate::support::serin::Serin;
use crate::support::sidecar;
use crate::support::upstream::{Connection, Upstream};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, payload.len() as u8, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// Reads what a client says on a connection until it is asked for something whose body has ended; the number of its stream.
fn asked(connection: &mut Connection) -> Option<u32> {
    loop {
        let head = connection.exactly(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        connection.exactly(length)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4]) {
            (frames::SETTINGS, 0) => connection.send(frame(frames::SETTINGS, frames::ACK, 0, &[])),
            (frames::HEADERS | frames::DATA, flags) if flags & frames::END_STREAM != 0 => return Some(stream),
            _ => {}
        }
    }
}

/// Answers every request but the first, which it leaves by these frames.
fn unwilling(first: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::scripted(move |connection| {
        connection.exactly(24);
        connection.send(frame(frames::SETTINGS, 0, 0, &[]));
        while let Some(stream) = asked(connection) {
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                connection.send(first(stream));
            } else {
                connection.send(frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, stream, &[0x88]));
            }
        }
    })
}

fn before(upstream: &Upstream) -> Serin {
    Serin::new(&sidecar::config(&format!("upstream: \"{}\", protocol: h2", upstream.url()), "", ""))
}

const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";

#[test]
fn a_request_that_the_upstream_has_not_begun_is_sent_again_whatever_it_does() {
    for request in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", POST] {
        for reset in [false, true] {
            let upstream = unwilling(move |stream| {
                if reset {
                    // REFUSED_STREAM.
                    frame(frames::RESET, 0, stream, &7_u32.to_be_bytes())
                } else {
                    // No stream at all was taken.
                    frame(frames::GOAWAY, 0, 0, &[0; 8])
                }
            });
            let serin = before(&upstream);
            assert_eq!(client::request(serin.web(), request).status, 200, "{request:?}, reset: {reset}");
            assert_eq!(upstream.accepted(), if reset { 1 } else { 2 });
        }
    }
}

#[test]
fn a_request_that_the_upstream_may_have_begun_is_not_sent_again() {
    for last in [frame(frames::RESET, 0, 1, &2_u32.to_be_bytes()), frame(frames::RESET, 0, 1, &8_u32.to_be_bytes())] {
        let upstream = unwilling(move |_| last.clone());
        let serin = before(&upstream);
        assert_eq!(client::request(serin.web(), POST).status, 502);
        assert_eq!(client::request(serin.web(), POST).status, 200);
    }
    // Its answer may still come, until the connection is over.
    let upstream = Upstream::scripted(|connection| {
        connection.exactly(24);
        connection.send(frame(frames::SETTINGS, 0, 0, &[]));
        if let Some(stream) = asked(connection) {
            connection.send(frame(frames::GOAWAY, 0, 0, &[&stream.to_be_bytes()[..], &[0; 4]].concat()));
            connection.send(frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, stream, &[0x88]));
        }
    });
    let serin = before(&upstream);
    for _ in 0..3 {
        assert_eq!(client::request(serin.web(), POST).status, 200);
    }
    assert_eq!(upstream.accepted(), 3);
}

#[test]
fn a_connection_that_was_closed_while_unused_costs_a_request_that_may_be_repeated_nothing() {
    // After each answer it closes as soon as something comes: the worst moment.
    let upstream = Upstream::scripted(|connection| {
        connection.exactly(24);
        connection.send(frame(frames::SETTINGS, 0, 0, &[]));
        if let Some(stream) = asked(connection) {
            connection.send(frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, stream, &[0x88]));
            asked(connection);
        }
    });
    let serin = before(&upstream);
    for _ in 0..10 {
        assert_eq!(client::get(serin.web(), "/", "").status, 200);
    }
}

#[test]
fn answers_that_are_no_http_are_a_502_and_end_no_other_stream() {
    // By path: a status that is none, none at all, upper case, a body where the length says none, more than the length, data before
    // a head, a push, a field of HTTP/1.
    let malformed: [(&str, Vec<Vec<u8>>); 7] = [
        ("/a", vec![frame(frames::HEADERS, 5, 1, b"\x08\x0299")]),
        ("/b", vec![frame(frames::HEADERS, 5, 1, b"\x00\x01x\x01y")]),
        ("/c", vec![frame(frames::HEADERS, 5, 1, b"\x88\x00\x01X\x01y")]),
        ("/d", vec![frame(frames::HEADERS, 5, 1, b"\x88\x0f\x0d\x015")]),
        ("/e", vec![frame(frames::DATA, 0, 1, b"early")]),
        ("/f", vec![frame(frames::HEADERS, 5, 1, b"\x88\x00\x0aconnection\x05close")]),
        ("/g", vec![frame(frames::HEADERS, 5, 1, b"\x08\x03101")]),
    ];
    for (path, answer) in malformed {
        let upstream = unwilling(move |stream| {
            let mut answer = answer.concat();
            answer[8] = stream as u8;
            answer
        });
        let serin = before(&upstream);
        let got = client::get(serin.web(), path, "");
        assert_eq!((got.status, got.header("x-serin-error")), (502, Some("protocol")), "{path}");
        assert_eq!(client::get(serin.web(), "/", "").status, 200);
        assert_eq!(upstream.accepted(), 1, "{path}: the connection is as good as before");
    }
}

#[test]
fn an_upstream_that_breaks_the_rules_of_the_connection_loses_it() {
    for broken in [
        frame(5, 4, 1, &[0, 0, 0, 2]),
        frame(frames::HEADERS, 5, 1, b"\xff\xff"),
        frame(frames::DATA, 0, 0, b""),
        frame(frames::HEADERS, 5, 2, b"\x88"),
    ] {
        let upstream = unwilling(move |_| broken.clone());
        let serin = before(&upstream);
        assert_eq!(client::get(serin.web(), "/", "").status, 502);
        assert_eq!(client::get(serin.web(), "/", "").status, 200);
        assert_eq!(upstream.accepted(), 2);
        eventually("the first connection to be closed", || (upstream.open() == 1).then_some(()));
    }
}

#[test]
fn interim_answers_of_an_upstream_are_passed_over() {
    let upstream = unwilling(|stream| {
        let interim = frame(frames::HEADERS, frames::END_HEADERS, stream, b"\x08\x03103\x00\x04link\x01x");
        let last = frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, stream, b"\x89");
        [&interim[..], &interim, &last].concat()
    });
    assert_eq!(client::get(before(&upstream).web(), "/", "").status, 204);
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let upstream = Upstream::named("ok");
    let serin = sidecar::before(&upstream.url());
    let mut client = Frames::connect(serin.web());
    let block = h2::block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "shop.example"),
        ("expect", "100-continue"),
        ("content-length", "5"),
    ]);
    client.send(frames::HEADERS, frames::END_HEADERS, 1, &block);
    let interim = client.await_kind(frames::HEADERS).expect("a word");
    assert!(interim.flags & frames::END_STREAM == 0 && interim.payload.ends_with(b"100"), "{interim:?}");
    client.send(frames::DATA, frames::END_STREAM, 1, b"hello");
    let head = client.await_kind(frames::HEADERS).expect("an answer");
    assert_eq!(h2::indexed_status(&head.payload), Some(200));
    assert_eq!(upstream.last().body, b"hello");
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let serin = sidecar::before_with(&Upstream::named("ok").url(), "limits: { headerTimeout: 200ms }", "");
    let mut client = Frames::connect(serin.web());
    client.send(frames::HEADERS, 0, 1, &h2::block(&[(":method", "GET")]));
    // Nothing is to be said in the middle of a head, so nothing is acknowledged.
    assert!(client.await_raw(frames::GOAWAY).is_some());
    assert!(client.next().is_none(), "closed");
    let refused = serin.metric("serin_refused_total", &["kind=\"headerTimeout\""]);
    assert!((refused - 1.0).abs() < f64::EPSILON, "{refused}");
}

#[test]
fn an_answer_without_a_body_to_a_request_that_has_not_ended_is_whole() {
    // It says only later that there is no body, which nobody waits for.
    let upstream = Upstream::scripted(|connection| {
        connection.exactly(24);
        connection.send(frame(frames::SETTINGS, 0, 0, &[]));
        while let Some(head) = connection.exactly(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            connection.exactly(length);
            if head[3] == frames::HEADERS {
                connection.send(frame(frames::HEADERS, frames::END_HEADERS, head[8].into(), b"\x8b"));
            }
        }
    });
    let serin = before(&upstream);
    let mut client = Frames::connect(serin.web());
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "shop.example")];
    for stream in [1, 3] {
        client.send(frames::HEADERS, frames::END_HEADERS, stream, &h2::block(&fields));
        client.send(frames::DATA, 0, stream, b"begun");
        let head = client.await_kind(frames::HEADERS).expect("an answer");
        assert_eq!((head.stream, head.flags & frames::END_STREAM, head.payload[0]), (stream, frames::END_STREAM, 0x8b));
        // The rest of the request is not wanted (RFC 9113, section 8.1).
        let reset = client.await_kind(frames::RESET).expect("a word about it");
        assert_eq!((reset.stream, reset.payload), (stream, vec![0; 4]), "NO_ERROR");
    }
}

#[test]
fn a_stream_opened_before_the_goodbye_was_heard_is_answered() {
    let (go, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let upstream = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let _ = told.lock().expect("no one panics with it").recv();
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let upstream = Arc::new(upstream);
    let mut serin = sidecar::before(&upstream.url());
    let mut client = Frames::connect(serin.web());
    client.get(1);
    eventually("the request", || upstream.requests().pop());
    serin.signal("TERM");
    let goodbye = client.await_raw(frames::GOAWAY).expect("a word of goodbye");
    assert_eq!(goodbye.payload[..4], 0x7fff_ffff_u32.to_be_bytes(), "not yet which stream is the last");
    // It was on its way; the ping that follows the goodbye is answered after it.
    client.get(3);
    for _ in 0..2 {
        go.send(()).expect("an upstream");
    }
    let mut answered = Vec::new();
    while let Some(frame) = client.next() {
        if frame.kind == frames::HEADERS {
            answered.push(frame.stream);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3]);
    assert_eq!(serin.wait().code(), Some(0));
}
