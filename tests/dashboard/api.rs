//! What the page asks for, asked without a browser.

use serde_json::Value;

use crate::support::client::{Raw, Response, request};
use crate::support::eventually;
use crate::support::load::{Load, ask};
use crate::support::serin::Serin;
use crate::{access, await_history, shop_with_weights};

fn get(serin: &Serin, path: &str) -> Value {
    let answer = serin.ask("GET", path, "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn refused(serin: &Serin, path: &str, status: u16) -> String {
    let answer = serin.ask("GET", path, "");
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
    problem["detail"].as_str().expect("a detail").to_owned()
}

/// A stream of what pages are shown, with its first event.
fn watch(serin: &Serin, query: &str, headers: &str) -> (Raw, Response) {
    let mut stream = Raw::connect(serin.admin());
    stream.send(format!("GET /api/v1/live{query} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n"));
    let head = stream.head().expect("a head");
    (stream, head)
}

/// The next state that is told.
fn next(stream: &mut Raw) -> Option<Value> {
    let event = stream.until(b"\n\n")?;
    let text = String::from_utf8_lossy(&event).into_owned();
    assert!(text.contains("event: state\n"), "{text}");
    let data = text.split("data: ").nth(1).expect("data").lines().next().expect("a line").to_owned();
    Some(serde_json::from_str(&data).expect("JSON"))
}

#[test]
fn the_past_is_told_in_columns_and_from_where_one_wants() {
    let (serin, _upstreams) = shop_with_weights();
    let mut connection = Raw::connect(serin.web());
    for user in 0..40 {
        ask(&mut connection, &format!("x-user-id: user-{user}\r\n"));
    }
    await_history(&serin);
    let all = eventually("the requests in a row", || {
        let rows = get(&serin, "/api/v1/services/shop/history?step=1s");
        let sum = |of: &Value| of.as_array().into_iter().flatten().filter_map(Value::as_u64).sum::<u64>();
        let requests: u64 = rows["versions"].as_array()?.iter().map(|version| sum(&version["requests"])).sum();
        // Those of the first second may have been before the first row began.
        (rows["at"].as_array()?.len() >= 2 && requests <= 40).then_some(rows)
    });
    let length = all["at"].as_array().expect("times").len();
    for version in all["versions"].as_array().expect("versions") {
        for column in ["requests", "failures", "p50", "p90", "p99", "p99.9", "share", "inFlight"] {
            assert_eq!(version[column].as_array().map(Vec::len), Some(length), "{column}: {version:#}");
        }
    }
    assert_eq!(all["versions"][1]["share"][0], 0.05);
    let last = all["at"][length - 1].as_u64().expect("a time");
    let later = get(&serin, &format!("/api/v1/services/shop/history?from={last}"));
    assert!(later["at"].as_array().expect("times").iter().all(|at| at.as_u64() > Some(last)));
    assert_eq!(get(&serin, "/api/v1/services/shop/history?step=1m")["at"], serde_json::json!([]));
    assert!(refused(&serin, "/api/v1/services/shop/history?step=2s", 400).contains("step"));
    assert_eq!(refused(&serin, "/api/v1/services/mart/history", 404), "There is no service `mart`.");
}

#[test]
fn the_distribution_has_every_request_of_its_window() {
    let (serin, _upstreams) = shop_with_weights();
    // The first step begins when it is first looked at, if not before.
    get(&serin, "/api/v1/services/shop/distribution");
    let mut connection = Raw::connect(serin.web());
    for user in 0..50 {
        ask(&mut connection, &format!("x-user-id: user-{user}\r\n"));
    }
    let counted = |window: &str| {
        let told = get(&serin, &format!("/api/v1/services/shop/distribution?window={window}"));
        let versions = told["versions"].as_array().expect("versions").clone();
        versions.iter().fold(0, |sum, version| {
            let counts: u64 = version["counts"].as_array().expect("counts").iter().filter_map(Value::as_u64).sum();
            assert_eq!(version["count"].as_u64(), Some(counts + version["zero"].as_u64().expect("a number")));
            sum + version["count"].as_u64().expect("a number")
        })
    };
    eventually("all of them", || (counted("total") == 50).then_some(()));
    assert_eq!(counted("step"), 50);
    assert!(counted("recent") <= 50);
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 50, new: 50 }\n").expect("a file");
    serin.await_share("shop", "new", 0.5);
    assert_eq!((counted("step"), counted("total")), (0, 50), "another step");
    refused(&serin, "/api/v1/services/shop/distribution?window=week", 400);
}

