//! Drills: what a fault does to the requests of its version, and that nobody can take it for an outage.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, Request};
use serde_json::Value;
use serin::telemetry::Rfc3339;
use support::client::{Raw, get};
use support::load::{await_metric, said, shop};
use support::serin::{Serin, command};
use support::upstream::Upstream;
use support::{eventually, frames, h2};

fn from_now(seconds: u64) -> String {
    Rfc3339(SystemTime::now() + Duration::from_secs(seconds)).to_string()
}

/// A serin whose every request goes to `new`, with one fault named `drill`.
fn start(upstreams: &[Upstream; 2], fault: &str) -> Serin {
    start_until(upstreams, fault, &from_now(3600), "")
}

fn start_until(upstreams: &[Upstream; 2], fault: &str, until: &str, top: &str) -> Serin {
    let service = format!(
        "    weights: {{ new: 1 }}\n    override: {{ from: [ 127.0.0.0/8 ] }}\n    faults:\n      - {{ name: drill, version: \
         new, {fault}, until: {until} }}\n"
    );
    Serin::new(&shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], &service, top))
}

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

#[test]
fn an_abort_answers_in_the_versions_place_and_counts_as_its_failure() {
    let upstreams = two();
    let log = "accessLog: { path: FOLDER/access.log }\n";
    let serin = start_until(&upstreams, "share: 100%, abort: { status: 503 }", &from_now(3600), log);
    let answer = get(serin.web(), "/", "");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("x-serin-error"), Some("fault"));
    assert_eq!(answer.header("x-serin-fault"), Some("drill"));
    assert_eq!(answer.header("x-serin-version"), Some("new"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(upstreams[1].accepted(), 0, "the version never sees it");
    await_metric(&serin, "serin_requests_total", &["version=\"new\"", "code=\"5xx\""], 1.0);
    let of_drill = ["service=\"shop\"", "version=\"new\"", "fault=\"drill\""];
    assert_eq!(serin.metric("serin_faults_injected_total", &[&of_drill[..], &["kind=\"abort\""]].concat()), 1.0);
    assert_eq!(serin.metric("serin_faults_injected_total", &["kind=\"delay\""]), 0.0);
    await_metric(&serin, "serin_faults_active", &of_drill, 0.0);
    assert!(serin.metric("serin_fault_end_timestamp_seconds", &of_drill) > 1.7e9);
    let line = eventually("a line in the log", || {
        std::fs::read_to_string(serin.path("access.log")).ok().filter(|text| text.ends_with('\n'))
    });
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&line["fault"], &line["status"]), (&"drill".into(), &503.into()));
}

#[test]
fn other_versions_are_left_alone() {
    let upstreams = two();
    let serin = start(&upstreams, "share: 100%, abort: { status: 500 }");
    let answer = get(serin.web(), "/", "x-serin-version: old\r\n");
    assert_eq!((answer.status, answer.header("x-serin-fault")), (200, None));
    assert_eq!(get(serin.web(), "/", "").status, 500);
}

#[test]
fn a_share_hurts_some_and_a_header_hurts_those_that_ask_for_it() {
    let upstreams = two();
    let serin = start(&upstreams, "header: { name: x-drill, value: \"1\" }, abort: { grpcStatus: 14 }");
    assert_eq!(get(serin.web(), "/", "").status, 200);
    assert_eq!(get(serin.web(), "/", "x-drill: 2\r\n").status, 200);
    assert_eq!(get(serin.web(), "/", "x-drill: 1\r\n").status, 503, "a gRPC status in the words of HTTP");
    let serin = start(&upstreams, "share: 50%, abort: { status: 502 }");
    let mut connection = Raw::connect(serin.web());
    let mut hurt = 0;
    for _ in 0..400 {
        connection.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
        hurt += usize::from(connection.response(false).expect("an answer on a kept connection").status == 502);
    }
    // Six deviations of 10.
    assert!((140..260).contains(&hurt), "{hurt} of 400");
}

