//! The old version answers what the new one fails, and the figures still say which of them failed.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;

use support::client::{self, Raw};
use support::eventually;
use support::faulty::{UNAVAILABLE, closing, dead, half_head, in_turn, ok, silent};
use support::h2::{self, H2Upstream};
use support::load::{Load, ask, await_metric, shop_at};
use support::serin::Serin;
use support::upstream::Upstream;

/// `old` and `new` at these URLs with half of the requests each; `service` and `route` are further lines.
fn halves(old: &str, new: &str, service: &str, route: &str) -> String {
    halves_with(old, new, service, route, "")
}

fn halves_with(old: &str, new: &str, service: &str, route: &str, top: &str) -> String {
    let service = format!("    weights: {{ old: 1, new: 1 }}\n{service}");
    shop_at(&[("old", format!("\"{old}\"")), ("new", format!("\"{new}\""))], &service, top) + route
}

/// All requests to `new`, which `old` answers for.
fn all_to_new(old: &str, new: &str, fallback: &str) -> String {
    let service = format!("    weights: {{ old: 0, new: 1 }}\n    fallback: {{ to: old{fallback} }}\n");
    shop_at(&[("old", format!("\"{old}\"")), ("new", format!("\"{new}\""))], &service, "")
}

fn fell_back(serin: &Serin, result: &str) -> f64 {
    serin.metric("serin_fallbacks_total", &["version=\"new\"", &format!("result=\"{result}\"")])
}

/// Asks some thousand times while `new` is dead in its way, and looks at what clients and figures saw of it.
fn nobody_sees(new: &str, route: &str, kind: &str) {
    let old = Upstream::named("old");
    let serin = Serin::new(&halves(&old.url(), new, "    fallback: { to: old, budget: 20% }\n", route));
    let load = Load::start(serin.web(), 8);
    for _ in 0..4 {
        load.await_more(500);
    }
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{kind}: {tally:?}");
    assert_eq!(tally.of("old"), tally.total(), "{kind}: the answer names who gave it: {tally:?}");
    let total = tally.total() as f64;

    await_metric(&serin, "serin_requests_total", &["version=\"old\"", "code=\"2xx\""], total);
    let tried = serin.metric("serin_requests_total", &["version=\"new\""]);
    assert_eq!(
        serin.metric("serin_requests_total", &["version=\"new\"", &format!("code=\"{kind}\"")]),
        tried,
        "{kind}"
    );
    assert_eq!(serin.metric("serin_picks_total", &["version=\"new\""]), tried, "{kind}: each try is a pick");
    assert!(tried > 0.0, "{kind}: new was tried");
    assert_eq!(fell_back(&serin, "success"), tried, "{kind}: old answered every one of them");
    assert_eq!((fell_back(&serin, "failure"), fell_back(&serin, "notReplayable")), (0.0, 0.0));
    let at_once = fell_back(&serin, "atOnce");
    let by_fallback = serin.metric("serin_picks_total", &["version=\"old\"", "why=\"fallback\""]);
    assert_eq!(by_fallback, tried + at_once, "{kind}");
    // Every request once, but for those that were sent a second time.
    assert_eq!(serin.metric("serin_requests_total", &[]) - fell_back(&serin, "success"), total, "{kind}");
    // About half of the requests are for new: past the budget all but a trickle go to old at once.
    assert!(at_once > tried, "{kind}: {tried} tried, {at_once} at once");
    assert!(serin.metric("serin_fallback_open", &["version=\"new\""]) >= 1.0, "{kind}");
    assert_eq!(serin.metric("serin_requests_in_flight", &[]), 0.0, "{kind}");
}

#[test]
fn all_of_new_refuses_connections_and_nobody_sees_it() {
    let (new, _port) = dead();
    nobody_sees(&new, "", "connect");
}

#[test]
fn all_of_new_never_answers_and_nobody_sees_it() {
    nobody_sees(&silent().url(), "    timeouts: { backendRequest: 60ms }\n", "timeout");
}