#[test]
fn a_preview_says_who_would_move_and_changes_nothing() {
    let (serin, _upstreams) = shop_with_weights();
    let preview = |weights: &str| format!("/api/v1/services/shop/weights/preview?weights={weights}");
    let told = get(&serin, &preview("%7B%22old%22%3A75%2C%22new%22%3A25%7D"));
    let moves = told["moves"].as_array().expect("moves");
    assert_eq!((moves.len(), &moves[0]["from"], &moves[0]["to"]), (1, &"old".into(), &"new".into()), "{told:#}");
    // 20 % of 10,000 by five standard deviations.
    assert!((1800..=2200).contains(&moves[0]["keys"].as_u64().expect("a number")), "{told:#}");
    assert_eq!((&told["versions"][1]["before"], &told["versions"][1]["after"]), (&0.05.into(), &0.25.into()));
    assert_eq!(get(&serin, "/api/v1/services")["generation"], 1);
    for (weights, status, words) in [
        ("%7B%22old%22%3A0%7D", 422, "sum to 0"),
        ("%7B%22odl%22%3A1%7D", 422, "no version `odl`"),
        ("%7B%22old%22%3A-1%7D", 422, "-1"),
        ("old", 400, "is not what is expected"),
    ] {
        let detail = refused(&serin, &preview(weights), status);
        assert!(detail.contains(words), "{weights}: {detail}");
    }
}

#[test]
fn a_page_is_told_at_once_of_a_change_and_of_figures_as_they_come() {
    let (serin, _upstreams) = shop_with_weights();
    let load = Load::start(serin.web(), 1);
    let (mut stream, head) = watch(&serin, "?service=shop", "");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    let first = next(&mut stream).expect("a state");
    assert_eq!((&first["phase"], &first["service"]["versions"][1]["weight"]), (&"ready".into(), &5.0.into()));
    let body = "{\"weights\":{\"old\":1,\"new\":1},\"reason\":\"even\"}";
    assert_eq!(serin.ask("PUT", "/api/v1/services/shop/weights", body).status, 200);
    let changed =
        eventually("the change", || next(&mut stream).filter(|state| state["service"]["versions"][1]["weight"] == 1.0));
    assert!(changed["generation"].as_u64() > first["generation"].as_u64());
    assert!(changed["entries"].as_u64() > first["entries"].as_u64());
    eventually("a row", || {
        next(&mut stream).filter(|state| state["rows"]["at"].as_array().is_some_and(|at| !at.is_empty()))
    });
    load.stop();
    let (mut all, _) = watch(&serin, "", "");
    assert_eq!(next(&mut all).expect("a state")["services"][0]["name"], "shop");
    assert_eq!(watch(&serin, "?service=mart", "").1.status, 404);
}

#[test]
fn no_more_pages_than_there_is_room_for_are_shown_live() {
    let (serin, _upstreams) = shop_with_weights();
    let mut open: Vec<_> = (0..64).map(|_| watch(&serin, "", "")).collect();
    assert!(open.iter().all(|(_, head)| head.status == 200));
    assert_eq!(watch(&serin, "", "").1.status, 429);
    open.pop();
    eventually("the room of the one that left", || (watch(&serin, "", "").1.status == 200).then_some(()));
}

#[test]
fn whoever_asks_is_told_who_they_are_and_a_stream_ends_with_its_token() {
    let serin = access::guarded();
    let asked = |headers: &str| {
        request(
            serin.admin(),
            &format!("GET /api/v1/me HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n"),
        )
    };
    let me = |headers: &str| -> Value { serde_json::from_slice(&asked(headers).body).expect("JSON") };
    let nobody = me("");
    assert_eq!(
        (&nobody["role"], &nobody["may"]["read"], &nobody["tokens"]),
        (&Value::Null, &false.into(), &true.into())
    );
    assert!(nobody["wayIn"].as_str().is_some_and(|way| way.contains("Authorization: Bearer")), "{nobody}");
    let vera = me("authorization: Bearer looking\r\n");
    assert_eq!((&vera["name"], &vera["role"]), (&"vera".into(), &"viewer".into()));
    assert_eq!((&vera["may"]["read"], &vera["may"]["operate"]), (&true.into(), &false.into()));
    assert_eq!(asked("authorization: Bearer guessed\r\n").status, 401);
    assert_eq!(watch(&serin, "", "").1.status, 401);
    let (mut stream, head) = watch(&serin, "", "authorization: Bearer looking\r\n");
    assert_eq!(head.status, 200);
    assert!(next(&mut stream).is_some());
    std::fs::write(serin.path("tokens.yaml"), "tokens: []\n").expect("a file");
    while stream.until(b"\r\n").is_some_and(|line| line != b"0\r\n") {}
    assert_eq!(watch(&serin, "", "authorization: Bearer looking\r\n").1.status, 401);
}