#[test]
fn a_grpc_caller_is_aborted_in_its_own_words() {
    let upstreams = two();
    let serin = start(&upstreams, "share: 100%, abort: { status: 503 }");
    let answer = h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let request = Request::post("http://shop.example/shop.Cart/Add")
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .body(h2::body("ignored", None))
            .expect("a request");
        h2::whole(client.send_request(request).await.expect("an answer")).await.expect("whole")
    });
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers.get("grpc-status"), Some(&HeaderValue::from_static("14")));
    assert_eq!(answer.headers.get("content-type"), Some(&HeaderValue::from_static("application/grpc+proto")));
    assert_eq!(answer.headers.get("x-serin-fault"), Some(&HeaderValue::from_static("drill")));
    assert!(answer.body.is_empty());
    await_metric(&serin, "serin_requests_total", &["code=\"UNAVAILABLE\""], 1.0);
}

#[test]
fn a_reset_breaks_the_connection_of_an_http1_client() {
    let upstreams = two();
    let serin = start(&upstreams, "share: 100%, reset: true");
    let mut connection = Raw::connect(serin.web());
    connection.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    assert!(connection.broken_end(), "a reset, not a proper end");
    assert_eq!(upstreams[1].accepted(), 0);
    await_metric(&serin, "serin_requests_total", &["version=\"new\"", "code=\"reset\""], 1.0);
    assert_eq!(serin.metric("serin_faults_injected_total", &["kind=\"reset\""]), 1.0);
    await_metric(&serin, "serin_client_connections", &[], 0.0);
}

#[test]
fn a_reset_ends_one_stream_of_an_http2_client_and_no_other() {
    let upstreams = two();
    let serin = start(&upstreams, "share: 100%, header: { name: x-drill, value: \"1\" }, reset: true");
    let mut client = frames::Frames::connect(serin.web());
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "shop.example")];
    let block = h2::block(&[&fields[..], &[("x-drill", "1")]].concat());
    client.send(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, 1, &block);
    let reset = client.next().expect("a frame");
    assert_eq!((reset.kind, reset.stream), (frames::RESET, 1));
    client.get(3);
    let answer = client.await_kind(frames::HEADERS).expect("an answer");
    assert_eq!((answer.stream, h2::indexed_status(&answer.payload)), (3, Some(200)));
}

#[test]
fn a_delay_comes_before_the_version_and_before_what_follows_it() {
    let upstreams = two();
    let serin = start(&upstreams, "share: 100%, delay: { fixed: 50ms }");
    let started = Instant::now();
    assert_eq!(get(serin.web(), "/", "").text(), "new");
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert_eq!(serin.metric("serin_faults_injected_total", &["kind=\"delay\""]), 1.0);
    let serin = start(&upstreams, "share: 100%, delay: { uniform: [50ms, 60ms] }, abort: { status: 500 }");
    let started = Instant::now();
    assert_eq!(get(serin.web(), "/", "").status, 500);
    assert!(started.elapsed() >= Duration::from_millis(50));
    for kind in ["delay", "abort"] {
        assert_eq!(serin.metric("serin_faults_injected_total", &[&format!("kind=\"{kind}\"")]), 1.0);
    }
}

#[test]
fn a_delay_past_the_routes_time_limit_is_a_timeout_like_any_other() {
    let upstreams = two();
    let config = shop(
        &[("old", &upstreams[0]), ("new", &upstreams[1])],
        &format!(
            "    weights: {{ new: 1 }}\n    faults: [ {{ name: drill, version: new, share: 100%, delay: {{ fixed: 5m }}, \
             until: {} }} ]\n",
            from_now(3600)
        ),
        "",
    );
    let serin = Serin::new(&format!("{config}    timeouts: {{ request: 50ms }}\n"));
    let answer = get(serin.web(), "/", "");
    assert_eq!((answer.status, answer.header("x-serin-error")), (504, Some("timeout")));
    assert_eq!(upstreams[1].accepted(), 0);
    await_metric(&serin, "serin_requests_total", &["version=\"new\"", "code=\"timeout\""], 1.0);
}

