//! Where answers differ: what the API and `serin diff` say, and what they never show.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::support::client::{Raw, request};
use crate::support::eventually;
use crate::support::load::{ask, await_metric, shop};
use crate::support::serin::{Serin, command};
use crate::support::upstream::Upstream;

/// An upstream whose answer to the how-manieth request `body` makes, as JSON with these headers.
fn telling(headers: &'static str, body: impl Fn(u64) -> String + Send + Sync + 'static) -> Upstream {
    let number = Arc::new(AtomicU64::new(0));
    Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let body = body(number.fetch_add(1, Ordering::Relaxed));
            let length = body.len();
            connection.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
            ));
        }
    })
}

fn start(old: &Upstream, new: &Upstream, diff: &str) -> Serin {
    let service = format!("    shadow: {{ to: new }}\n    diff: {{ {diff} }}\n");
    let text = shop(&[("old", old), ("new", new)], &service, "");
    Serin::new(&text.replace("  - service: shop\n", "  - { name: items, service: shop }\n"))
}

fn ask_times(serin: &Serin, times: usize) {
    let mut connection = Raw::connect(serin.web());
    for _ in 0..times {
        assert_eq!(ask(&mut connection, "").status, 200);
    }
}

fn diffs(serin: &Serin) -> Value {
    let answer = serin.ask("GET", "/api/v1/services/shop/diffs", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// Once so many pairs were compared.
fn compared(serin: &Serin, pairs: u64) -> Value {
    let found = || Some(diffs(serin)).filter(|found| found["routes"][0]["compared"].as_u64() >= Some(pairs));
    eventually("the comparisons", found)
}

fn place<'a>(found: &'a Value, name: &str) -> &'a Value {
    let places = found["routes"][0]["places"].as_array().expect("places");
    places.iter().find(|place| place["place"] == name).unwrap_or_else(|| panic!("{name} in {found}"))
}

#[test]
fn what_the_queue_has_no_room_for_is_dropped_and_counted_and_clients_see_nothing_of_it() {
    // Pairs of some size, so that comparing them takes longer than answering.
    let body =
        |number: u64| format!(r#"{{"number":{number},"items":[{}0]}}"#, r#"{"name":"a","price":1},"#.repeat(20_000));
    let (old, new) = (telling("", body), telling("", body));
    let service = "    shadow: { to: new, maxBody: 1MiB }\n    diff: { maxBody: 1MiB, noise: 0% }\n";
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], service, ""));
    let of = |name: &str, label: &str| serin.metric(name, &[label]);
    let dropped = || of("serin_diff_dropped_total", "reason=\"queueFull\"");
    eventually("the queue to be full", || {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ask_times(&serin, 10));
            }
        });
        (dropped() > 0.0).then_some(())
    });
    // Each answered copy was compared or counted as dropped.
    eventually("the rest to be compared", || {
        let compared = of("serin_diff_total", "service=\"shop\"");
        let others = of("serin_diff_dropped_total", "reason=\"noAnswer\"");
        let answered = of("serin_shadow_total", "result=\"answered\"");
        let settled = of("serin_shadow_in_flight", "version=\"new\"") == 0.0;
        (settled && compared > 0.0 && compared + dropped() + others == answered).then_some(())
    });
}

