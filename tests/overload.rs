//! A version that is asked for more than it can do: who is let in, who waits, who is turned away.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::thread::JoinHandle;

use support::client::{self, Raw, Response};
use support::eventually;
use support::load::await_metric;
use support::serin::{Serin, command};
use support::sidecar;
use support::slots::Slots;
use support::upstream::Upstream;

/// A serin with one worker before `upstream`. `/low…` and `/high…` have these priorities, `/hasty` has little time.
fn config(upstream: &Slots, overload: &str, top: &str) -> String {
    let match_of = |path: &str| format!("matches: [ {{ path: {{ value: {path} }} }} ]");
    format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0 }}\nworkers: 1\n{top}\n\
         services:\n  shop:\n    versions: {{ only: {{ upstream: \"{}\" }} }}\n    {overload}\n\
         routes:\n  - service: shop\n  - {{ service: shop, priority: low, {} }}\n  \
         - {{ service: shop, priority: high, {} }}\n  - {{ service: shop, timeouts: {{ request: 50ms }}, {} }}\n",
        upstream.url(),
        match_of("/low"),
        match_of("/high"),
        match_of("/hasty"),
    )
}

fn start(upstream: &Slots, overload: &str) -> Serin {
    Serin::new(&config(upstream, &format!("overload: {{ {overload} }}"), ""))
}

/// Asks on a thread of its own.
fn ask(serin: &Serin, path: &str) -> JoinHandle<Response> {
    let (address, path) = (serin.web(), path.to_owned());
    std::thread::spawn(move || client::get(address, &path, ""))
}

/// Asks, and waits until the upstream has the request.
fn ask_at_once(serin: &Serin, upstream: &Slots, path: &str) -> JoinHandle<Response> {
    let asked = ask(serin, path);
    eventually("the upstream to be asked", || upstream.paths().iter().any(|known| known == path).then_some(()));
    asked
}

/// Asks, and waits until so many requests wait.
fn ask_and_wait(serin: &Serin, path: &str, waiting: u32) -> JoinHandle<Response> {
    let asked = ask(serin, path);
    await_metric(serin, "serin_queue_depth", &[], f64::from(waiting));
    asked
}

fn status(asked: JoinHandle<Response>) -> u16 {
    asked.join().expect("an answer").status
}

/// That it was turned away, as it should be.
fn assert_turned_away(answer: &Response) {
    assert_eq!((answer.status, answer.header("x-serin-error")), (503, Some("overload")), "{answer:?}");
    let after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(after.is_some_and(|seconds| (1..=3).contains(&seconds)), "{answer:?}");
    assert_eq!(answer.header("x-serin-version"), Some("only"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[test]
fn the_version_has_as_many_requests_as_it_may_the_next_wait_and_the_rest_are_turned_away() {
    let upstream = Slots::held();
    let serin = start(&upstream, "min: 2, max: 2, queue: 1, queueTimeout: 10s");
    let first = [ask_at_once(&serin, &upstream, "/1"), ask_at_once(&serin, &upstream, "/2")];
    let waits = ask_and_wait(&serin, "/3", 1);
    assert_turned_away(&client::get(serin.web(), "/4", ""));

    let service: serde_json::Value =
        serde_json::from_str(&serin.ask("GET", "/api/v1/services/shop", "").text()).expect("JSON");
    let only = &service["versions"][0];
    assert_eq!((&only["inFlight"], &only["overload"]["limit"]), (&3.into(), &2.into()));
    assert_eq!((&only["overload"]["queued"], &only["overload"]["shed"]), (&1.into(), &1.into()));
    let shown = command(&["status", "--admin", &serin.admin_url()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("in flight 2 of at most 2, 1 queued"), "{shown}");

    upstream.release(3);
    for asked in first.into_iter().chain([waits]) {
        assert_eq!(status(asked), 200);
    }
    assert_eq!((upstream.most(), upstream.paths()), (2, ["/1", "/2", "/3"].map(str::to_owned).to_vec()));
    // What was turned away is not among the version's own figures.
    await_metric(&serin, "serin_requests_total", &[], 3.0);
    assert_eq!(serin.metric("serin_request_duration_seconds_count", &[]), 3.0);
    assert_eq!(serin.metric("serin_picks_total", &[]), 4.0);
    assert_eq!(serin.metric("serin_requests_in_flight", &[]), 0.0);
    assert_eq!(serin.metric("serin_overload_total", &["version=\"only\"", "reason=\"queueFull\""]), 1.0);
    assert_eq!(serin.metric("serin_overload_total", &[]), 1.0);
    assert_eq!(serin.metric("serin_refused_total", &["kind=\"overload\""]), 1.0);
    assert_eq!(serin.metric("serin_concurrency_limit", &["service=\"shop\"", "version=\"only\""]), 2.0);
    assert_eq!(serin.metric("serin_queue_depth", &[]), 0.0);
}

#[test]
fn who_has_waited_for_too_long_is_turned_away() {
    let upstream = Slots::held();
    let serin = start(&upstream, "min: 1, max: 1, queueTimeout: 20ms");
    let first = ask_at_once(&serin, &upstream, "/1");
    assert_turned_away(&client::get(serin.web(), "/2", ""));
    assert_eq!(serin.metric("serin_overload_total", &["reason=\"queueTimeout\""]), 1.0);
    upstream.release(1);
    assert_eq!(status(first), 200);
    assert_eq!(upstream.paths(), ["/1"]);
}

#[test]
fn a_request_waits_no_longer_than_its_own_time_limit() {
    let upstream = Slots::held();
    let serin = start(&upstream, "min: 1, max: 1, queueTimeout: 1h");
    let first = ask_at_once(&serin, &upstream, "/1");
    assert_turned_away(&client::get(serin.web(), "/hasty", ""));
    upstream.release(1);
    assert_eq!(status(first), 200);
}

#[test]
fn the_more_important_go_first_and_have_room_of_their_own() {
    let upstream = Slots::held();
    let serin = start(&upstream, "min: 1, max: 1, queueTimeout: 1h");
    let mut asked = vec![ask_at_once(&serin, &upstream, "/1"), ask_at_once(&serin, &upstream, "/high/1")];
    for (path, waiting) in [("/low/1", 1), ("/2", 2), ("/low/2", 3), ("/3", 4), ("/high/2", 5)] {
        asked.push(ask_and_wait(&serin, path, waiting));
    }
    for _ in 0..asked.len() {
        upstream.release(1);
    }
    for asked in asked {
        assert_eq!(status(asked), 200);
    }
    assert_eq!(upstream.paths(), ["/1", "/high/1", "/high/2", "/2", "/3", "/low/1", "/low/2"]);
    assert_eq!(upstream.most(), 2);
}

#[test]
fn where_the_queue_is_full_the_less_important_make_room() {
    let upstream = Slots::held();
    let serin = start(&upstream, "min: 1, max: 1, queue: 1, queueTimeout: 1h");
    let first = [ask_at_once(&serin, &upstream, "/1"), ask_at_once(&serin, &upstream, "/high/1")];
    let low = ask_and_wait(&serin, "/low", 1);
    let normal = ask(&serin, "/2");
    assert_turned_away(&low.join().expect("an answer"));
    let high = ask(&serin, "/high/2");
    assert_turned_away(&normal.join().expect("an answer"));
    assert_turned_away(&client::get(serin.web(), "/low", ""));
    upstream.release(3);
    for asked in first.into_iter().chain([high]) {
        assert_eq!(status(asked), 200);
    }
    assert_eq!(serin.metric("serin_overload_total", &["reason=\"queueFull\""]), 3.0);
}

#[test]
fn a_header_says_what_matters_where_its_sender_is_believed() {
    let high = |serin: &Serin| {
        let address = serin.web();
        std::thread::spawn(move || client::get(address, "/2", "X-Priority: HIGH\r\n"))
    };
    for (from, believed) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let upstream = Slots::held();
        let serin = start(&upstream, &format!("min: 1, max: 1, queue: 0, priorityHeader: {{ from: [ {from} ] }}"));
        let first = ask_at_once(&serin, &upstream, "/1");
        assert_turned_away(&client::get(serin.web(), "/3", "x-priority: urgent\r\n"));
        let high = high(&serin);
        if believed {
            eventually("the upstream to be asked", || (upstream.paths().len() == 2).then_some(()));
            upstream.release(2);
            assert_eq!(status(high), 200);
        } else {
            assert_turned_away(&high.join().expect("an answer"));
            upstream.release(1);
        }
        assert_eq!(status(first), 200);
    }
}

#[test]
fn a_client_that_leaves_leaves_the_queue() {
    let upstream = Slots::held();
    let serin = start(&upstream, "min: 1, max: 1, queue: 2, queueTimeout: 1h");
    let first = ask_at_once(&serin, &upstream, "/1");
    let mut leaves = Raw::connect(serin.web());
    leaves.send("GET /leaves HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    await_metric(&serin, "serin_queue_depth", &[], 1.0);
    let stays = ask_and_wait(&serin, "/stays", 2);
    drop(leaves);
    eventually("it to leave the queue", || (serin.metric("serin_queue_depth", &[]) == 1.0).then_some(()));
    upstream.release(2);
    assert_eq!((status(first), status(stays)), (200, 200));
    assert_eq!(upstream.paths(), ["/1", "/stays"]);
    assert_eq!(serin.metric("serin_overload_total", &[]), 0.0);
}

#[test]
fn a_client_that_leaves_while_it_is_served_makes_room() {
    let upstream = Slots::held();
    let serin = start(&upstream, "min: 1, max: 1, queueTimeout: 1h");
    let mut leaves = Raw::connect(serin.web());
    leaves.send("GET /leaves HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    eventually("the upstream to be asked", || (upstream.paths().len() == 1).then_some(()));
    let stays = ask_and_wait(&serin, "/stays", 1);
    drop(leaves);
    eventually("the other one to be let in", || (upstream.paths().len() == 2).then_some(()));
    upstream.release(2);
    assert_eq!(status(stays), 200);
}

#[test]
fn a_higher_limit_or_none_lets_in_who_waits() {
    let upstream = Slots::held();
    let limited =
        |limit: u32| config(&upstream, &format!("overload: {{ min: {limit}, max: {limit}, queueTimeout: 1h }}"), "");
    let serin = Serin::new(&limited(1));
    let mut asked = vec![ask_at_once(&serin, &upstream, "/1")];
    for waiting in 1..=3 {
        asked.push(ask_and_wait(&serin, &format!("/{waiting}-waits"), waiting));
    }
    upstream.release(1);
    eventually("one more to be let in", || (upstream.paths().len() == 2).then_some(()));
    let reload = |text: String, asked: usize| {
        std::fs::write(serin.path("serin.yaml"), text).expect("serin.yaml");
        eventually("the waiting to be let in", || (upstream.paths().len() == asked).then_some(()));
    };
    reload(limited(2), 3);
    await_metric(&serin, "serin_concurrency_limit", &[], 2.0);
    reload(config(&upstream, "", ""), 4);
    upstream.release(3);
    for asked in asked {
        assert_eq!(status(asked), 200);
    }
    assert!(!serin.ask("GET", "/metrics", "").text().contains("serin_concurrency_limit"));
}

#[test]
fn the_workers_share_the_numbers() {
    let upstream = Slots::held();
    let text = config(&upstream, "overload: { initial: 11, min: 5, max: 101 }", "").replace("workers: 1", "workers: 4");
    let serin = Serin::new(&text);
    // A worker tells of its part when it first runs, which no worker waits for.
    await_metric(&serin, "serin_concurrency_limit", &[], 11.0);
}

#[test]
fn there_are_no_more_connections_to_an_address_than_there_may_be() {
    let upstream = Slots::held();
    let serin = Serin::new(&config(&upstream, "", "upstreams: { connections: 2, connectTimeout: 1h }"));
    let asked: Vec<_> = (0..5).map(|number| ask(&serin, &format!("/{number}"))).collect();
    for answered in 0..asked.len() {
        await_metric(&serin, "serin_requests_in_flight", &[], (5 - answered) as f64);
        eventually("as many as may be to be asked", || (upstream.paths().len() == 5.min(answered + 2)).then_some(()));
        upstream.release(1);
        eventually("one to be answered", || {
            (serin.metric("serin_requests_in_flight", &[]) == (4 - answered) as f64).then_some(())
        });
    }
    for asked in asked {
        assert_eq!(status(asked), 200);
    }
    assert_eq!((upstream.most(), upstream.connections()), (2, 2));
}

#[test]
fn waiting_for_a_connection_ends_as_connecting_does() {
    let upstream = Slots::held();
    let serin = Serin::new(&config(&upstream, "", "upstreams: { connections: 1, connectTimeout: 20ms }"));
    let first = ask_at_once(&serin, &upstream, "/1");
    let second = client::get(serin.web(), "/2", "");
    assert_eq!((second.status, second.header("x-serin-error")), (504, Some("connectTimeout")));
    upstream.release(1);
    assert_eq!(status(first), 200);
    assert_eq!(upstream.paths(), ["/1"]);
}

#[test]
fn the_bound_on_client_connections_is_told() {
    let upstream = Slots::held();
    let serin = Serin::new(&config(&upstream, "", "limits: { connections: 321 }"));
    assert_eq!(serin.metric("serin_client_connections_limit", &[]), 321.0);
}

#[test]
fn a_request_that_is_sent_again_passes_the_gate_again_and_not_twice_at_once() {
    let upstream = Upstream::answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    let serin = sidecar::before_with(&upstream.url(), "", "    retry: { codes: [503], attempts: 1, backoff: 1ms }\n");
    let text = std::fs::read_to_string(serin.path("serin.yaml")).expect("serin.yaml");
    drop(serin);
    let overload = "shop:\n    overload: { min: 1, max: 1, queue: 0 }\n";
    let serin = Serin::new(&text.replacen("shop:\n", overload, 1));
    let answer = client::get(serin.web(), "/", "");
    assert_eq!((answer.status, answer.header("x-serin-error")), (503, None), "{answer:?}");
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(serin.metric("serin_overload_total", &[]), 0.0);
}
