//! `Expect: 100-continue`, and interim answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Raw;
use crate::support::upstream::Upstream;
use crate::support::{eventually, sidecar};
use crate::{GET, OK};

const EXPECTING: &str = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";

#[test]
fn a_client_is_told_to_continue_when_the_upstream_asks() {
    let asked = Arc::<AtomicBool>::default();
    let flag = Arc::clone(&asked);
    let upstream = Upstream::scripted(move |connection| {
        while let Some(head) = connection.head() {
            assert!(head.contains("expect: 100-continue"));
            flag.store(true, Ordering::SeqCst);
            connection.send("HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(connection.exactly(5).as_deref(), Some(&b"hello"[..]));
            connection.send(OK);
        }
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    for _ in 0..3 {
        let began = Instant::now();
        client.send(EXPECTING);
        assert_eq!(client.head().expect("an interim answer").status, 100);
        // After a second without being asked a body goes anyway; on a machine as slow as that nothing was learnt.
        assert!(asked.swap(false, Ordering::SeqCst) || began.elapsed() > Duration::from_millis(900));
        client.send("hello");
        assert_eq!(client.response(false).expect("an answer").text(), "ok");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_refusal_comes_instead_of_being_told_to_continue() {
    let upstream = Upstream::scripted(|connection| {
        connection.head();
        connection.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno");
        connection.await_close();
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    let head = client.send(EXPECTING).head().expect("an answer");
    assert_eq!((head.status, head.header("connection")), (417, Some("close")));
    assert_eq!(client.exactly(2).as_deref(), Some(&b"no"[..]));
    assert!(client.is_closed(), "the rest of the connection is a body that never came, or a request: nobody can tell");
    eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
    assert!(!upstream.bytes()[0].ends_with(b"hello"));
}

#[test]
fn a_body_goes_without_being_asked_for_after_a_while() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    assert_eq!(client.send(EXPECTING).head().expect("an interim answer").status, 100);
    client.send("hello");
    assert_eq!(client.response(false).expect("an answer").text(), "ok");
    assert_eq!(upstream.last().body, b"hello");
}

#[test]
fn a_body_that_comes_without_waiting_needs_no_continue() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send(format!("{EXPECTING}hello"));
    assert_eq!(client.response(false).expect("an answer").text(), "ok");
    assert_eq!(upstream.last().body, b"hello");
}

#[test]
fn interim_answers_do_not_disturb_the_final_one() {
    let upstream = Upstream::answering(format!(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{OK}"
    ));
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    for _ in 0..2 {
        assert_eq!(client.send(GET).response(false).expect("an answer").text(), "ok");
    }
    assert_eq!(upstream.accepted(), 1);
}