#[test]
fn a_slow_body_arrives_whole_at_its_rate() {
    let text = "0123456789".repeat(300);
    let chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    for upstream in [Upstream::named(&text), Upstream::answering(chunked)] {
        let upstreams = [Upstream::named("old"), upstream];
        let serin = start(&upstreams, "share: 100%, slowBody: { bytesPerSecond: 10000 }");
        let mut connection = Raw::connect(serin.web());
        for round in 1..=2 {
            let started = Instant::now();
            connection.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
            let answer = connection.response(false).expect("an answer");
            assert_eq!(answer.text(), text);
            assert!(started.elapsed() >= Duration::from_millis(299), "{:?}", started.elapsed());
            await_metric(&serin, "serin_faults_injected_total", &["kind=\"slowBody\""], f64::from(round));
        }
        await_metric(&serin, "serin_requests_total", &["code=\"2xx\""], 2.0);
        await_metric(&serin, "serin_faults_active", &[], 0.0);
        assert_eq!(upstreams[1].accepted(), 1, "the upstream's connection is kept");
    }
}

#[test]
fn no_more_requests_than_allowed_are_under_a_fault_at_one_time() {
    let upstreams = two();
    let serin = start(&upstreams, "share: 100%, delay: { fixed: 5m }, maxConcurrent: 1");
    let mut held = Raw::connect(serin.web());
    held.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    await_metric(&serin, "serin_faults_active", &[], 1.0);
    for _ in 0..3 {
        assert_eq!(get(serin.web(), "/", "").text(), "new");
    }
    assert_eq!(serin.metric("serin_faults_capped_total", &["fault=\"drill\""]), 3.0);
    drop(held);
    eventually("the place to be free", || (serin.metric("serin_faults_active", &[]) == 0.0).then_some(()));
    assert_eq!(serin.metric("serin_faults_injected_total", &[]), 1.0);
}

#[test]
fn a_drill_is_seen_in_status_and_api_and_said_aloud() {
    let upstreams = two();
    let until = "2 hours from now";
    let end = from_now(7200);
    let serin = start_until(&upstreams, "share: 12.5%, delay: { fixed: 100ms }, abort: { status: 503 }", &end, "");
    said(&serin, "a drill is on");
    let body = serin.ask("GET", "/api/v1/services/shop", "").text();
    let view: Value = serde_json::from_str(&body).expect("JSON");
    let drill = &view["drills"][0];
    assert_eq!((&drill["name"], &drill["version"], &drill["share"]), (&"drill".into(), &"new".into(), &"12.5%".into()));
    assert_eq!(drill["effects"], serde_json::json!(["delay 100ms", "abort 503"]));
    let second = end.split_once('.').expect("a fraction").0;
    assert_eq!(drill["until"], format!("{second}.000000Z"), "{until}");
    let status = command(&["--admin", &serin.admin_url(), "status"]);
    let shown = String::from_utf8(status.stdout).expect("text");
    let line = format!("!!! DRILL until {second} UTC: 12.5% of new: delay 100ms, abort 503 (drill: 0 so far, 0 now)");
    assert!(shown.contains(&line), "{shown}");
}

#[test]
fn a_drill_ends_by_itself_without_a_reload() {
    let upstreams = two();
    // The time is cut to the second: two are one at least.
    let serin = start_until(&upstreams, "share: 100%, abort: { status: 503 }", &from_now(3), "");
    assert_eq!(get(serin.web(), "/", "").status, 503);
    eventually("the drill to end", || (get(serin.web(), "/", "").status == 200).then_some(()));
    said(&serin, "a drill is over");
    assert_eq!(serin.metric("serin_config_reload_total", &[]), 0.0);
    let metrics = serin.ask("GET", "/metrics", "").text();
    assert!(!metrics.contains("serin_fault_end_timestamp_seconds"), "{metrics}");
    let body = serin.ask("GET", "/api/v1/services/shop", "").text();
    assert!(!body.contains("drills"), "{body}");
}

