//! A request is sent to its version again: when, how often, and when never.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::client::{self, Raw};
use support::eventually;
use support::faulty::{UNAVAILABLE, closing, in_turn, ok, silent};
use support::h2::{self, H2Upstream};
use support::load::{ask, await_metric, shop_at};
use support::serin::Serin;
use support::sidecar;
use support::upstream::Upstream;

/// The lines of a route that retries.
fn retry(rule: &str) -> String {
    format!("    retry: {{ {rule}, backoff: 1ms }}\n")
}

fn before(upstream: &Upstream, route: &str) -> Serin {
    sidecar::before_with(&upstream.url(), "", route)
}

fn retried(serin: &Serin, result: &str) -> f64 {
    serin.metric("serin_retries_total", &[&format!("result=\"{result}\"")])
}

fn post(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: shop.example\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_listed_status_is_tried_again_and_each_try_is_counted() {
    let upstream = in_turn(vec![UNAVAILABLE.into(), ok("well")]);
    let serin = before(&upstream, &retry("codes: [500, 503]"));
    let got = client::get(serin.web(), "/", "x-n: 1\r\n");
    assert_eq!((got.status, got.text().as_str()), (200, "well"));
    let seen = upstream.requests();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].head, seen[1].head, "the same request");
    await_metric(&serin, "serin_requests_total", &["code=\"2xx\""], 1.0);
    await_metric(&serin, "serin_requests_total", &["code=\"5xx\""], 1.0);
    assert_eq!(serin.metric("serin_picks_total", &[]), 1.0, "one request of a client is one pick");
    assert_eq!((retried(&serin, "success"), retried(&serin, "failure")), (1.0, 0.0));
    assert_eq!(serin.metric("serin_requests_in_flight", &[]), 0.0);
    // The answer nobody wanted was read, so that its connection is used again.
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn other_statuses_are_answers() {
    for status in ["404 Not Found", "500 Internal Server Error", "200 OK"] {
        let upstream = Upstream::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"));
        let serin = before(&upstream, &retry("codes: [503], attempts: 3"));
        assert_eq!(client::get(serin.web(), "/", "").status.to_string(), status[..3]);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn so_many_attempts_and_no_more_and_the_last_answer_is_passed_on_whole() {
    let upstream = Upstream::answering(UNAVAILABLE);
    let serin = before(&upstream, &retry("codes: [503], attempts: 2"));
    let mut connection = Raw::connect(serin.web());
    for round in 1..=3 {
        let got = ask(&mut connection, "");
        assert_eq!((got.status, got.text().as_str()), (503, "busy"));
        assert_eq!(upstream.requests().len(), 3 * round);
    }
    await_metric(&serin, "serin_requests_total", &["code=\"5xx\""], 9.0);
    assert_eq!((retried(&serin, "success"), retried(&serin, "failure")), (0.0, 6.0));
}

#[test]
fn a_connection_that_breaks_off_is_tried_again_only_where_that_is_safe() {
    let fails_once = || in_turn(vec![String::new(), ok("well")]);
    for (request, status, tries) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 200, 2),
        ("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 200, 2),
        ("DELETE / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 200, 2),
        (post("", "1 franc"), 502, 1),
        (post("idempotency-key: \r\n", "1 franc"), 502, 1),
        (post("idempotency-key: k\r\n", "1 franc"), 200, 2),
        ("PATCH / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n".to_owned(), 502, 1),
    ] {
        let upstream = fails_once();
        let serin = before(&upstream, &retry("attempts: 2"));
        assert_eq!(client::request(serin.web(), &request).status, status, "{request}");
        assert_eq!(upstream.requests().len(), tries, "{request}");
        let refused = if tries == 1 { 1.0 } else { 0.0 };
        await_metric(&serin, "serin_retries_total", &["result=\"notReplayable\""], refused);
    }
}

#[test]
fn a_body_is_sent_again_if_it_was_kept_whole() {
    for (length, tries) in [(10 * 1024, 2), (64 * 1024, 2), (64 * 1024 + 1, 1), (1 << 20, 1)] {
        let upstream = in_turn(vec![UNAVAILABLE.into(), ok("well")]);
        let serin = before(&upstream, &retry("codes: [503]"));
        let body: String = (0..length).map(|at: u32| char::from(b'a' + (at % 23) as u8)).collect();
        let got = client::request(serin.web(), &post("idempotency-key: k\r\n", &body));
        assert_eq!(got.status, if tries == 2 { 200 } else { 503 }, "{length}");
        let seen = upstream.requests();
        assert_eq!(seen.len(), tries, "{length}");
        assert!(seen.iter().all(|request| request.body == body.as_bytes()), "{length}");
    }
}

#[test]
fn a_body_still_coming_when_the_try_fails_is_sent_whole_by_the_next() {
    let upstream = Upstream::scripted(|connection| {
        if connection.head().is_none() {
            return;
        }
        // The first try ends in the middle of the body.
        if connection.exactly(3).as_deref() == Some(b"abc") {
            connection.send("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
        connection.await_close();
    });
    let second = Upstream::named("well");
    let urls = format!("[ \"{}\", \"{}\" ]", upstream.url(), second.url());
    let text = shop_at(&[("only", urls)], "", "") + &retry("codes: [503]");
    let serin = Serin::new(&text);
    // Whichever address is first: the other one is next.
    for _ in 0..8 {
        let mut client = Raw::connect(serin.web());
        client.send("PUT / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 6\r\n\r\nabc");
        eventually("the half to arrive", || {
            (upstream.bytes().iter().chain(&second.bytes()).filter(|bytes| bytes.ends_with(b"abc")).count() > 0)
                .then_some(())
        });
        client.send("def");
        assert_eq!(client.response(false).expect("an answer").text(), "well");
        assert_eq!(second.last().body, b"abcdef");
    }
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked_by_the_try_that_wants_it() {
    let upstream = Upstream::scripted({
        let asked = AtomicUsize::new(0);
        move |connection| {
            while let Some(head) = connection.head() {
                assert!(head.to_ascii_lowercase().contains("expect: 100-continue"));
                if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                    connection.send(UNAVAILABLE.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
                    return;
                }
                connection.send("HTTP/1.1 100 Continue\r\n\r\n");
                let body = connection.exactly(4).expect("the body");
                connection.send(ok(&String::from_utf8_lossy(&body)));
            }
        }
    });
    let serin = before(&upstream, &retry("codes: [503]"));
    let mut client = Raw::connect(serin.web());
    client.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(client.head().expect("to be asked").status, 100);
    client.send("data");
    assert_eq!(client.response(false).expect("an answer").text(), "data");
}

#[test]
fn a_try_that_takes_too_long_is_tried_again_until_the_request_has_taken_too_long() {
    let upstream = Upstream::scripted({
        let asked = AtomicUsize::new(0);
        move |connection| {
            connection.request();
            if asked.fetch_add(1, Ordering::SeqCst) >= 1 {
                connection.send(ok("well"));
            }
            connection.await_close();
        }
    });
    let serin = before(&upstream, &(retry("attempts: 1") + "    timeouts: { backendRequest: 100ms, request: 9s }\n"));
    assert_eq!(client::get(serin.web(), "/", "").text(), "well");
    await_metric(&serin, "serin_requests_total", &["code=\"timeout\""], 1.0);
    await_metric(&serin, "serin_requests_total", &["code=\"2xx\""], 1.0);

    let upstream = silent();
    let route = retry("attempts: 10") + "    timeouts: { backendRequest: 100ms, request: 250ms }\n";
    let serin = before(&upstream, &route);
    let got = client::get(serin.web(), "/", "");
    assert_eq!((got.status, got.header("x-serin-error")), (504, Some("timeout")));
    // Two whole tries and what is left for a third; never more.
    assert!((2..=3).contains(&upstream.requests().len()), "{}", upstream.requests().len());
}

#[test]
fn another_address_is_tried_where_there_is_one() {
    let (bad, good) = (Upstream::answering(UNAVAILABLE), Upstream::named("well"));
    let urls = format!("[ \"{}\", \"{}\" ]", bad.url(), good.url());
    let top = "retryBudget: { percent: 100 }\n";
    let serin = Serin::new(&(shop_at(&[("only", urls)], "", top) + &retry("codes: [503], attempts: 1")));
    let mut connection = Raw::connect(serin.web());
    for _ in 0..100 {
        assert_eq!(ask(&mut connection, "").text(), "well");
    }
    assert!(!bad.requests().is_empty(), "it was tried");
}

#[test]
fn the_only_address_is_tried_again() {
    let upstream = in_turn(vec![UNAVAILABLE.into(), UNAVAILABLE.into(), ok("well")]);
    let serin = before(&upstream, &retry("codes: [503], attempts: 2"));
    assert_eq!(client::get(serin.web(), "/", "").text(), "well");
}

#[test]
fn past_the_budget_nothing_is_sent_again() {
    let upstream = Upstream::answering(UNAVAILABLE);
    // One a second for ten seconds, at once.
    let top = "retryBudget: { percent: 0, minPerSecond: 1 }\n";
    let serin = sidecar::before_with(&upstream.url(), top, &retry("codes: [503], attempts: 1"));
    let mut connection = Raw::connect(serin.web());
    for _ in 0..40 {
        assert_eq!(ask(&mut connection, "").status, 503);
    }
    let retries = upstream.requests().len() - 40;
    // A slow machine may see some of the budget come back.
    assert!((10..40).contains(&retries), "{retries}");
    await_metric(&serin, "serin_retries_total", &["result=\"failure\""], retries as f64);
    assert_eq!(retried(&serin, "budgetExhausted"), 40.0 - retries as f64);
    assert!(retried(&serin, "budgetExhausted") > 0.0);
}

#[test]
fn an_upgrade_is_never_sent_again() {
    let upstream = closing();
    let serin = before(&upstream, &retry("attempts: 3"));
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
    assert_eq!(client::get(serin.web(), "/", upgrade).status, 502);
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(client::get(serin.web(), "/", "").status, 502);
    assert_eq!(upstream.requests().len(), 1 + 4);
}

#[test]
fn http_2_on_both_sides_is_tried_again_as_well() {
    let upstream = H2Upstream::answering({
        let asked = Arc::<AtomicUsize>::default();
        move |request| {
            let asked = Arc::clone(&asked);
            async move {
                use http_body_util::BodyExt;
                let body = request.into_body().collect().await.expect("a whole body").to_bytes();
                let status = if asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { 503 } else { 200 };
                let text: &'static str = if body == "hello" { "hello" } else { "something else" };
                http::Response::builder().status(status).body(h2::body(text, None)).expect("a response")
            }
        }
    });
    let version = format!("upstream: \"{}\", protocol: h2", upstream.url());
    let serin = Serin::new(&sidecar::config(&version, "", &retry("codes: [503]")));
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for _ in 0..3 {
            let put = http::Request::put("http://shop.example/").body(h2::body("hello", None)).expect("a request");
            let answer = h2::whole(client.send_request(put).await.expect("an answer")).await.expect("whole");
            assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
            // A POST goes once, and its failure is passed on.
            let post = http::Request::post("http://shop.example/").body(h2::body("hello", None)).expect("a request");
            assert_eq!(client.send_request(post).await.expect("an answer").status(), 503);
            // So that the next one is the odd one again.
            let post = http::Request::post("http://shop.example/").body(h2::body("hello", None)).expect("a request");
            assert_eq!(client.send_request(post).await.expect("an answer").status(), 200);
        }
    });
    assert_eq!(upstream.heads().len(), 3 * 4);
    assert!(upstream.heads().iter().all(|head| head.version == http::Version::HTTP_2));
}

#[test]
fn a_try_that_was_given_up_takes_nothing_from_the_next_over_http_2() {
    // The first try is answered while the body still comes, and its stream left open.
    let asked = Arc::<AtomicUsize>::default();
    let upstream = H2Upstream::answering(move |request| {
        let asked = Arc::clone(&asked);
        async move {
            use http_body_util::BodyExt;
            let mut body = request.into_body();
            if asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                // Kept for good, so that the window stays open.
                std::mem::forget(body.frame().await);
                std::mem::forget(body);
                return http::Response::builder().status(503).body(h2::empty()).expect("a response");
            }
            let whole = body.collect().await.expect("a whole body").to_bytes();
            http::Response::new(h2::AnyBody::new(h2::Frames([hyper::body::Frame::data(whole)].into())))
        }
    });
    let version = format!("upstream: \"{}\", protocol: h2", upstream.url());
    let serin = Serin::new(&sidecar::config(&version, "", "    retry: { codes: [503], backoff: 100ms }\n"));
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for round in 1..=3 {
            let (pieces, body) = tokio::sync::mpsc::unbounded_channel();
            let send = |piece: Vec<u8>| pieces.send(hyper::body::Frame::data(piece.into())).expect("it goes on");
            let request = http::Request::put("http://shop.example/").body(h2::AnyBody::new(h2::Streamed(body)));
            let answer = client.send_request(request.expect("a request"));
            send(b"abc".to_vec());
            let answer = tokio::task::spawn_local(answer);
            // While the second try is waited for, and after.
            while upstream.heads().len() < 2 * round - 1 {
                tokio::task::yield_now().await;
            }
            await_metric(&serin, "serin_requests_total", &["code=\"5xx\""], round as f64);
            send(vec![b'd'; 100 * 1024]);
            while upstream.heads().len() < 2 * round {
                tokio::task::yield_now().await;
            }
            send(b"ef".to_vec());
            drop(pieces);
            let answer = h2::whole(answer.await.expect("a task").expect("an answer")).await.expect("whole");
            assert_eq!((answer.status, answer.body.len()), (200, 3 + 100 * 1024 + 2));
            assert!(answer.body.starts_with(b"abcddd") && answer.body.ends_with(b"ddef"));
        }
    });
}

