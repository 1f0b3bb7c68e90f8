//! What the admin address answers, and whether its figures are right.

#![allow(clippy::float_cmp, reason = "counts are whole numbers, and shares are compared with what was set")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};

use serde_json::Value;
use support::client::{Raw, Response, get, request};
use support::load::{Load, WITH_WEIGHTS, ask, await_metric, shop, shop_at};
use support::serin::{Serin, command};
use support::upstream::Upstream;
use support::{PATIENCE, eventually};

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

fn start(upstreams: &[Upstream; 2]) -> Serin {
    let service = "    override: { header: x-serin-version, from: [ 127.0.0.0/8 ] }\n";
    let text = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], service, WITH_WEIGHTS);
    Serin::with_files(&text, &[("weights.yaml", "shop: { old: 3, new: 1 }\n")])
}

fn json(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// A problem document (RFC 9457) with this status; its detail.
fn problem(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let document = json(answer);
    assert_eq!(document["status"], status);
    assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()));
    document["detail"].as_str().expect("a detail").to_owned()
}

fn put(serin: &Serin, body: &str) -> Response {
    serin.ask("PUT", "/api/v1/services/shop/weights", body)
}

#[test]
fn probes_answer() {
    let upstreams = two();
    let serin = start(&upstreams);
    for (path, body) in [("/livez", "ok\n"), ("/readyz", "ok\n")] {
        let answer = serin.ask("GET", path, "");
        assert_eq!((answer.status, answer.text().as_str()), (200, body));
    }
    assert_eq!(serin.ask("GET", "/", "").status, 200);
}

#[test]
fn services_are_listed_and_found_by_name() {
    let upstreams = two();
    let serin = start(&upstreams);
    let all = json(&serin.ask("GET", "/api/v1/services", ""));
    assert_eq!(all["generation"], 1);
    assert_eq!(all["services"].as_array().map(Vec::len), Some(1));
    let one = json(&serin.ask("GET", "/api/v1/services/shop", ""));
    assert_eq!(one["name"], "shop");
    let versions = one["versions"].as_array().expect("versions");
    let figures: Vec<_> =
        versions.iter().map(|v| (v["name"].as_str(), v["weight"].as_f64(), v["share"].as_f64())).collect();
    assert_eq!(figures, [(Some("old"), Some(3.0), Some(0.75)), (Some("new"), Some(1.0), Some(0.25))]);
    assert!(versions[0]["latency"]["p99.9"].is_null(), "no request, no quantile");
    let detail = problem(&serin.ask("GET", "/api/v1/services/ship", ""), 404);
    assert!(detail.contains("ship"), "{detail}");
}

