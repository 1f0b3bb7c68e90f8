//! What serin answers by itself, and what it makes of answers that are no gRPC.

use crate::support::frames::{self, Frames};
use crate::support::h2::{self, Whole};
use crate::support::serin::Serin;
use crate::support::sidecar;
use crate::support::upstream::Upstream;
use crate::upstream::{Do, GrpcUpstream};
use crate::{NOWHERE, assert_counted, call, unary};

/// The answer to one call.
fn answer(serin: &Serin, request: http::Request<h2::AnyBody>) -> Whole {
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        h2::whole(client.send_request(request).await.expect("an answer")).await.expect("a whole one")
    })
}

/// That an answer is gRPC's, all of it in its head.
fn assert_told(answer: &Whole, code: &str, kind: &str) {
    assert_eq!((answer.status, &answer.body[..]), (200, &b""[..]), "{answer:?}");
    assert!(answer.trailers.is_none(), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/grpc+proto", "{answer:?}");
    assert_eq!(answer.headers["grpc-status"], code, "{answer:?}");
    assert_eq!(answer.headers["x-serin-error"], kind, "{answer:?}");
    assert!(!answer.headers["grpc-message"].is_empty(), "{answer:?}");
}

#[test]
fn a_call_that_cannot_be_answered_is_told_so_in_grpc_s_words() {
    let nowhere = sidecar::before(NOWHERE);
    let refused = answer(&nowhere, unary(&[]));
    assert_told(&refused, "14", "connect");
    assert_eq!(refused.headers["x-serin-version"], "only");
    assert_counted(&nowhere, "connect", 1.0);

    let upstream = Upstream::scripted(|connection| drop(connection.request()));
    let serin = sidecar::before_with(
        &upstream.url(),
        "limits: { headerCount: 8, bodyBytes: 4 }",
        "    matches: [ { path: { value: /shop.Checkout } } ]",
    );
    let unrouted = http::Request::post("http://shop.example/other.Service/Call")
        .header("content-type", "application/grpc+proto")
        .body(h2::empty())
        .expect("a request");
    assert_told(&answer(&serin, unrouted), "12", "noRoute");
    let many: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| (name, "1")).into();
    assert_told(&answer(&serin, unary(&many)), "8", "headersTooLarge");
    assert_told(&answer(&serin, unary(&[("content-length", "10")])), "8", "bodyTooLarge");
    assert_told(&answer(&serin, call(&[("host", "other.example")], h2::empty())), "13", "malformed");
    // The upstream speaks no HTTP/2: it closes.
    let closed = answer(&serin, call(&[], h2::empty()));
    assert_eq!((closed.status, &closed.headers["grpc-status"]), (200, &http::HeaderValue::from_static("14")));
}

#[test]
fn an_http_caller_is_told_in_http_s_words() {
    let serin = sidecar::before(NOWHERE);
    for content_type in ["application/json", "application/grpcx"] {
        let told = answer(&serin, unary(&[("content-type", content_type)]));
        assert_eq!(told.status, 502);
        assert_eq!(told.headers["content-type"], "application/problem+json");
        assert!(!told.headers.contains_key("grpc-status"));
    }
}

#[test]
fn an_answer_that_is_all_head_stays_so_and_counts_by_its_status() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let head = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "5")
            .header("grpc-message", "no cart%3A 1")
            .header("grpc-status-details-bin", "CAUSBG5vbmU");
        call.refuse(head.body(()).expect("a response"));
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Frames::connect(serin.web());
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/shop.Checkout/Pay"),
        (":authority", "shop.example"),
        ("content-type", "application/grpc"),
    ];
    client.send(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, 1, &h2::block(&fields));
    let head = client.await_kind(frames::HEADERS).expect("an answer");
    assert_eq!(head.flags & frames::END_STREAM, frames::END_STREAM, "one header block is all there is");
    let told = answer(&serin, unary(&[]));
    assert_eq!((told.status, &told.headers["grpc-status"]), (200, &http::HeaderValue::from_static("5")));
    assert_eq!(told.headers["grpc-message"], "no cart%3A 1");
    assert_eq!(told.headers["grpc-status-details-bin"], "CAUSBG5vbmU");
    assert_counted(&serin, "NOT_FOUND", 2.0);
}

#[test]
fn an_answer_that_is_no_grpc_is_passed_on_and_counts_as_callers_take_it() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let status: u16 = call.head.headers["x-status"].to_str().expect("text").parse().expect("a number");
        let head =
            http::Response::builder().status(status).header("content-type", "text/html").body(()).expect("a head");
        let mut body = call.respond.send_response(head, false).expect("a call");
        body.send_data("<h1>no</h1>".into(), true).expect("a body");
    });
    let serin = sidecar::before(&upstream.url());
    for (status, code) in [
        ("503", "UNAVAILABLE"),
        ("401", "UNAUTHENTICATED"),
        ("403", "PERMISSION_DENIED"),
        ("404", "UNIMPLEMENTED"),
        ("400", "INTERNAL"),
        ("200", "UNKNOWN"),
    ] {
        let told = answer(&serin, unary(&[("x-status", status)]));
        assert_eq!((told.status.to_string().as_str(), &told.body[..]), (status, &b"<h1>no</h1>"[..]));
        assert_eq!(told.headers["content-type"], "text/html");
        assert!(!told.headers.contains_key("grpc-status"));
        assert_counted(&serin, code, 1.0);
    }
}

