//! What upstreams do in bad times, and that no client ever gets a wrong answer for it: with retries and without.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use support::client::{self, Raw};
use support::eventually;
use support::faulty::{closing, half_head, in_turn, ok, silent};
use support::load::{Load, ask, await_metric, shop};
use support::serin::Serin;
use support::sidecar;
use support::upstream::Upstream;

const RETRY: &str = "    retry: { codes: [500, 502, 503], attempts: 2, backoff: 1ms }\n";

fn before(upstream: &Upstream, route: &str) -> Serin {
    sidecar::before_with(&upstream.url(), "", route)
}

#[test]
fn an_upstream_that_accepts_and_never_answers_costs_its_time_and_no_more() {
    let upstream = silent();
    let serin = before(&upstream, "    timeouts: { backendRequest: 50ms }\n");
    let mut connection = Raw::connect(serin.web());
    for _ in 0..5 {
        let got = ask(&mut connection, "");
        assert_eq!((got.status, got.header("x-serin-error")), (504, Some("timeout")));
    }
    await_metric(&serin, "serin_requests_total", &["code=\"timeout\""], 5.0);
    eventually("the connections to it to be closed", || (upstream.open() == 0).then_some(()));
    assert_eq!(serin.metric("serin_requests_in_flight", &[]), 0.0);
}

#[test]
fn a_response_that_breaks_off_is_never_whole_and_never_begun_anew() {
    for framing in ["content-length: 10\r\n\r\nhalf ", "transfer-encoding: chunked\r\n\r\n5\r\nhalf \r\n"] {
        let upstream = Upstream::scripted(move |connection| {
            connection.request();
            connection.send(format!("HTTP/1.1 200 OK\r\n{framing}"));
            connection.await_arrival();
        });
        let serin = before(&upstream, RETRY);
        let mut client = Raw::connect(serin.web());
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(client.response(false).is_none(), "it ends before it is whole");
        assert_eq!(upstream.requests().len(), 1, "the client had some of it already");
        await_metric(&serin, "serin_requests_total", &["code=\"truncated\""], 1.0);
        assert_eq!(serin.metric("serin_retries_total", &[]), 0.0);
    }
}

#[test]
fn a_reset_in_the_middle_of_a_response_is_passed_on_as_one() {
    let upstream = Upstream::scripted(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ");
        connection.await_arrival();
        let _ = socket2::SockRef::from(&connection.stream).set_linger(Some(std::time::Duration::ZERO));
    });
    let serin = before(&upstream, RETRY);
    let mut client = Raw::connect(serin.web());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.response(false).is_none(), "it ends before it is whole");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn half_a_head_is_no_answer_and_may_be_asked_for_again() {
    let upstream = half_head();
    let serin = before(&upstream, "");
    let got = client::get(serin.web(), "/", "");
    assert_eq!((got.status, got.header("x-serin-error")), (502, Some("protocol")));
    let upstream = Upstream::scripted({
        let asked = AtomicUsize::new(0);
        move |connection| {
            connection.request();
            if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                connection.send("HTTP/1.1 200 OK\r\ncontent-le");
                return;
            }
            connection.send(ok("whole"));
            connection.await_close();
        }
    });
    let serin = before(&upstream, RETRY);
    assert_eq!(client::get(serin.web(), "/", "").text(), "whole");
    await_metric(&serin, "serin_requests_total", &["code=\"protocol\""], 1.0);
}

#[test]
fn the_second_of_two_responses_reaches_nobody() {
    let upstream = Upstream::scripted(|connection| {
        while connection.request().is_some() {
            connection.send(format!("{}{}", ok("first"), ok("second")));
        }
    });
    let serin = before(&upstream, RETRY);
    let mut connection = Raw::connect(serin.web());
    for _ in 0..50 {
        assert_eq!(ask(&mut connection, "").text(), "first");
    }
    assert_eq!(upstream.requests().len(), 50);
    // Also where the first is one that nobody wanted.
    let upstream = Upstream::scripted(|connection| {
        while connection.request().is_some() {
            connection.send(format!("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n{}", ok("second")));
        }
    });
    let serin = before(&upstream, RETRY);
    let mut connection = Raw::connect(serin.web());
    for _ in 0..10 {
        assert_eq!(ask(&mut connection, "").status, 503);
    }
    assert_eq!(upstream.requests().len(), 30);
}

#[test]
fn an_upstream_may_close_as_the_next_request_comes() {
    // It reads the request that it closes on: only the client of a POST may see that.
    let upstream = Upstream::scripted(|connection| {
        for _ in 0..3 {
            if connection.request().is_none() {
                return;
            }
            connection.send(ok("only"));
        }
        connection.request();
    });
    let serin = Serin::new(&(shop(&[("only", &upstream)], "", "retryBudget: { percent: 100 }\n") + RETRY));
    let load = Load::start(serin.web(), 4);
    load.await_more(1000);
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{tally:?}");
}

#[test]
fn every_kind_of_trouble_ends_well_where_the_next_try_does() {
    for trouble in ["", "HTTP/1.1 200 OK\r\nbro ken: 1\r\n\r\n", "junk\r\n\r\n", "HTTP/1.1 502 Bad\r\n\r\n"] {
        let upstream = in_turn(vec![trouble.to_owned(), ok("well")]);
        let serin = before(&upstream, RETRY);
        assert_eq!(client::get(serin.web(), "/", "").text(), "well", "{trouble:?}");
        assert_eq!(upstream.requests().len(), 2, "{trouble:?}");
    }
}

#[test]
fn a_client_that_leaves_between_two_tries_ends_the_request() {
    let upstream = closing();
    let route = "    retry: { attempts: 10, backoff: 1m }\n";
    let serin = sidecar::before_with(&upstream.url(), "accessLog: { path: FOLDER/access.log }", route);
    let mut client = Raw::connect(serin.web());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await_metric(&serin, "serin_requests_total", &["code=\"reset\""], 1.0);
    drop(client);
    await_metric(&serin, "serin_requests_total", &["code=\"clientGone\""], 1.0);
    assert_eq!((upstream.requests().len(), serin.metric("serin_requests_in_flight", &[])), (1, 0.0));
    let line = eventually("a line", || {
        let text = std::fs::read_to_string(serin.path("access.log")).ok()?;
        serde_json::from_str::<serde_json::Value>(text.lines().next()?).ok()
    });
    assert_eq!((&line["outcome"], &line["tries"]), (&"clientGone".into(), &1.into()));
}