#[test]
fn all_of_new_answers_503_and_nobody_sees_it() {
    nobody_sees(&Upstream::answering(UNAVAILABLE).url(), "", "5xx");
}

#[test]
fn all_of_new_breaks_off_and_nobody_sees_it() {
    nobody_sees(&closing().url(), "", "reset");
}

#[test]
fn all_of_new_sends_half_a_head_and_nobody_sees_it() {
    nobody_sees(&half_head().url(), "", "protocol");
}

#[test]
fn a_version_that_recovers_gets_its_share_back() {
    let old = Upstream::named("old");
    let well = Arc::<AtomicBool>::default();
    let is_well = Arc::clone(&well);
    let new = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            connection.send(if is_well.load(Ordering::SeqCst) { ok("new") } else { UNAVAILABLE.to_owned() });
        }
    });
    let serin = Serin::new(&halves_with(
        &old.url(),
        &new.url(),
        "    fallback: { to: old, budget: 5% }\n",
        "",
        "retryBudget: { minPerSecond: 0 }\n",
    ));
    let load = Load::start(serin.web(), 4);
    let open = || serin.metric("serin_fallback_open", &["version=\"new\""]);
    eventually("the circuits to open", || (open() >= 1.0).then_some(()));
    well.store(true, Ordering::SeqCst);
    eventually("the circuits to close", || (open() == 0.0).then_some(()));
    let before = serin.metric("serin_picks_total", &["version=\"new\""]);
    load.await_more(400);
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{tally:?}");
    assert!(serin.metric("serin_picks_total", &["version=\"new\""]) > before + 100.0, "new is picked as before");
    assert!(tally.of("new") > 100);
}

#[test]
fn a_reload_that_changes_weights_keeps_what_is_known_of_a_failing_version() {
    let old = Upstream::named("old");
    let (new, _port) = dead();
    let top = "files: { weights: weights.yaml }\nretryBudget: { minPerSecond: 0 }\n";
    let text = halves_with(&old.url(), &new, "    fallback: { to: old, budget: 0% }\n", "", top);
    let serin = Serin::with_files(&text, &[("weights.yaml", "shop: { old: 1, new: 9 }\n")]);
    let load = Load::start(serin.web(), 4);
    let open = || serin.metric("serin_fallback_open", &["version=\"new\""]);
    eventually("the circuits to open", || (open() >= 1.0).then_some(()));
    load.await_more(200);
    let opened = open();
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 1, new: 3 }\n").expect("an edit");
    serin.await_share("shop", "new", 0.75);
    load.await_more(200);
    assert_eq!(open(), opened);
    std::fs::write(serin.path("serin.yaml"), text.replace("budget: 0%", "budget: 100%")).expect("an edit");
    eventually("other rules to begin anew", || (open() == 0.0).then_some(()));
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{tally:?}");
}

fn post(serin: &Serin, headers: &str, body: &str) -> client::Response {
    let length = body.len();
    client::request(
        serin.web(),
        &format!("POST /pay HTTP/1.1\r\nhost: shop.example\r\n{headers}content-length: {length}\r\n\r\n{body}"),
    )
}

#[test]
fn what_must_not_happen_twice_is_not_sent_twice() {
    let (old, new) = (Upstream::named("old"), Upstream::answering(UNAVAILABLE));
    let serin = Serin::new(&all_to_new(&old.url(), &new.url(), ""));
    let got = post(&serin, "", "1 franc");
    assert_eq!((got.status, got.text().as_str(), got.header("x-serin-version")), (503, "busy", Some("new")));
    assert_eq!((new.requests().len(), old.requests().len()), (1, 0));
    await_metric(&serin, "serin_requests_total", &["version=\"new\"", "code=\"5xx\""], 1.0);
    assert_eq!(fell_back(&serin, "notReplayable"), 1.0);
    assert_eq!(serin.metric("serin_picks_total", &["why=\"fallback\""]), 0.0);
}

