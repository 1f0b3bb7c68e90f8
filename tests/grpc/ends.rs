//! Calls that end before their time, from either side.

use http_body_util::BodyExt;
use hyper::body::Frame;

use crate::support::h2::{self, AnyBody};
use crate::support::{eventually, sidecar};
use crate::upstream::{Do, GrpcUpstream, message, status};
use crate::{assert_counted, call, unary};

#[test]
fn a_version_that_dies_mid_stream_is_unavailable_and_never_ok() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut back = call.answer("application/grpc");
        back.send_data(message("first"), false).expect("a message");
        // Once that was read.
        let _ = call.body.data().await;
        match call.head.headers["x-end"].to_str().expect("text") {
            "die" => drop(call.connection.send(Do::Die)),
            "cancel" => back.send_reset(h2_reason::CANCEL),
            "internal" => back.send_reset(h2_reason::INTERNAL_ERROR),
            "refuse" => back.send_reset(h2_reason::REFUSED_STREAM),
            other => panic!("{other}"),
        }
        std::future::pending::<()>().await;
    });
    let serin = sidecar::before(&upstream.url());
    let ends = ["die", "cancel", "internal", "refuse"];
    for end in ends {
        h2::run(async {
            let mut client = h2::connect(serin.web()).await;
            let (messages, body) = tokio::sync::mpsc::unbounded_channel();
            let request = call(&[("x-end", end)], AnyBody::new(h2::Streamed(body)));
            let mut answer = client.send_request(request).await.expect("an answer");
            let first = answer.frame().await.expect("a message").expect("a whole one").into_data().expect("data");
            assert_eq!(first, message("first"));
            messages.send(Frame::data(message("read"))).expect("the call goes on");
            let trailers =
                answer.frame().await.expect("trailers").expect("no reset").into_trailers().expect("trailers");
            assert_eq!(trailers["grpc-status"], "14", "{end}");
            assert!(!trailers["grpc-message"].is_empty());
        });
    }
    assert_counted(&serin, "truncated", ends.len() as f64);
}

/// Reasons of a reset.
mod h2_reason {
    pub(super) use ::h2::Reason;
    pub(super) const CANCEL: Reason = Reason::CANCEL;
    pub(super) const INTERNAL_ERROR: Reason = Reason::INTERNAL_ERROR;
    pub(super) const REFUSED_STREAM: Reason = Reason::REFUSED_STREAM;
}

#[test]
fn a_version_that_dies_before_it_answers_is_unavailable() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        match call.head.headers["x-end"].to_str().expect("text") {
            "die" => drop(call.connection.send(Do::Die)),
            _ => call.respond.send_reset(h2_reason::INTERNAL_ERROR),
        }
        std::future::pending::<()>().await;
    });
    let serin = sidecar::before(&upstream.url());
    for end in ["die", "reset"] {
        h2::run(async {
            let mut client = h2::connect(serin.web()).await;
            let answer = client.send_request(unary(&[("x-end", end)])).await.expect("an answer");
            let told = (&answer.headers()["grpc-status"], &answer.headers()["x-serin-error"]);
            assert_eq!(told, (&"14".parse().expect("a value"), &"reset".parse().expect("a value")), "{end}");
        });
    }
    assert_counted(&serin, "reset", 2.0);
}

#[test]
fn a_stream_beyond_what_one_connection_takes_gets_another_connection() {
    let upstream = GrpcUpstream::taking(2, |mut call| async move {
        let mut back = call.answer("application/grpc");
        back.send_data(message("begun"), false).expect("a message");
        // As long as the caller likes.
        while let Some(Ok(_)) = call.body.data().await {}
        back.send_trailers(status("0")).expect("trailers");
    });
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let mut open = Vec::new();
        for _ in 0..7 {
            let (messages, body) = tokio::sync::mpsc::unbounded_channel();
            let request = call(&[], AnyBody::new(h2::Streamed(body)));
            let mut answer = client.send_request(request).await.expect("an answer");
            answer.frame().await.expect("a message").expect("a whole one");
            open.push((messages, answer));
        }
        for (messages, mut answer) in open {
            drop(messages);
            let trailers = answer.frame().await.expect("trailers").expect("whole").into_trailers().expect("trailers");
            assert_eq!(trailers["grpc-status"], "0");
        }
    });
    assert_counted(&serin, "OK", 7.0);
}