#[test]
fn a_route_may_wait_less_for_a_connection_than_others() {
    // A queue of one that is full: whoever comes next waits.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let socket = socket2::SockRef::from(&listener);
    socket.listen(0).expect("to listen");
    let address = listener.local_addr().expect("its address");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    let top = "upstreams: { connectTimeout: 5m }\n";
    let serin = sidecar::before_with(&format!("http://{address}"), top, "    timeouts: { connect: 100ms }\n");
    let got = client::get(serin.web(), "/", "");
    assert_eq!((got.status, got.header("x-serin-error")), (504, Some("connectTimeout")));
}

#[test]
fn a_route_may_bear_less_silence_than_others() {
    let upstream = Upstream::scripted(|connection| {
        while let Some(request) = connection.request() {
            if request.request_line().starts_with("GET /body") {
                connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ");
            }
        }
    });
    let serin = before(&upstream, "    timeouts: { idle: 100ms }\n");
    let got = client::get(serin.web(), "/head", "");
    assert_eq!((got.status, got.header("x-serin-error")), (504, Some("timeout")));
    let mut client = Raw::connect(serin.web());
    client.send("GET /body HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.response(false).is_none(), "it ends before it is whole");
    await_metric(&serin, "serin_requests_total", &["code=\"timeout\""], 2.0);
    // And another more, or any.
    let top = "upstreams: { responseIdleTimeout: 100ms }\n";
    let patient = sidecar::before_with(&upstream.url(), top, "    timeouts: { idle: 0s, request: 500ms }\n");
    let got = client::get(patient.web(), "/head", "");
    assert_eq!((got.status, got.header("x-serin-error")), (504, Some("timeout")));
    await_metric(&patient, "serin_requests_total", &["code=\"timeout\""], 1.0);
    let seconds = patient.metric("serin_request_duration_seconds_sum", &[]);
    assert!(seconds > 0.4, "it was the request's own bound that passed: {seconds}");
}