#[test]
fn what_may_have_been_taken_up_is_not_sent_twice_either() {
    let timeout = "    timeouts: { backendRequest: 100ms }\n";
    for (new, kind) in [(silent(), "timeout"), (closing(), "reset")] {
        let old = Upstream::named("old");
        let serin = Serin::new(&(all_to_new(&old.url(), &new.url(), "") + timeout));
        let got = post(&serin, "", "1 franc");
        assert_eq!((got.header("x-serin-error"), got.header("x-serin-version")), (Some(kind), Some("new")));
        let empty = client::request(serin.web(), "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(empty.header("x-serin-error"), Some(kind));
        assert_eq!((new.requests().len(), old.requests().len()), (2, 0));
    }
}

#[test]
fn what_was_never_sent_may_go_elsewhere_whatever_it_is() {
    let old = Upstream::named("old");
    let (new, _port) = dead();
    let serin = Serin::new(&all_to_new(&old.url(), &new, ", on: [connect]"));
    let body = "x".repeat(1 << 20);
    let got = post(&serin, "", &body);
    assert_eq!((got.status, got.text().as_str(), got.header("x-serin-version")), (200, "old", Some("old")));
    let seen = old.last();
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(seen.headers("x-serin-version"), ["old"]);
    assert_eq!(old.requests().len(), 1);
}

#[test]
fn a_key_makes_a_request_safe_to_send_again_with_its_body() {
    // One that reads all of it, and one that answers before.
    let hasty = Upstream::scripted(|connection| {
        connection.head();
        connection.send(UNAVAILABLE.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
        connection.await_close();
    });
    for new in [Upstream::answering(UNAVAILABLE), hasty, closing()] {
        let old = Upstream::named("old");
        let serin = Serin::new(&all_to_new(&old.url(), &new.url(), ""));
        let body: String = (0..10 * 1024).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
        let got = post(&serin, "idempotency-key: \"k1\"\r\n", &body);
        assert_eq!((got.status, got.text().as_str()), (200, "old"));
        let seen = old.last();
        assert!(seen.body == body.as_bytes(), "{} bytes", seen.body.len());
        assert_eq!(seen.headers("idempotency-key"), ["\"k1\""]);
        assert_eq!(old.requests().len(), 1);
        // The same in chunks, with a trailer.
        let chunked = format!(
            "PUT /pay HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n2800\r\n{body}\r\n0\r\nx-sum: 1\r\n\r\n"
        );
        assert_eq!(client::request(serin.web(), &chunked).text(), "old");
        eventually("the second request", || (old.requests().len() == 2).then_some(()));
        assert!(old.last().body == body.as_bytes());
    }
}

#[test]
fn a_body_that_was_not_kept_is_not_sent_again() {
    let (old, new) = (Upstream::named("old"), Upstream::answering(UNAVAILABLE));
    let serin = Serin::new(&all_to_new(&old.url(), &new.url(), ", bodyBytes: 16KiB"));
    let key = "idempotency-key: k\r\n";
    assert_eq!(post(&serin, key, &"x".repeat(16 * 1024)).status, 200);
    assert_eq!(post(&serin, key, &"x".repeat(16 * 1024 + 1)).status, 503);
    assert_eq!(post(&serin, key, &"x".repeat(1 << 20)).status, 503);
    assert_eq!((new.requests().len(), old.requests().len()), (3, 1));
    await_metric(&serin, "serin_fallbacks_total", &["result=\"notReplayable\""], 2.0);
}

#[test]
fn only_what_is_listed_is_answered_for() {
    let old = Upstream::named("old");
    let busy = Upstream::answering(UNAVAILABLE);
    let missing = Upstream::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let status = |new: &str, on: &str| {
        let serin = Serin::new(&all_to_new(&old.url(), new, on));
        let got = client::get(serin.web(), "/", "");
        (got.status, got.header("x-serin-version").unwrap_or_default().to_owned())
    };
    let new = |status| (status, "new".to_owned());
    assert_eq!(status(&busy.url(), ", on: [connect, timeout, reset]"), new(503));
    assert_eq!(status(&missing.url(), ""), new(404));
    assert_eq!(status(&closing().url(), ", on: [connect, timeout, 5xx]"), new(502));
    assert_eq!(status(&closing().url(), ", on: [reset]"), (200, "old".to_owned()));
    let (dead, _port) = dead();
    assert_eq!(status(&dead, ", on: [reset, timeout, 5xx]"), new(502));
}

#[test]
fn if_both_versions_fail_the_client_learns_of_the_last() {
    let (old, new) = (Upstream::answering(UNAVAILABLE.replace("busy", "late")), closing());
    let serin = Serin::new(&all_to_new(&old.url(), &new.url(), ""));
    let got = client::get(serin.web(), "/", "");
    assert_eq!((got.status, got.text().as_str(), got.header("x-serin-version")), (503, "late", Some("old")));
    await_metric(&serin, "serin_fallbacks_total", &["version=\"new\"", "result=\"failure\""], 1.0);
    await_metric(&serin, "serin_requests_total", &["version=\"new\"", "code=\"reset\""], 1.0);
    await_metric(&serin, "serin_requests_total", &["version=\"old\"", "code=\"5xx\""], 1.0);
}

#[test]
fn whoever_chose_by_hand_sees_what_that_version_says() {
    let (old, new) = (Upstream::named("old"), Upstream::answering(UNAVAILABLE));
    let service = "    override: { from: [ 127.0.0.0/8 ] }\n    fallback: { to: old }\n";
    let serin = Serin::new(&halves(&old.url(), &new.url(), service, ""));
    assert_eq!(client::get(serin.web(), "/", "x-serin-version: new\r\n").status, 503);
}

#[test]
fn retries_come_before_the_fallback() {
    let (old, new) = (Upstream::named("old"), Upstream::answering(UNAVAILABLE));
    let text = all_to_new(&old.url(), &new.url(), "") + "    retry: { codes: [503], attempts: 2, backoff: 1ms }\n";
    let log = "accessLog: { path: FOLDER/access.log }\n";
    let serin = Serin::new(&text.replace("services:", &format!("{log}services:")));
    assert_eq!(client::get(serin.web(), "/", "").text(), "old");
    assert_eq!((new.requests().len(), old.requests().len()), (3, 1));
    await_metric(&serin, "serin_requests_total", &["version=\"new\"", "code=\"5xx\""], 3.0);
    await_metric(&serin, "serin_retries_total", &["version=\"new\"", "result=\"failure\""], 2.0);
    let line = eventually("a line", || {
        let text = std::fs::read_to_string(serin.path("access.log")).ok()?;
        serde_json::from_str::<serde_json::Value>(text.lines().next()?).ok()
    });
    let said = ["status", "version", "why", "outcome", "tries"].map(|member| line[member].to_string());
    assert_eq!(said, ["200", "\"old\"", "\"fallback\"", "\"2xx\"", "4"]);
}

#[test]
fn filters_are_applied_to_every_try() {
    let (old, new) = (Upstream::named("old"), Upstream::answering(UNAVAILABLE));
    let filters = "    filters:\n      - type: RequestHeaderModifier\n        requestHeaderModifier: { add: [ { name: x-n, \
                   value: \"1\" } ] }\n      - type: URLRewrite\n        urlRewrite: { path: { type: ReplacePrefixMatch, \
                   replacePrefixMatch: /v2 } }\n";
    let serin = Serin::new(&(all_to_new(&old.url(), &new.url(), "") + filters));
    // Of the oldest kind, too: it names no host, and each upstream gets its own.
    let got = client::request(serin.web(), "GET /a?b HTTP/1.0\r\n\r\n");
    assert_eq!((got.status, got.text().as_str()), (200, "old"));
    for (upstream, name) in [(&new, "new"), (&old, "old")] {
        let seen = upstream.last();
        assert_eq!(seen.request_line(), "GET /v2/a?b HTTP/1.1");
        assert_eq!((seen.headers("x-n"), seen.headers("x-serin-version")), (vec!["1".into()], vec![name.into()]));
        assert_eq!(seen.headers("host"), [upstream.address.to_string()]);
    }
}

/// An h2 upstream that answers calls with this status: in trailers alone, or after a message.
fn grpc(status: &'static str, trailers_only: bool) -> H2Upstream {
    H2Upstream::answering(move |_| async move {
        let response = http::Response::builder().header("content-type", "application/grpc");
        let trailers_of = |status: &str| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().expect("a value"));
            trailers
        };
        if trailers_only {
            response.header("grpc-status", status).body(h2::empty()).expect("a response")
        } else {
            response.body(h2::body("\0\0\0\0\x01a", Some(trailers_of(status)))).expect("a response")
        }
    })
}