#[test]
fn a_version_that_needs_no_more_of_the_request_has_answered_well() {
    // As gRPC servers end a call whose caller is still sending: trailers, then a reset that says NO_ERROR, which h2 sends
    // where an answered call is dropped.
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut back = call.answer("application/grpc");
        back.send_data(message("enough"), false).expect("a message");
        back.send_trailers(status("0")).expect("trailers");
    });
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let (messages, body) = tokio::sync::mpsc::unbounded_channel();
        messages.send(Frame::data(message("more"))).expect("a body");
        let answer = client.send_request(call(&[], AnyBody::new(h2::Streamed(body)))).await.expect("an answer");
        let answer = h2::whole(answer).await.expect("whole");
        assert_eq!(
            (answer.body, &answer.trailers.expect("trailers")["grpc-status"]),
            (message("enough"), &"0".parse().expect("a value"))
        );
        drop(messages);
    });
    assert_counted(&serin, "OK", 1.0);
}

#[test]
fn a_caller_that_cancels_cancels_the_call_of_the_version() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut back = (call.head.headers["x-answered"] == "1").then(|| {
            let mut back = call.answer("application/grpc");
            back.send_data(message("first"), false).expect("a message");
            back
        });
        let mut ended = false;
        let reason = loop {
            tokio::select! {
                data = call.body.data(), if !ended => match data {
                    Some(Ok(data)) => call.body.flow_control().release_capacity(data.len()).expect("capacity"),
                    Some(Err(_)) => ended = true,
                    None => {
                        call.tell("the body ended as if it were whole");
                        ended = true;
                    }
                },
                reason = std::future::poll_fn(|cx| match &mut back {
                    Some(back) => back.poll_reset(cx),
                    None => call.respond.poll_reset(cx),
                }) => break reason.expect("a reset"),
            }
        };
        call.tell(format!("{reason:?}"));
    });
    let serin = sidecar::before(&upstream.url());
    for (times, answered) in [(1, "0"), (2, "1")] {
        h2::run(async {
            let mut client = h2::connect(serin.web()).await;
            let (messages, body) = tokio::sync::mpsc::unbounded_channel();
            messages.send(Frame::data(message("begun"))).expect("a body");
            let request = call(&[("x-answered", answered)], AnyBody::new(h2::Streamed(body)));
            let mut calling = std::pin::pin!(client.send_request(request));
            if answered == "1" {
                let mut answer = calling.await.expect("an answer");
                answer.frame().await.expect("a message").expect("a whole one");
            } else {
                // Until the upstream has it.
                while upstream.heads().len() < times {
                    assert!(futures_poll(&mut calling).await.is_none(), "no answer was made");
                }
            }
            // Leaving the scope drops the call, which resets it.
        });
        eventually("the upstream to be told", || (upstream.told().len() == times).then_some(()));
        assert_eq!(upstream.told()[times - 1], "CANCEL");
    }
    assert_counted(&serin, "clientGone", 2.0);
}

/// Looks once, after a breath.
async fn futures_poll<F: Future>(future: &mut std::pin::Pin<&mut F>) -> Option<F::Output> {
    tokio::select! {
        biased;
        value = future.as_mut() => Some(value),
        () = tokio::time::sleep(std::time::Duration::from_millis(2)) => None,
    }
}

#[test]
fn a_request_that_grows_over_the_limit_mid_stream_exhausts_a_resource() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut back = call.answer("application/grpc");
        back.send_data(message("first"), false).expect("a message");
        while let Some(Ok(data)) = call.body.data().await {
            call.body.flow_control().release_capacity(data.len()).expect("capacity");
        }
        std::future::pending::<()>().await;
    });
    let serin = sidecar::before_with(&upstream.url(), "limits: { bodyBytes: 16 }", "");
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let (messages, body) = tokio::sync::mpsc::unbounded_channel();
        let mut answer = client.send_request(call(&[], AnyBody::new(h2::Streamed(body)))).await.expect("an answer");
        answer.frame().await.expect("a message").expect("a whole one");
        for _ in 0..2 {
            messages.send(Frame::data(message("ten bytes!"))).expect("the call goes on");
        }
        let trailers = answer.frame().await.expect("trailers").expect("no reset").into_trailers().expect("trailers");
        assert_eq!(trailers["grpc-status"], "8");
    });
    assert_counted(&serin, "bodyTooLarge", 1.0);
}
