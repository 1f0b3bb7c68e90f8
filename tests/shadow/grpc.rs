//! Copies of gRPC calls: one message there and back is copied and compared; a stream without an end is not waited for.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::Value;

use crate::support::eventually;
use crate::support::h2::{self, AnyBody, H2Upstream};
use crate::support::load::{await_metric, shop_at};
use crate::support::serin::Serin;

const MESSAGE: &str = "\0\0\0\0\x05hello";

/// Answers every call with what it was sent and this status.
fn echoing(status: &'static str) -> H2Upstream {
    H2Upstream::answering(move |request| async move {
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from_static(status))]);
        let body = AnyBody::new(h2::Frames([Frame::data(body), Frame::trailers(trailers)].into()));
        Response::builder().header("content-type", "application/grpc").body(body).expect("an answer")
    })
}

fn start(old: &H2Upstream, new: &H2Upstream, shadow: &str) -> Serin {
    let versions = [("old", format!("\"{}\"", old.url())), ("new", format!("\"{}\"", new.url()))];
    let service =
        format!("    shadow: {{ to: new, methods: [ POST ], idempotent: true{shadow} }}\n    diff: {{ noise: 10% }}\n");
    Serin::new(&shop_at(&versions, &service, ""))
}

fn call(body: AnyBody) -> Request<AnyBody> {
    let request = Request::post("http://shop.example/shop.Checkout/Pay").header("te", "trailers");
    request.header("content-type", "application/grpc").body(body).expect("a request")
}

fn results(serin: &Serin) -> impl Fn(&str, f64) {
    |result, count| {
        await_metric(serin, "serin_shadow_total", &["version=\"new\"", &format!("result=\"{result}\"")], count);
    }
}

#[test]
fn a_unary_call_is_copied_and_what_it_came_to_is_compared() {
    let (old, new) = (echoing("0"), echoing("13"));
    let serin = start(&old, &new, "");
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for _ in 0..3 {
            let answer = client.send_request(call(h2::body(MESSAGE, None))).await.expect("an answer");
            let answer = h2::whole(answer).await.expect("a body");
            assert_eq!(answer.body, MESSAGE.as_bytes());
            assert_eq!(answer.trailers.expect("trailers")["grpc-status"], "0", "the client's is old's");
        }
    });
    results(&serin)("answered", 3.0);
    for copy in new.heads() {
        assert_eq!(copy.uri.path(), "/shop.Checkout/Pay");
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers"), ("x-serin-shadow", "shop/new")]
        {
            assert_eq!(copy.headers.get(name).map(HeaderValue::as_bytes), Some(value.as_bytes()), "{name}");
        }
    }
    await_metric(&serin, "serin_shadow_duration_seconds_count", &["code=\"INTERNAL\""], 3.0);
    await_metric(&serin, "serin_shadow_paired_duration_seconds_count", &["code=\"OK\""], 3.0);
    let found = eventually("the comparisons", || {
        let answer = serin.ask("GET", "/api/v1/services/shop/diffs", "");
        let found: Value = serde_json::from_slice(&answer.body).ok()?;
        (found["routes"][0]["compared"].as_u64() == Some(3)).then_some(found)
    });
    let places = found["routes"][0]["places"].as_array().expect("places");
    let places: Vec<_> = places.iter().filter_map(|place| place["place"].as_str()).collect();
    assert_eq!(places, ["header grpc-status"], "{found}");
}

#[test]
fn a_stream_that_goes_on_holds_no_copy_and_one_that_is_long_makes_none() {
    let (old, new) = (echoing("0"), echoing("0"));
    let serin = start(&old, &new, ", timeout: 50ms, maxBody: 1KiB");
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let (messages, body) = tokio::sync::mpsc::unbounded_channel();
        let answering = client.send_request(call(AnyBody::new(h2::Streamed(body))));
        messages.send(Frame::data(Bytes::from_static(MESSAGE.as_bytes()))).expect("the call goes on");
        let open = tokio::task::spawn_local(answering);
        // Given up while the client goes on.
        let counted = tokio::task::spawn_blocking({
            let metrics = serin.admin();
            move || {
                eventually("the copy to be given up", || {
                    let text = crate::support::client::get(metrics, "/metrics", "").text();
                    let line = "serin_shadow_total{service=\"shop\",version=\"new\",result=\"bodyIncomplete\"} 1";
                    text.contains(line).then_some(())
                });
            }
        });
        counted.await.expect("no panic");
        for _ in 0..200 {
            messages.send(Frame::data(Bytes::from_static(MESSAGE.as_bytes()))).expect("the call goes on");
        }
        drop(messages);
        let answer = open.await.expect("no panic").expect("an answer");
        assert_eq!(h2::whole(answer).await.expect("a body").body.len(), 201 * MESSAGE.len());
        let (messages, body) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..200 {
            messages.send(Frame::data(Bytes::from_static(MESSAGE.as_bytes()))).expect("it is read");
        }
        drop(messages);
        let answer = client.send_request(call(AnyBody::new(h2::Streamed(body)))).await.expect("an answer");
        assert_eq!(h2::whole(answer).await.expect("a body").body.len(), 200 * MESSAGE.len());
    });
    results(&serin)("bodyTooLarge", 1.0);
    assert!(serin.metric("serin_shadow_in_flight", &["version=\"new\""]).abs() < 0.5);
    assert_eq!(new.heads().len(), 0);
}
