//! `grpc-timeout`: how long a caller waits.

use std::time::Duration;

use http_body_util::BodyExt;

use crate::support::h2;
use crate::support::{eventually, sidecar};
use crate::upstream::{GrpcUpstream, message};
use crate::{NOWHERE, assert_counted, unary};

/// What a header of gRPC's means.
fn timeout(head: &http::request::Parts) -> Duration {
    serin::wire::grpc::parse_timeout(&head.headers["grpc-timeout"]).expect("a well-formed timeout")
}

/// Never answers; tells when and why it was given up.
fn silent() -> GrpcUpstream {
    GrpcUpstream::scripted(|mut call| async move {
        let reason = call.reset().await;
        call.tell(format!("{reason:?}"));
    })
}

#[test]
fn a_deadline_that_passes_ends_the_call_on_both_sides() {
    let upstream = silent();
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let told = client.send_request(unary(&[("grpc-timeout", "50m")])).await.expect("an answer");
        let told = h2::whole(told).await.expect("whole");
        assert_eq!(
            (told.status, &told.headers["grpc-status"], &told.headers["x-serin-error"]),
            (200, &"4".parse().expect("a value"), &"timeout".parse().expect("a value"))
        );
    });
    eventually("the upstream to be told", || (upstream.told() == ["CANCEL"]).then_some(()));
    assert_counted(&serin, "timeout", 1.0);
}

#[test]
fn the_upstream_is_told_how_much_time_is_left() {
    let upstream = silent();
    let serin = sidecar::before_with(&upstream.url(), "", "    timeouts: { request: 40ms }");
    for (given, at_most) in [("30000u", 30), ("10H", 40), ("99999999S", 40)] {
        h2::run(async {
            let mut client = h2::connect(serin.web()).await;
            let told = client.send_request(unary(&[("grpc-timeout", given)])).await.expect("an answer");
            assert_eq!(told.headers()["grpc-status"], "4", "{given}");
        });
        let left = timeout(upstream.heads().last().expect("a call"));
        assert!(left < Duration::from_millis(at_most) && !left.is_zero(), "{given} became {left:?}");
    }
    // Whoever says nothing of a deadline is given no words about it.
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let told = client.send_request(unary(&[])).await.expect("an answer");
        assert_eq!(told.headers()["grpc-status"], "4");
    });
    assert!(!upstream.heads().last().expect("a call").headers.contains_key("grpc-timeout"));
}

#[test]
fn a_deadline_that_passes_mid_stream_is_said_in_the_trailers() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut back = call.answer("application/grpc");
        back.send_data(message("first"), false).expect("a message");
        let reason = std::future::poll_fn(|cx| back.poll_reset(cx)).await.expect("a reset");
        call.tell(format!("{reason:?}"));
    });
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let mut answer = client.send_request(unary(&[("grpc-timeout", "200m")])).await.expect("an answer");
        assert_eq!(answer.headers().get("grpc-status"), None);
        let first = answer.frame().await.expect("a message").expect("a whole one").into_data().expect("data");
        assert_eq!(first, message("first"));
        let trailers = answer.frame().await.expect("trailers").expect("no reset").into_trailers().expect("trailers");
        assert_eq!((&trailers["grpc-status"], trailers.len()), (&"4".parse().expect("a value"), 2));
    });
    eventually("the upstream to be told", || (upstream.told() == ["CANCEL"]).then_some(()));
    assert_counted(&serin, "timeout", 1.0);
}

#[test]
fn a_deadline_that_has_passed_already_asks_no_version() {
    let upstream = silent();
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for zero in ["0n", "00000000H"] {
            let told = client.send_request(unary(&[("grpc-timeout", zero)])).await.expect("an answer");
            assert_eq!(
                (&told.headers()["grpc-status"], &told.headers()["x-serin-error"]),
                (&"4".parse().expect("a value"), &"deadlinePassed".parse().expect("a value"))
            );
        }
    });
    assert_eq!(upstream.heads().len(), 0);
    let refused = serin.metric("serin_refused_total", &["kind=\"deadlinePassed\""]);
    assert!((refused - 2.0).abs() < f64::EPSILON, "{refused}");
}

#[test]
fn a_malformed_timeout_is_the_upstreams_to_judge() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        call.answer("application/grpc").send_trailers(crate::upstream::status("0")).expect("trailers");
    });
    let serin = sidecar::before(&upstream.url());
    let malformed = ["5", "S", "5s", "-1S", "100000000n", "1.5S"];
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for given in malformed {
            let answer = h2::whole(client.send_request(unary(&[("grpc-timeout", given)])).await.expect("an answer"));
            assert_eq!(answer.await.expect("whole").trailers.expect("trailers")["grpc-status"], "0");
        }
    });
    let seen: Vec<_> = upstream.heads().iter().map(|head| head.headers["grpc-timeout"].clone()).collect();
    assert_eq!(seen, malformed);
}

#[test]
fn a_connection_on_which_nothing_comes_any_more_is_not_used_again() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        if call.head.headers.contains_key("x-silent") {
            return std::future::pending().await;
        }
        let mut back = call.answer("application/grpc");
        back.send_data(message(&call.connection_number.to_string()), false).expect("a message");
        back.send_trailers(crate::upstream::status("0")).expect("trailers");
    });
    let serin = sidecar::before_with(&upstream.url(), "upstreams: { connectTimeout: 500ms }", "");
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let mut number = async || {
            let answer = client.send_request(unary(&[])).await.expect("an answer");
            let answer = h2::whole(answer).await.expect("whole");
            answer.body.last().copied().map(char::from)
        };
        assert_eq!(number().await, Some('0'));
        let mut other = h2::connect(serin.web()).await;
        let mut silent = async |timeout| {
            let request = unary(&[("x-silent", "1"), ("grpc-timeout", timeout)]);
            let told = other.send_request(request).await.expect("an answer");
            assert_eq!(told.headers()["grpc-status"], "4");
        };
        // Shorter than a connection may take to open: no wonder.
        silent("10m").await;
        assert_eq!(number().await, Some('0'));
        // The connection is silent for one call alone.
        let calls = upstream.heads().len();
        let during = async {
            while upstream.heads().len() == calls {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            number().await
        };
        let ((), during) = tokio::join!(silent("700m"), during);
        assert_eq!(during, Some('0'));
        assert_eq!(number().await, Some('0'));
        silent("700m").await;
        assert_eq!(number().await, Some('1'));
    });
}

#[test]
fn only_calls_have_deadlines() {
    let serin = sidecar::before(NOWHERE);
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let request = unary(&[("content-type", "text/plain"), ("grpc-timeout", "0n")]);
        assert_eq!(client.send_request(request).await.expect("an answer").status(), 502);
    });
}