/// The version and status of a call, wherever the status stood.
fn call(serin: &Serin) -> (String, String) {
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let request = http::Request::post("http://shop.example/shop.Cart/Add")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(h2::body("\0\0\0\0\x05hello", None))
            .expect("a request");
        let answer = h2::whole(client.send_request(request).await.expect("an answer")).await.expect("whole");
        let status = answer.headers.get("grpc-status").or(answer.trailers.as_ref().and_then(|t| t.get("grpc-status")));
        let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
        (text(&answer.headers["x-serin-version"]), status.map(text).unwrap_or_default())
    })
}

#[test]
fn a_grpc_call_that_was_not_taken_up_is_answered_by_the_other_version() {
    let old = grpc("0", false);
    let named = |version: &str, status: &str| (version.to_owned(), status.to_owned());
    for (new, on, expected) in [
        (grpc("14", true), ", on: [grpcUnavailable]", named("old", "0")),
        // It was taken up, or failed in another way, or is not listed.
        (grpc("14", false), ", on: [grpcUnavailable]", named("new", "14")),
        (grpc("13", true), ", on: [grpcUnavailable]", named("new", "13")),
        (grpc("14", true), ", on: [connect, timeout, 5xx]", named("new", "14")),
    ] {
        let serin = Serin::new(&all_to_new(&old.url(), &new.url(), on));
        assert_eq!(call(&serin), expected);
        if expected.0 == "old" {
            await_metric(&serin, "serin_requests_total", &["version=\"new\"", "code=\"UNAVAILABLE\""], 1.0);
            await_metric(&serin, "serin_requests_total", &["version=\"old\"", "code=\"OK\""], 1.0);
        }
    }
}

