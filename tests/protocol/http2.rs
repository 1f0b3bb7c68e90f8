//! HTTP/2 on either side.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Frame;

use crate::GET;
use crate::support::client::{self, Raw};
use crate::support::h2::{self, H2Upstream};
use crate::support::serin::Serin;
use crate::support::sidecar;
use crate::support::upstream::Upstream;

/// An upstream that gives back every message it gets as it comes, and says at the end how it went.
fn echo() -> H2Upstream {
    H2Upstream::answering(|request| async move {
        let (sender, frames) = tokio::sync::mpsc::unbounded_channel();
        let mut body = request.into_body();
        tokio::task::spawn_local(async move {
            while let Some(Ok(frame)) = body.frame().await {
                let _ = sender.send(frame);
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().expect("a value"));
            let _ = sender.send(Frame::trailers(trailers));
        });
        let body = h2::AnyBody::new(h2::Streamed(frames));
        http::Response::builder().header("content-type", "application/grpc").body(body).expect("a response")
    })
}

#[test]
fn grpc_goes_through_message_by_message_with_its_trailers() {
    let upstream = echo();
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for _ in 0..3 {
            let (messages, body) = tokio::sync::mpsc::unbounded_channel();
            let request = http::Request::post("http://shop.example/shop.Cart/Watch")
                .header("content-type", "application/grpc+proto")
                .header("te", "trailers")
                .body(h2::AnyBody::new(h2::Streamed(body)))
                .expect("a request");
            let mut answer = client.send_request(request).await.expect("an answer before the request is over");
            assert_eq!(answer.headers()["x-serin-version"], "only");
            for message in [&b"\0\0\0\0\x05hello"[..], b"\0\0\0\0\x05again"] {
                messages.send(Frame::data(Bytes::from_static(message))).expect("the request goes on");
                let back = answer.frame().await.expect("a message").expect("a whole one");
                assert_eq!(back.data_ref().expect("data"), message);
            }
            drop(messages);
            let last = answer.frame().await.expect("trailers").expect("whole");
            assert_eq!(last.trailers_ref().expect("trailers")["grpc-status"], "0");
            assert!(answer.frame().await.is_none());
        }
    });
    for head in upstream.heads() {
        assert_eq!(head.version, http::Version::HTTP_2);
        assert_eq!(
            (head.uri.authority().map(http::uri::Authority::as_str), head.uri.path()),
            (Some("shop.example"), "/shop.Cart/Watch")
        );
        assert!(head.headers["te"] == "trailers" && head.headers["x-serin-version"] == "only");
        assert!(!head.headers.contains_key("connection") && !head.headers.contains_key("host"));
    }
    let counted = serin.metric("serin_requests_total", &["version=\"only\"", "code=\"OK\""]);
    assert!((counted - 3.0).abs() < f64::EPSILON, "{counted} counted by their gRPC status");
}

#[test]
fn http_2_that_is_not_grpc_goes_to_an_http_1_upstream() {
    let upstream = Upstream::named("ok");
    let serin = sidecar::before(&upstream.url());
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let got = h2::whole(client.send_request(h2::get("/a?b")).await.expect("an answer")).await.expect("whole");
        assert_eq!((got.status, &got.body[..]), (200, &b"ok"[..]));
        let post = http::Request::post("http://shop.example/").body(h2::body("hello", None)).expect("a request");
        let got = h2::whole(client.send_request(post).await.expect("an answer")).await.expect("whole");
        assert_eq!(got.status, 200);
    });
    let [first, second] = &upstream.requests()[..] else { panic!("two requests") };
    assert_eq!((first.request_line(), first.headers("host")), ("GET /a?b HTTP/1.1", vec!["shop.example".to_owned()]));
    assert_eq!((second.request_line(), second.body.as_slice()), ("POST / HTTP/1.1", &b"hello"[..]));
}

#[test]
fn an_http_1_client_reaches_an_http_2_upstream() {
    let upstream = echo();
    let serin = Serin::new(&sidecar::config(&format!("upstream: \"{}\", protocol: h2", upstream.url()), "", ""));
    let mut client = Raw::connect(serin.web());
    for _ in 0..2 {
        client.send("POST /a?b HTTP/1.1\r\nhost: shop.example\r\nconnection: keep-alive, x-mine\r\nx-mine: 1\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(client.response(false).expect("an answer").text(), "hello");
        client.send(
            "POST /a?b HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        );
        assert_eq!(client.response(false).expect("an answer").text(), "hello");
        client.send(GET);
        assert_eq!(client.response(false).expect("an answer").text(), "");
    }
    for head in upstream.heads() {
        assert_eq!(head.version, http::Version::HTTP_2);
        assert_eq!(head.uri.authority().map(http::uri::Authority::as_str), Some("shop.example"));
        for name in ["connection", "host", "transfer-encoding", "x-mine", "keep-alive"] {
            assert!(!head.headers.contains_key(name), "{name}");
        }
    }
}

#[test]
fn an_http_1_0_client_without_a_host_reaches_an_http_2_upstream() {
    let upstream = echo();
    let serin = Serin::new(&sidecar::config(&format!("upstream: \"{}\", protocol: h2", upstream.url()), "", ""));
    assert_eq!(client::request(serin.web(), "GET / HTTP/1.0\r\n\r\n").status, 200);
}