#[test]
fn what_is_wrong_is_told_from_what_is_noise_and_secrets_are_told_to_nobody() {
    let body = |total: &str, at: u64| {
        format!(
            r#"{{"at":{at},"total":{total},"user":{{"email":"ada@example.com"}},"requestId":{at},"tags":["a","b"]}}"#
        )
    };
    let old = telling("set-cookie: id=ada\r\n", move |number| body("1.5", number));
    let new = telling("set-cookie: id=bob\r\n", move |number| {
        body("1.50000000001", 1_000_000 + number).replace("ada@", "bob@").replace(r#"["a","b"]"#, r#"["b","a"]"#)
    });
    let rules = "ignore: [ $.requestId ], unordered: [ $.tags ], tolerance: 1e-9, redact: [ $.user ], noise: 50%, \
                 headers: [ content-type, set-cookie ]";
    let serin = start(&old, &new, rules);
    assert_eq!(diffs(&serin)["verdict"], "same", "nothing was compared yet");
    ask_times(&serin, 200);
    let found = compared(&serin, 200);
    assert_eq!((found["verdict"].as_str(), found["to"].as_str()), (Some("different"), Some("new")));
    let route = &found["routes"][0];
    assert_eq!((route["route"].as_str(), route["differed"].as_u64()), (Some("items"), Some(200)));
    assert!(route["noiseCompared"].as_u64().is_some_and(|pairs| (50..150).contains(&pairs)), "{route}");
    assert_eq!(place(&found, "$.at")["verdict"], "noise");
    for (name, change) in [("$.user.*", "value"), ("header set-cookie", "value")] {
        let place = place(&found, name);
        assert_eq!(
            (place["verdict"].as_str(), place["changes"][change].as_u64()),
            (Some("different"), Some(200)),
            "{name}"
        );
        assert!(place["samples"].as_array().is_some_and(|samples| samples.len() == 5), "{name}");
    }
    let places: Vec<_> =
        route["places"].as_array().unwrap().iter().map(|place| place["place"].as_str().unwrap()).collect();
    assert_eq!(places.len(), 3, "{places:?}");
    let said = found.to_string();
    for secret in ["example.com", "id=ada", "id=bob"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    assert_eq!(serin.metric("serin_diff_total", &["route=\"items\"", "service=\"shop\""]), 200.0);
    assert_eq!(serin.metric("serin_diff_places", &["verdict=\"different\""]), 2.0);

    let out = command(&["diff", "shop", "--admin", &serin.admin_url()]);
    let text = String::from_utf8(out.stdout).expect("text");
    assert!(text.starts_with("shop: new beside what clients get: different\n"), "{text}");
    assert!(text.contains("different  $.user.*  100.0%, noise 0.0%, value 200"), "{text}");
    assert!(!text.contains("$.at"), "noise is not shown unless it is asked for: {text}");
    let json = command(&["diff", "shop", "--json", "--admin", &serin.admin_url()]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).expect("JSON")["verdict"], "different");
}

#[test]
fn a_version_that_answers_alike_is_never_called_different() {
    let body = |number: u64| format!(r#"{{"at":{number},"n":[1,2,3]}}"#);
    let (old, new) = (telling("", body), telling("", move |number| body(number + 7)));
    let serin = start(&old, &new, "noise: 20%");
    ask_times(&serin, 400);
    let found = compared(&serin, 400);
    assert_eq!(found["verdict"], "noise", "{found}");
    assert_eq!(serin.metric("serin_diff_total", &["verdict=\"different\""]), 0.0);
}

#[test]
fn what_was_found_can_be_forgotten_which_is_recorded() {
    let (old, new) = (telling("", |_| "1".to_owned()), telling("", |_| "2".to_owned()));
    let serin = start(&old, &new, "noise: 0%");
    ask_times(&serin, 3);
    assert_eq!(compared(&serin, 3)["verdict"], "different", "without noise every difference counts");
    let long = format!("/api/v1/services/shop/diffs?reason={}", "x".repeat(1001));
    for (path, words) in
        [(&*long, "longer than 1000"), ("/api/v1/services/shop/diffs?why=no", "no parameter `why` here")]
    {
        let answer = serin.ask("DELETE", path, "");
        assert!(answer.status == 400 && answer.text().contains(words), "{answer:?}");
    }
    assert_eq!(compared(&serin, 3)["verdict"], "different", "nothing is forgotten");
    let out = command(&["diff", "shop", "--reset", "--admin", &serin.admin_url()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(diffs(&serin)["routes"], serde_json::json!([]));
    assert_eq!(serin.metric("serin_diff_places", &["verdict=\"different\""]), 0.0);
    let ledger = serin.ask("GET", "/api/v1/ledger", "").text();
    assert!(ledger.contains("diffReset"), "{ledger}");
}

#[test]
fn bodies_that_were_compressed_are_compared_as_they_were_and_long_ones_are_left_out() {
    use std::io::Write;
    let gzip = |text: &str, level| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(text.as_bytes()).expect("memory");
        let body = encoder.finish().expect("memory");
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    };
    let text = format!(r#"{{"a":"{}","b":1}}"#, "xyz".repeat(300));
    let old = Upstream::answering(gzip(&text, 1));
    let new = Upstream::answering(gzip(&text.replace("\"b\":1", "\"b\":2"), 9));
    let serin = start(&old, &new, "noise: 0%");
    ask_times(&serin, 3);
    let found = compared(&serin, 3);
    assert_eq!(found["routes"][0]["places"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(place(&found, "$.b")["changes"]["value"], 3);

    let serin = start(&old, &new, "noise: 0%, maxBody: 500");
    ask_times(&serin, 3);
    let found = compared(&serin, 3);
    assert_eq!((found["verdict"].as_str(), found["routes"][0]["bodiesLeftOut"].as_u64()), (Some("same"), Some(3)));
}

#[test]
fn an_answer_that_does_not_come_from_the_picked_version_to_its_end_is_not_compared() {
    let old = Upstream::scripted(|connection| {
        let _ = connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort");
    });
    let new = telling("", |_| "1".to_owned());
    let serin = start(&old, &new, "noise: 0%");
    let mut client = Raw::connect(serin.web());
    client.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    let _ = client.rest();
    await_metric(&serin, "serin_diff_dropped_total", &["reason=\"noAnswer\""], 1.0);
    assert_eq!(diffs(&serin)["dropped"], 1);
}

#[test]
fn services_without_comparisons_have_none_to_show() {
    let (old, new) = (Upstream::named("old"), Upstream::named("new"));
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], "    shadow: { to: new }\n", ""));
    assert_eq!(request(serin.web(), "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n").status, 200);
    let answer = serin.ask("GET", "/api/v1/services/shop/diffs", "");
    assert_eq!((answer.status, answer.text().contains("no `shadow` with a `diff`")), (404, true));
    let out = command(&["diff", "shop", "--admin", &serin.admin_url()]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(serin.ask("GET", "/api/v1/services/none/diffs", "").status, 404);
}

#[test]
fn rules_for_comparing_what_nobody_compares_are_warned_of() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("serin.yaml");
    let (old, new) = (Upstream::named("old"), Upstream::named("new"));
    std::fs::write(&path, shop(&[("old", &old), ("new", &new)], "    diff: {}\n", "")).expect("serin.yaml");
    let out = command(&["check", "--config", path.to_str().expect("a plain path")]);
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{said}");
    assert!(said.contains("services.shop.diff: nothing is compared: the service has no `shadow`"), "{said}");
}