#[test]
fn a_drill_whose_end_has_passed_is_warned_of_and_does_nothing() {
    let upstreams = two();
    let serin = start_until(&upstreams, "share: 100%, abort: { status: 503 }", "2020-01-01T00:00:00Z", "");
    assert_eq!(get(serin.web(), "/", "").text(), "new");
    said(&serin, "this time has passed: the fault does nothing");
    assert!(!serin.stderr().contains("a drill is on"), "{}", serin.stderr());
}

#[test]
fn a_drill_that_would_last_longer_than_a_day_is_refused() {
    let upstreams = two();
    let config = |until: &str| {
        shop(
            &[("new", &upstreams[1])],
            &format!("    faults: [ {{ name: drill, version: new, share: 1%, reset: true, until: {until} }} ]\n"),
            "",
        )
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("serin.yaml");
    std::fs::write(&path, config("9999-01-01T00:00:00Z")).expect("a file");
    let path = path.display().to_string();
    for command_line in [["check", "--config", &path], ["run", "--config", &path]] {
        let refused = command(&command_line);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).expect("text");
        assert!(said.contains("services.shop.faults[0].until: more than 24 hours ahead"), "{said}");
        assert!(said.contains("expected: a time within 24 hours"), "{said}");
    }
}

#[test]
fn a_fallback_shields_clients_from_a_drill_and_the_drill_still_counts() {
    for effect in ["abort: { status: 503 }", "reset: true"] {
        let upstreams = two();
        let service = format!(
            "    weights: {{ new: 1 }}\n    fallback: {{ to: old }}\n    follow: baggage\n    faults: [ {{ name: drill, version: \
             new, share: 100%, {effect}, until: {} }} ]\n",
            from_now(3600)
        );
        let config = shop(
            &[("old", &upstreams[0]), ("new", &upstreams[1])],
            &service,
            "accessLog: { path: FOLDER/access.log }\n",
        );
        let serin = Serin::new(&config);
        let answer = get(serin.web(), "/", "");
        assert_eq!((answer.text().as_str(), answer.header("x-serin-fault")), ("old", None), "{effect}");
        assert_eq!(upstreams[1].accepted(), 0);
        assert_eq!(upstreams[0].last().headers("baggage"), ["serin.shop=old"], "the truth is told");
        let code = if effect.starts_with("abort") { "code=\"5xx\"" } else { "code=\"reset\"" };
        await_metric(&serin, "serin_requests_total", &["version=\"new\"", code], 1.0);
        await_metric(&serin, "serin_requests_total", &["version=\"old\"", "code=\"2xx\""], 1.0);
        await_metric(&serin, "serin_faults_active", &[], 0.0);
        let line = eventually("a line in the log", || {
            std::fs::read_to_string(serin.path("access.log")).ok().filter(|text| text.ends_with('\n'))
        });
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&line["fault"], &line["version"], &line["tries"]), (&"drill".into(), &"old".into(), &2.into()));
    }
}

#[test]
fn every_retry_at_the_version_meets_the_drill_again() {
    let upstreams = two();
    let service = format!(
        "    weights: {{ new: 1 }}\n    faults: [ {{ name: drill, version: new, share: 100%, abort: {{ status: 503 }}, until: \
         {} }} ]\n",
        from_now(3600)
    );
    let config = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], &service, "");
    let serin = Serin::new(&format!("{config}    retry: {{ codes: [ 503 ], attempts: 2, backoff: 1ms }}\n"));
    let answer = get(serin.web(), "/", "");
    assert_eq!((answer.status, answer.header("x-serin-fault")), (503, Some("drill")));
    await_metric(&serin, "serin_faults_injected_total", &["kind=\"abort\""], 3.0);
    await_metric(&serin, "serin_faults_active", &[], 0.0);
    assert_eq!(upstreams[1].accepted(), 0);
}
