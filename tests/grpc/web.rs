//! gRPC-Web: trailers in the body, over either HTTP.

use crate::support::client::Raw;
use crate::support::h2;
use crate::support::serin::Serin;
use crate::support::sidecar;
use crate::support::upstream::Upstream;
use crate::upstream::GrpcUpstream;
use crate::{NOWHERE, assert_counted, unary};

/// An HTTP/1 call with these header lines and an empty message.
fn post(serin: &Serin, lines: &str) -> crate::support::client::Response {
    let head = format!("POST /shop.Checkout/Pay HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\n{lines}\r\n");
    Raw::connect(serin.web()).send(head).send(b"\0\0\0\0\0").response(false).expect("an answer")
}

#[test]
fn a_web_caller_is_told_in_headers_that_a_page_may_read() {
    let serin = sidecar::before(NOWHERE);
    for content_type in ["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text+proto"] {
        let told = post(&serin, &format!("content-type: {content_type}\r\n"));
        assert_eq!((told.status, told.text().as_str()), (200, ""));
        assert_eq!((told.header("content-type"), told.header("content-length")), (Some(content_type), Some("0")));
        assert_eq!((told.header("grpc-status"), told.header("x-serin-error")), (Some("14"), Some("connect")));
        let exposed = told.header("access-control-expose-headers").expect("exposed headers");
        assert!(exposed.contains("grpc-status") && exposed.contains("grpc-message"));
        h2::run(async {
            let mut client = h2::connect(serin.web()).await;
            let told = client.send_request(unary(&[("content-type", content_type)])).await.expect("an answer");
            assert_eq!(
                (&told.headers()["content-type"], &told.headers()["grpc-status"]),
                (&content_type.parse().expect("a value"), &"14".parse().expect("a value"))
            );
        });
    }
}

#[test]
fn the_status_is_read_from_the_end_of_the_body() {
    for (content_type, body, code) in [
        ("application/grpc-web+proto", "\0\0\0\0\x02hi\u{1}\0\0\0\0\0", "UNKNOWN"),
        ("application/grpc-web+proto", "trailers 0", "OK"),
        ("application/grpc-web+proto", "trailers 7", "PERMISSION_DENIED"),
        ("application/grpc-web-text", "text 0", "OK"),
    ] {
        let frame = |status: &str| {
            let lines = format!("grpc-status:{status}\r\n");
            [b"\0\0\0\0\x02hi\x80\0\0\0", &[u8::try_from(lines.len()).expect("short")][..], lines.as_bytes()].concat()
        };
        let body = match body.split_once(' ') {
            Some(("trailers", status)) => frame(status),
            // `\0\0\0\0\x02hi` and `\x80\0\0\0\x0fgrpc-status:0\r\n`, each padded for itself.
            Some(("text", _)) => b"AAAAAAJoaQ==gAAAAA9ncnBjLXN0YXR1czowDQo=".to_vec(),
            _ => body.as_bytes().to_vec(),
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        let upstream = Upstream::answering([head.as_bytes(), &body].concat());
        let serin = sidecar::before(&upstream.url());
        let got = post(&serin, &format!("content-type: {content_type}\r\n"));
        assert_eq!((got.status, &got.body), (200, &body));
        assert_counted(&serin, code, 1.0);
        // Over HTTP/2, too, `auto` asks the version over HTTP/1.1: gRPC-Web is made for that.
        h2::run(async {
            let mut client = h2::connect(serin.web()).await;
            let answer = client.send_request(unary(&[("content-type", content_type)])).await.expect("an answer");
            assert_eq!(h2::whole(answer).await.expect("whole").body, body);
        });
        assert_counted(&serin, code, 2.0);
        assert!(upstream.last().head.starts_with("POST /shop.Checkout/Pay HTTP/1.1\r\n"));
    }
}

#[test]
fn a_status_in_the_head_counts_too() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc-web\r\ngrpc-status: 5\r\ncontent-length: 0\r\n\r\n",
    );
    let serin = sidecar::before(&upstream.url());
    assert_eq!(post(&serin, "content-type: application/grpc-web\r\n").header("grpc-status"), Some("5"));
    assert_counted(&serin, "NOT_FOUND", 1.0);
}

#[test]
fn a_body_that_breaks_off_between_two_messages_is_closed_with_trailers() {
    let upstream = GrpcUpstream::scripted(|mut call| async move {
        let mut back = call.answer("application/grpc-web");
        let partial = call.head.headers.contains_key("x-partial");
        let data = if partial { "\0\0\0\0\x05he" } else { "\0\0\0\0\x02hi" };
        back.send_data(data.into(), false).expect("a message");
        // Once the caller has it.
        while let Some(Ok(_)) = call.body.data().await {}
        back.send_reset(::h2::Reason::INTERNAL_ERROR);
    });
    let serin = Serin::new(&sidecar::config(&format!("upstream: \"{}\", protocol: h2", upstream.url()), "", ""));
    let begin = |extra: &str| {
        let mut client = Raw::connect(serin.web());
        client.send(format!(
            "POST /shop.Checkout/Pay HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\
             content-type: application/grpc-web\r\n{extra}\r\n"
        ));
        assert_eq!(client.head().expect("a head").status, 200);
        assert!(client.until(b"\r\n").is_some() && client.exactly(9).is_some(), "the first chunk");
        client.send("0\r\n\r\n");
        client
    };
    let mut client = begin("");
    let rest = client.until(b"\r\n0\r\n\r\n").expect("a proper end");
    let text = String::from_utf8_lossy(&rest);
    assert!(text.contains("grpc-status:14\r\ngrpc-message:"), "{text:?}");
    // Within a message nothing can be said but that it is over.
    assert_counted(&serin, "truncated", 1.0);
    let mut client = begin("x-partial: 1\r\n");
    assert!(client.until(b"0\r\n\r\n").is_none(), "no proper end");
    assert_counted(&serin, "truncated", 2.0);
}