#[test]
fn weights_are_set() {
    let upstreams = two();
    let serin = start(&upstreams);
    let answer = put(&serin, r#"{"weights":{"old":90,"new":10},"reason":"a test"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(json(&answer)["versions"][1]["share"], 0.1, "the answer shows what is in force");
    assert_eq!(json(&serin.ask("GET", "/api/v1/services", ""))["generation"], 2);
    assert_eq!(serin.metric("serin_weight", &["service=\"shop\"", "version=\"new\""]), 0.1);
    assert_eq!(put(&serin, r#"{"weights":{"new":1}}"#).status, 200, "a version left out gets nothing");
    serin.await_share("shop", "new", 1.0);
}

#[test]
fn weights_that_make_no_sense_are_refused_with_a_reason() {
    let upstreams = two();
    let serin = start(&upstreams);
    let cases = [
        (r#"{"weights":{"old":1,"newest":1}}"#, 422, "newest"),
        (r#"{"weights":{"old":-1,"new":1}}"#, 422, "-1"),
        (r#"{"weights":{"old":0.12345,"new":1}}"#, 422, "decimals"),
        (r#"{"weights":{"old":0,"new":0}}"#, 422, "sum to 0"),
        (r#"{"weights":{}}"#, 422, "sum to 0"),
        (r#"{"weights":{"old":1e300}}"#, 422, "at most"),
        (r#"{"weights":{"old":"1"}}"#, 400, "expected"),
        (r#"{"weights":{"old":1},"raeson":"x"}"#, 400, "raeson"),
        (r#"{"reason":"x"}"#, 400, "weights"),
        (r#"{"weights":{"old":1}"#, 400, "EOF"),
        ("", 400, "EOF"),
        ("[]", 400, ""),
    ];
    for (body, status, word) in cases {
        let detail = problem(&put(&serin, body), status);
        assert!(detail.contains(word), "{body}: {detail}");
    }
    let long = format!(r#"{{"weights":{{"old":1}},"reason":"{}"}}"#, "x".repeat(1001));
    problem(&put(&serin, &long), 400);
    let longer = format!(r#"{{"weights":{{"old":1}},"reason":"{}"}}"#, "x".repeat(100_000));
    problem(&put(&serin, &longer), 413);
    problem(&serin.ask("PUT", "/api/v1/services/ship/weights", r#"{"weights":{"old":1}}"#), 404);
    assert_eq!(json(&serin.ask("GET", "/api/v1/services", ""))["generation"], 1, "nothing changed");
    serin.await_share("shop", "new", 0.25);
}

#[test]
fn what_is_not_offered_is_a_problem_document_too() {
    let upstreams = two();
    let serin = start(&upstreams);
    let allowed = serin.ask("DELETE", "/api/v1/services/shop/weights", "");
    problem(&allowed, 405);
    assert!(allowed.header("allow").is_some_and(|allow| allow.contains("PUT")), "{allowed:?}");
    problem(&serin.ask("POST", "/livez", ""), 405);
    problem(&serin.ask("GET", "/api/v1/nothing", ""), 404);
    problem(&serin.ask("GET", "/api/v1/services/%ff", ""), 400);
}

#[test]
fn the_description_names_everything_that_is_offered() {
    let upstreams = two();
    let serin = start(&upstreams);
    let document = json(&serin.ask("GET", "/api/v1/openapi.json", ""));
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let paths = document["paths"].as_object().expect("paths");
    for (path, method) in [
        ("/livez", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
        ("/api/v1/services", "get"),
        ("/api/v1/services/{service}", "get"),
        ("/api/v1/services/{service}/weights", "put"),
    ] {
        let operation = &paths[path][method];
        assert!(operation["operationId"].is_string(), "{path}");
        // What is described is there.
        let real = path.replace("{service}", "shop");
        let status = serin.ask(&method.to_uppercase(), &real, r#"{"weights":{"old":1}}"#).status;
        assert!(operation["responses"].get(status.to_string()).is_some(), "{path} answered {status}");
    }
    let schema =
        &paths["/api/v1/services/{service}/weights"]["put"]["requestBody"]["content"]["application/json"]["schema"];
    assert!(schema["properties"]["weights"].is_object(), "{schema}");
}

/// The samples of `/metrics`: by name and labels.
fn samples(serin: &Serin) -> BTreeMap<String, BTreeMap<String, f64>> {
    let answer = serin.ask("GET", "/metrics", "");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut all = BTreeMap::<_, BTreeMap<_, _>>::new();
    for line in answer.text().lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let value = value.parse().expect("a number");
        let twice = all.entry(name.to_owned()).or_default().insert(labels.trim_end_matches('}').to_owned(), value);
        assert!(twice.is_none(), "twice: {series}");
    }
    all
}

fn label_names(labels: &str) -> Vec<&str> {
    labels.split("\",").filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_metric_of_the_contract_is_there_with_its_labels() {
    let upstreams = two();
    let serin = start(&upstreams);
    let mut connection = Raw::connect(serin.web());
    ask(&mut connection, "x-user-id: u\r\n");
    await_metric(&serin, "serin_requests_total", &[], 1.0);
    serin.signal("HUP");
    await_metric(&serin, "serin_config_reload_total", &["file=\"weights.yaml\"", "result=\"unchanged\""], 1.0);
    let samples = samples(&serin);
    for (name, labels) in [
        ("serin_request_duration_seconds_bucket", &["service", "version", "code", "le"][..]),
        ("serin_request_duration_seconds_sum", &["service", "version", "code"]),
        ("serin_request_duration_seconds_count", &["service", "version", "code"]),
        ("serin_response_first_byte_seconds_count", &["service", "version"]),
        ("serin_requests_total", &["service", "version", "code"]),
        ("serin_requests_in_flight", &["service", "version"]),
        ("serin_weight", &["service", "version"]),
        ("serin_picks_total", &["service", "version", "why"]),
        ("serin_upstream_connections", &["service", "version", "state"]),
        ("serin_upstream_failures_total", &["service", "version", "kind"]),
        ("serin_config_reload_total", &["file", "result"]),
        ("serin_config_hash_info", &["file", "sha256"]),
        ("serin_config_effective_timestamp_seconds", &[]),
        ("serin_build_info", &["version", "revision"]),
    ] {
        let series = samples.get(name).unwrap_or_else(|| panic!("no {name}"));
        for given in series.keys() {
            assert_eq!(label_names(given), labels, "{name}{{{given}}}");
        }
    }
}

#[test]
fn the_figures_add_up_to_what_clients_and_upstreams_saw() {
    let (let_go, told) = mpsc::channel::<()>();
    let told = Arc::new(Mutex::new(told));
    // Answers 200, 404 or 503 as it is asked, or not before it is let go.
    let upstream = || {
        let told = Arc::clone(&told);
        Upstream::scripted(move |connection| {
            while let Some(request) = connection.request() {
                let status = match request.header("x-status").as_deref() {
                    Some("404") => "404 Not Found",
                    Some("503") => "503 Service Unavailable",
                    Some("hold") => {
                        let _ = told.lock().expect("no one panics with it").recv_timeout(PATIENCE);
                        "200 OK"
                    }
                    _ => "200 OK",
                };
                connection.send(format!("HTTP/1.1 {status}\r\ncontent-length: 1\r\n\r\nx"));
            }
        })
    };
    let upstreams = [upstream(), upstream()];
    let serin = start(&upstreams);
    let mut connection = Raw::connect(serin.web());
    let mut sent = BTreeMap::<String, usize>::new();
    for number in 0..300 {
        let status = ["200", "200", "404", "503"][number % 4];
        let user = if number % 3 == 0 { String::new() } else { format!("x-user-id: u{number}\r\n") };
        let version = if number % 10 == 9 { "x-serin-version: new\r\n" } else { "" };
        assert_eq!(ask(&mut connection, &format!("x-status: {status}\r\n{user}{version}")).status.to_string(), status);
        *sent.entry(format!("{}xx", &status[..1])).or_default() += 1;
    }
    // Three clients leave before they are answered.
    let held = || {
        let seen = upstreams.iter().flat_map(Upstream::requests);
        seen.filter(|request| request.header("x-status").as_deref() == Some("hold")).count()
    };
    for number in 1..=3 {
        let mut client = Raw::connect(serin.web());
        client.send("GET / HTTP/1.1\r\nhost: shop.example\r\nx-status: hold\r\n\r\n");
        eventually("the request to arrive", || (held() == number).then_some(()));
    }
    await_metric(&serin, "serin_requests_total", &["code=\"clientGone\""], 3.0);
    await_metric(&serin, "serin_requests_total", &[], 303.0);
    for (code, count) in &sent {
        await_metric(&serin, "serin_requests_total", &[&format!("code=\"{code}\"")], *count as f64);
    }
    let samples = samples(&serin);
    let sum = |name: &str, label: &str| -> f64 {
        samples[name].iter().filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
    };
    for version in ["version=\"old\"", "version=\"new\""] {
        let requests = sum("serin_requests_total", version);
        assert_eq!(sum("serin_request_duration_seconds_count", version), requests, "{version}");
        assert_eq!(sum("serin_picks_total", version), requests, "{version}");
        assert_eq!(sum("serin_requests_in_flight", version), 0.0, "{version}");
        let upstream = &upstreams[usize::from(version.contains("new"))];
        assert_eq!(requests, upstream.requests().len() as f64, "{version}");
    }
    // The last bucket of a classic histogram holds all.
    assert_eq!(sum("serin_request_duration_seconds_bucket", "le=\"+Inf\""), 303.0);
    assert_eq!(sum("serin_response_first_byte_seconds_count", ""), 300.0);
    assert_eq!(sum("serin_picks_total", "why=\"override\""), 30.0);
    assert_eq!(sum("serin_picks_total", ""), 303.0);
    let seen = json(&serin.ask("GET", "/api/v1/services/shop", ""));
    let of_api = |key: &str| {
        seen["versions"].as_array().expect("versions").iter().map(|v| v[key].as_u64().expect("a count")).sum::<u64>()
    };
    assert_eq!((of_api("requests"), of_api("failures"), of_api("inFlight")), (303, 75, 0));
    drop(let_go);
}

#[test]
fn requests_in_flight_are_counted_while_they_are() {
    let (let_go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::scripted(move |connection| {
        if connection.request().is_some() {
            let _ = told.lock().expect("no one panics with it").recv_timeout(PATIENCE);
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx");
            connection.await_close();
        }
    });
    let serin = Serin::new(&shop(&[("only", &upstream)], "", ""));
    let mut client = Raw::connect(serin.web());
    client.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    upstream.last();
    let connections = |state: &str| serin.metric("serin_upstream_connections", &[&format!("state=\"{state}\"")]);
    assert_eq!(serin.metric("serin_requests_in_flight", &[]), 1.0);
    assert_eq!((connections("active"), connections("idle")), (1.0, 0.0));
    let_go.send(()).expect("the upstream waits");
    assert_eq!(client.response(false).expect("an answer").status, 200);
    eventually("nothing in flight", || (serin.metric("serin_requests_in_flight", &[]) == 0.0).then_some(()));
    assert_eq!((connections("active"), connections("idle")), (0.0, 1.0));
}

#[test]
fn connections_after_a_load_are_all_idle_and_all_there() {
    let upstreams = two();
    let serin = start(&upstreams);
    let load = Load::start(serin.web(), 8);
    load.await_more(400);
    let tally = load.stop();
    await_metric(&serin, "serin_requests_total", &["code=\"2xx\""], tally.total() as f64);
    for (version, upstream) in ["old", "new"].iter().zip(&upstreams) {
        let label = format!("version=\"{version}\"");
        assert_eq!(serin.metric("serin_requests_total", &[&label]), tally.of(version) as f64);
        assert_eq!(serin.metric("serin_upstream_connections", &[&label, "state=\"active\""]), 0.0);
        assert_eq!(serin.metric("serin_upstream_connections", &[&label, "state=\"idle\""]), upstream.open() as f64);
    }
}

/// The fields of a protobuf message by number: varints and byte strings.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>, u64)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (length, number) = match key & 7 {
            0 => (0, varint(&mut bytes)),
            1 => (8, 0),
            2 => (usize::try_from(varint(&mut bytes)).expect("a length"), 0),
            5 => (4, 0),
            kind => panic!("wire type {kind}"),
        };
        all.push((key >> 3, bytes[..length].to_vec(), number));
        bytes = &bytes[length..];
    }
    all
}

#[test]
fn a_scraper_that_asks_for_native_histograms_gets_them() {
    let upstreams = two();
    let serin = start(&upstreams);
    let mut connection = Raw::connect(serin.web());
    for user in 0..40 {
        ask(&mut connection, &format!("x-user-id: {user}\r\n"));
    }
    await_metric(&serin, "serin_requests_total", &[], 40.0);
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;q=0.3";
    let answer = request(
        serin.admin(),
        &format!("GET /metrics HTTP/1.1\r\nhost: admin\r\naccept: {accept}\r\nconnection: close\r\n\r\n"),
    );
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/vnd.google.protobuf")));
    // Length-delimited: each family is like a field of the bytes with its key left out.
    let mut rest = &answer.body[..];
    let mut native = 0;
    let mut families = Vec::new();
    while !rest.is_empty() {
        let mut length = 0;
        let mut read = 0;
        for shift in (0..).step_by(7) {
            length |= usize::from(rest[read] & 0x7f) << shift;
            read += 1;
            if rest[read - 1] & 0x80 == 0 {
                break;
            }
        }
        let family = fields(&rest[read..read + length]);
        rest = &rest[read + length..];
        let name = String::from_utf8(family.iter().find(|(number, ..)| *number == 1).expect("a name").1.clone())
            .expect("text");
        if name == "serin_request_duration_seconds" {
            for (_, metric, _) in family.iter().filter(|(number, ..)| *number == 4) {
                // Metric.histogram = 7; its sample_count = 1, schema = 5 (zigzag).
                let metric = fields(metric);
                let histogram = fields(&metric.iter().find(|(number, ..)| *number == 7).expect("a histogram").1);
                let number = |wanted: u64| histogram.iter().find(|(number, ..)| *number == wanted).expect("a field").2;
                assert_eq!(number(5), 10, "schema 5");
                native += number(1);
            }
        }
        families.push(name);
    }
    assert_eq!(native, 40);
    assert!(families.iter().any(|name| name == "serin_picks_total"), "{families:?}");
}

#[test]
fn latencies_are_those_the_upstream_took() {
    // Each request says how long it takes.
    let upstream = Upstream::scripted(|connection| {
        while let Some(request) = connection.request() {
            let wait = request.header("x-wait").and_then(|wait| wait.parse().ok()).unwrap_or(0);
            // The very thing that is measured.
            std::thread::sleep(std::time::Duration::from_millis(wait));
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx");
        }
    });
    let serin = Serin::new(&shop(&[("only", &upstream)], "", ""));
    let mut connection = Raw::connect(serin.web());
    let mut longest = 0.0_f64;
    for number in 1..=10 {
        let began = std::time::Instant::now();
        ask(&mut connection, "x-wait: 20\r\n");
        // The clock is read before it is counted.
        await_metric(&serin, "serin_requests_total", &[], f64::from(number));
        longest = longest.max(began.elapsed().as_secs_f64());
    }
    let seen = json(&serin.ask("GET", "/api/v1/services/shop", ""));
    for key in ["p50", "p90", "p99", "p99.9"] {
        let value = seen["versions"][0]["latencyTotal"][key].as_f64().expect("a quantile");
        // Not below what the upstream took and not above what could be seen of it, but for the width of a bucket.
        assert!((0.020 / 1.022..=longest * 1.022).contains(&value), "{key} = {value}, longest {longest}");
    }
    let sum = serin.metric("serin_request_duration_seconds_sum", &[]);
    assert!((0.2..=longest * 10.0).contains(&sum), "{sum}");
}

#[test]
fn the_admin_address_may_be_a_unix_socket() {
    let upstream = Upstream::named("only");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("admin.sock");
    let text = shop_at(&[("only", format!("\"{}\"", upstream.url()))], "", "")
        .replace("address: 127.0.0.1:0, open", &format!("address: \"unix:{}\", open", path.display()));
    let serin = Serin::new(&text);
    assert_eq!(get(serin.web(), "/", "").status, 200);
    let admin = format!("unix:{}", path.display());
    let status = command(&["--admin", &admin, "status"]);
    assert!(status.status.success(), "{status:?}");
    let table = String::from_utf8(status.stdout).expect("text");
    assert!(table.contains("shop") && table.contains("only"), "{table}");
    let set = command(&["set", "shop", "only=2", "--reason", "a test", "--admin", &admin]);
    assert!(set.status.success(), "{set:?}");
    // A socket that a killed serin left behind is in nobody's way.
    drop(serin);
    assert!(path.exists());
    let again = Serin::new(&text);
    assert_eq!(get(again.web(), "/", "").status, 200);
    assert!(command(&["--admin", &admin, "status"]).status.success());
}