#[test]
fn metadata_and_messages_come_through_as_they_were() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut head =
            http::Response::builder().header("content-type", "application/grpc").header("grpc-encoding", "gzip");
        let sent = call.head.headers.iter().filter(|(name, _)| name.as_str().starts_with("mine"));
        for (name, value) in sent {
            head = head.header(name, value);
        }
        let mut back = call.respond.send_response(head.body(()).expect("a head"), false).expect("a call");
        while let Some(Ok(data)) = call.body.data().await {
            call.body.flow_control().release_capacity(data.len()).expect("capacity");
            back.send_data(data, false).expect("a message");
        }
        let mut trailers = crate::upstream::status("0");
        for value in call.head.headers.get_all("mine-bin") {
            trailers.append("also-bin", value.clone());
        }
        back.send_trailers(trailers).expect("trailers");
    });
    let serin = sidecar::before(&upstream.url());
    let big = "x".repeat(16 * 1024);
    // The flag says that the message is compressed; whether it is one is not serin's business.
    let request = call(
        &[
            ("mine-bin", "AAEC/w=="),
            ("mine-bin", "gICA,AQ"),
            ("mine-big", &big),
            ("grpc-encoding", "gzip"),
            ("grpc-accept-encoding", "gzip, identity"),
        ],
        h2::body("\x01\0\0\0\x03\x7f\0\x01", None),
    );
    let back = answer(&serin, request);
    assert_eq!(&back.body[..], b"\x01\0\0\0\x03\x7f\0\x01");
    assert_eq!(back.headers["grpc-encoding"], "gzip");
    assert_eq!(back.headers["mine-big"], big);
    let values = |map: &http::HeaderMap, name| {
        map.get_all(name).iter().map(|v| v.to_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&back.headers, "mine-bin"), ["AAEC/w==", "gICA,AQ"]);
    assert_eq!(values(back.trailers.as_ref().expect("trailers"), "also-bin"), ["AAEC/w==", "gICA,AQ"]);
    let [head] = &upstream.heads()[..] else { panic!("one call") };
    assert!(head.headers["te"] == "trailers" && head.headers["grpc-accept-encoding"] == "gzip, identity");
    assert_eq!(head.headers["content-type"], "application/grpc+proto");
}

#[test]
fn a_call_after_goaway_takes_a_fresh_connection_and_those_before_it_finish() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut back = call.answer("application/grpc");
        back.send_data(crate::upstream::message(&call.connection_number.to_string()), false).expect("a message");
        if call.head.headers.contains_key("x-go-away") {
            call.connection.send(Do::GoAway).expect("a connection");
        }
        // Until the caller is done.
        while let Some(Ok(data)) = call.body.data().await {
            call.body.flow_control().release_capacity(data.len()).expect("capacity");
            back.send_data(data, false).expect("a message");
        }
        back.send_trailers(crate::upstream::status("0")).expect("trailers");
    });
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        use http_body_util::BodyExt;
        let mut client = h2::connect(serin.web()).await;
        let (messages, body) = tokio::sync::mpsc::unbounded_channel();
        let long = call(&[("x-go-away", "1")], h2::AnyBody::new(h2::Streamed(body)));
        let mut long = client.send_request(long).await.expect("an answer");
        let first = long.frame().await.expect("a message").expect("a whole one").into_data().expect("data");
        assert_eq!(&first[..], b"\0\0\0\0\x010");
        for _ in 0..20 {
            let other =
                h2::whole(client.send_request(unary(&[])).await.expect("an answer")).await.expect("a whole one");
            assert_eq!(other.trailers.expect("trailers")["grpc-status"], "0");
        }
        messages.send(hyper::body::Frame::data("still here".into())).expect("the call goes on");
        let echoed = long.frame().await.expect("a message").expect("a whole one").into_data().expect("data");
        assert_eq!(&echoed[..], b"still here");
        drop(messages);
        let trailers = long.frame().await.expect("trailers").expect("whole").into_trailers().expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
    });
    assert_counted(&serin, "OK", 21.0);
}

#[test]
fn pings_are_answered_however_often_they_come() {
    let serin = sidecar::before(&Upstream::named("ok").url());
    let mut client = Frames::connect(serin.web());
    for number in 0..1000_u64 {
        client.send(frames::PING, 0, 0, &number.to_be_bytes());
    }
    client.get(1);
    let head = client.await_kind(frames::HEADERS).expect("the connection is still there");
    assert_eq!(h2::indexed_status(&head.payload), Some(200));
}
