//! `grpc.health.v1.Health` on the admin address.

use bytes::Bytes;
use http_body_util::BodyExt;
use serin::wire::grpc::{decode, encode};
use serin::wire::grpc_health::{
    CHECK, HealthCheckRequest, HealthCheckResponse, HealthListResponse, LIST, ServingStatus, WATCH,
};

use crate::NOWHERE;
use crate::support::h2::{self, AnyBody};
use crate::support::upstream::Upstream;
use crate::support::{client, sidecar};

fn ask(path: &str, body: Bytes) -> http::Request<AnyBody> {
    let frame = hyper::body::Frame::data(body);
    http::Request::post(format!("http://admin{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(AnyBody::new(h2::Frames([frame].into())))
        .expect("a request")
}

fn about(service: &str) -> Bytes {
    encode(&HealthCheckRequest { service: service.to_owned() })
}

fn status(message: &[u8]) -> ServingStatus {
    decode::<HealthCheckResponse>(message).expect("a message").status()
}

#[test]
fn health_checks_by_grpc_say_what_readyz_says() {
    let serin = sidecar::before(NOWHERE);
    h2::run(async {
        let mut client = h2::connect(serin.admin()).await;
        for service in ["", "shop"] {
            let answer = h2::whole(client.send_request(ask(CHECK, about(service))).await.expect("an answer"));
            let answer = answer.await.expect("whole");
            assert_eq!(answer.headers["content-type"], "application/grpc");
            assert_eq!(status(&answer.body), ServingStatus::Serving, "{service:?}");
            assert_eq!(answer.trailers.expect("trailers")["grpc-status"], "0");
        }
        for (path, body, code) in [
            (CHECK, about("Bäcker"), "5"),
            (CHECK, Bytes::from_static(b"\0\0\0\0\x09abc"), "3"),
            (CHECK, Bytes::from_static(b"\x01\0\0\0\0"), "3"),
            ("/grpc.health.v1.Health/Chek", about(""), "12"),
        ] {
            let answer = client.send_request(ask(path, body)).await.expect("an answer");
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["grpc-status"]),
                (200, &code.parse().expect("a value")),
                "{path}"
            );
        }
        let answer =
            h2::whole(client.send_request(ask(LIST, about(""))).await.expect("an answer")).await.expect("whole");
        let all = decode::<HealthListResponse>(&answer.body).expect("a message").statuses;
        let names: Vec<_> = all.iter().map(|(name, health)| (name.as_str(), health.status())).collect();
        assert_eq!(names, [("", ServingStatus::Serving), ("shop", ServingStatus::Serving)]);
        // The rest of the address answers over HTTP/2, too.
        let ready = http::Request::get("http://admin/readyz").body(h2::empty()).expect("a request");
        assert_eq!(client.send_request(ready).await.expect("an answer").status(), 200);
    });
    let by_http = client::request(
        serin.admin(),
        &format!("POST {CHECK} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    );
    assert_eq!(by_http.status, 415);
}

#[test]
fn a_watch_is_told_of_every_change() {
    // A call in flight holds the drain up for as long as this test looks.
    let upstream = Upstream::scripted(|connection| while connection.request().is_some() {});
    let mut serin = sidecar::before(&upstream.url());
    let config = std::fs::read_to_string(serin.path("serin.yaml")).expect("serin.yaml");
    let mut busy = client::Raw::connect(serin.web());
    busy.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    upstream.last();
    h2::run(async {
        let mut client = h2::connect(serin.admin()).await;
        let next = async |answer: &mut http::Response<hyper::body::Incoming>| {
            status(&answer.frame().await.expect("a message").expect("a whole one").into_data().expect("data"))
        };
        let mut whole = client.send_request(ask(WATCH, about(""))).await.expect("an answer");
        assert_eq!(next(&mut whole).await, ServingStatus::Serving);
        let mut later = client.send_request(ask(WATCH, about("later"))).await.expect("an answer");
        assert_eq!(next(&mut later).await, ServingStatus::ServiceUnknown);
        let with_later = config.replace(
            "services:\n",
            &format!("services:\n  later: {{ versions: {{ v: {{ upstream: '{NOWHERE}' }} }} }}\n"),
        );
        let with_later =
            with_later.replace("routes:\n", "routes:\n  - { service: later, hostnames: [later.example] }\n");
        std::fs::write(serin.path("serin.yaml"), with_later).expect("serin.yaml");
        assert_eq!(next(&mut later).await, ServingStatus::Serving);
        serin.signal("TERM");
        assert_eq!(next(&mut whole).await, ServingStatus::NotServing);
        assert_eq!(next(&mut later).await, ServingStatus::NotServing);
    });
    drop(busy);
    assert!(serin.wait().success());
}