#[test]
fn versions_that_speak_different_protocols_answer_for_each_other() {
    let old = H2Upstream::answering(|_| async { http::Response::new(h2::body("old", None)) });
    let new = Upstream::answering(UNAVAILABLE);
    let text = all_to_new(&old.url(), &new.url(), "")
        .replace(&format!("\"{}\"", old.url()), &format!("\"{}\", protocol: h2", old.url()));
    let serin = Serin::new(&text);
    let mut connection = Raw::connect(serin.web());
    for _ in 0..3 {
        assert_eq!(ask(&mut connection, "").text(), "old");
    }
    let head = old.heads().pop().expect("a request");
    assert_eq!(
        (head.version, head.uri.authority().map(ToString::to_string)),
        (http::Version::HTTP_2, Some("shop.example".into()))
    );
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        let put = http::Request::put("http://shop.example/").body(h2::body("hello", None)).expect("a request");
        let answer = h2::whole(client.send_request(put).await.expect("an answer")).await.expect("whole");
        assert_eq!(answer.body, "old");
    });
    assert_eq!(new.last().body, b"hello");
}

#[test]
fn a_version_that_nothing_falls_back_from_is_left_alone() {
    // `old` itself fails: there is nowhere else to go.
    let (old, new) = (in_turn(vec![String::new()]), Upstream::named("new"));
    let service = "    weights: { old: 1, new: 0 }\n    fallback: { to: old }\n";
    let text = shop_at(&[("old", format!("\"{}\"", old.url())), ("new", format!("\"{}\"", new.url()))], service, "");
    let serin = Serin::new(&text);
    assert_eq!(client::get(serin.web(), "/", "").status, 502);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 0));
    await_metric(&serin, "serin_requests_total", &[], 1.0);
    assert_eq!(serin.metric("serin_fallbacks_total", &[]), 0.0);
}
