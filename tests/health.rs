//! Addresses that fail, and what becomes of requests meanwhile.

#![allow(clippy::float_cmp, reason = "counts are whole numbers, and shares are compared with what was set")]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;

use support::client::{Raw, get};
use support::h2::{AnyBody, Frames, H2Upstream};
use support::load::{Load, WITH_WEIGHTS, ask, await_metric, said, shop_at, version_of};
use support::serin::{Serin, command};
use support::sidecar;
use support::upstream::{Connection, Upstream};
use support::{eventually, frames};

fn listed(urls: &[String]) -> String {
    let quoted: Vec<_> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    format!("[ {} ]", quoted.join(", "))
}

fn quoted(url: &str) -> String {
    format!("\"{url}\"")
}

/// An upstream whose status can be changed.
fn switched(body: &str) -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let (answer, body) = (Arc::clone(&status), body.to_owned());
    let upstream = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let status = answer.load(Ordering::SeqCst);
            connection.send(format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        }
    });
    (upstream, status)
}

/// Whether an address is in use, by the metrics.
fn is_up(serin: &Serin, address: &str) -> bool {
    serin.metric("serin_upstream_address_up", &[&format!("address=\"{address}\"")]) == 1.0
}

fn await_up(serin: &Serin, address: &str, up: bool) {
    eventually(&format!("{address} up: {up}"), || (is_up(serin, address) == up).then_some(()));
}

fn effective(serin: &Serin, version: &str) -> f64 {
    serin.metric("serin_effective_weight", &[&format!("version=\"{version}\"")])
}

fn ejections(serin: &Serin, reason: &str) -> f64 {
    serin.metric("serin_upstream_ejections_total", &[&format!("reason=\"{reason}\"")])
}

/// Checks that come quickly and are believed at once.
fn checked(rest: &str) -> String {
    format!("    health: {{ {rest}, interval: 20ms, timeout: 5s, healthyAfter: 1, unhealthyAfter: 2 }}\n")
}

#[test]
fn a_dead_address_fails_only_what_is_on_its_way_there() {
    let alive = [Upstream::named("only"), Upstream::named("only")];
    let dying = Arc::new(AtomicBool::new(false));
    let after = Arc::new(AtomicUsize::new(0));
    let (dead, count) = (Arc::clone(&dying), Arc::clone(&after));
    // Resets what is asked of it from some moment on.
    let third = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            if dead.load(Ordering::SeqCst) {
                count.fetch_add(1, Ordering::SeqCst);
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nonly");
        }
    });
    let urls = [alive[0].url(), third.url(), alive[1].url()];
    let serin = Serin::new(&shop_at(&[("only", listed(&urls))], "    outliers: { baseEjection: 1h }\n", ""));
    let clients = 8;
    let load = Load::start(serin.web(), clients);
    load.await_more(200);
    dying.store(true, Ordering::SeqCst);
    await_up(&serin, &third.address.to_string(), false);
    load.await_more(200);
    let seen = after.load(Ordering::SeqCst);
    load.await_more(2000);
    assert_eq!(after.load(Ordering::SeqCst), seen, "nothing goes there after the ejection");
    let tally = load.stop();
    // Five in a row, and what the other clients had on the way.
    assert!(tally.failed() <= 5 + clients, "{tally:?}");
    assert_eq!((tally.broken, ejections(&serin, "consecutiveFailures")), (0, 1.0));
    said(&serin, "ejected for 3600s");
}

#[test]
fn an_address_that_cannot_do_its_work_is_ejected_and_comes_back_after_its_time() {
    let good = Upstream::named("only");
    let (sick, status) = switched("only");
    status.store(503, Ordering::SeqCst);
    let service = "    outliers: { consecutiveFailures: 3, baseEjection: 300ms }\n";
    let serin = Serin::new(&shop_at(&[("only", listed(&[good.url(), sick.url()]))], service, ""));
    let load = Load::start(serin.web(), 2);
    await_up(&serin, &sick.address.to_string(), false);
    status.store(200, Ordering::SeqCst);
    await_up(&serin, &sick.address.to_string(), true);
    let before = sick.requests().len();
    eventually("it to be asked again", || (sick.requests().len() > before + 20).then_some(()));
    let tally = load.stop();
    assert!((3..=5).contains(&tally.failed()), "three in a row, and one on the way for each client: {tally:?}");
    assert_eq!(ejections(&serin, "consecutiveFailures"), 1.0);
    said(&serin, "its ejection is over");
}

#[test]
fn a_lone_address_and_more_than_the_cap_are_never_ejected() {
    let (lone, status) = switched("lone");
    status.store(503, Ordering::SeqCst);
    let sick: Vec<_> = (0..4).map(|_| switched("many")).collect();
    for (_, status) in &sick {
        status.store(503, Ordering::SeqCst);
    }
    let urls: Vec<_> = sick.iter().map(|(upstream, _)| upstream.url()).collect();
    let service = "    weights: { lone: 1, many: 1 }\n    outliers: { consecutiveFailures: 2 }\n";
    let versions = [("lone", quoted(&lone.url())), ("many", listed(&urls))];
    let serin = Serin::new(&shop_at(&versions, service, ""));
    let load = Load::start(serin.web(), 4);
    load.await_more(1000);
    eventually("half to be ejected", || (ejections(&serin, "consecutiveFailures") == 2.0).then_some(()));
    load.await_more(1000);
    load.stop();
    assert_eq!(ejections(&serin, "consecutiveFailures"), 2.0);
    assert!(is_up(&serin, &lone.address.to_string()));
    assert_eq!(serin.metric("serin_upstream_address_up", &["version=\"many\""]), 2.0);
    assert_eq!((effective(&serin, "lone"), effective(&serin, "many")), (0.5, 0.5), "both still have somebody to ask");
}

#[test]
fn an_address_that_is_too_slow_or_breaks_off_is_ejected() {
    for (name, answer) in [("never", ""), ("half", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")] {
        let good = Upstream::named("only");
        let bad = Upstream::scripted(move |connection| {
            if connection.request().is_some() {
                connection.send(answer);
                if answer.is_empty() {
                    connection.await_close();
                }
            }
        });
        let service = "    outliers: { consecutiveFailures: 2 }\n";
        let config = shop_at(&[("only", listed(&[good.url(), bad.url()]))], service, "");
        let serin = Serin::new(&format!("{config}    timeouts: {{ request: 100ms }}\n"));
        eventually(name, || {
            let mut connection = Raw::connect(serin.web());
            connection.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
            let _ = connection.response(false);
            (!is_up(&serin, &bad.address.to_string())).then_some(())
        });
    }
}

#[test]
fn an_address_that_fails_more_than_the_others_is_ejected_for_its_rate() {
    let good = Upstream::named("only");
    // One in three, never two in a row; and no gateway's failure.
    let bad = Upstream::scripted(|connection| {
        let mut number = 0;
        while connection.request().is_some() {
            number += 1;
            let status = if number % 3 == 0 { "500 Oh" } else { "200 OK" };
            connection.send(format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\nonly"));
        }
    });
    let service = "    outliers: { interval: 50ms, successRate: { minRequests: 20 } }\n";
    let serin = Serin::new(&shop_at(&[("only", listed(&[good.url(), bad.url()]))], service, ""));
    let load = Load::start(serin.web(), 2);
    await_up(&serin, &bad.address.to_string(), false);
    load.stop();
    assert_eq!((ejections(&serin, "successRate"), ejections(&serin, "consecutiveFailures")), (1.0, 0.0));
}

#[test]
fn a_version_whose_checks_fail_gives_its_keys_to_the_others_and_gets_them_back() {
    let (old, _) = switched("old");
    let (older, _) = switched("older");
    let new = [switched("new"), switched("new")];
    let urls: Vec<_> = new.iter().map(|(upstream, _)| upstream.url()).collect();
    let versions = [("older", quoted(&older.url())), ("old", quoted(&old.url())), ("new", listed(&urls))];
    let service = "    weights: { older: 1, old: 1, new: 2 }\n    override: { from: [ 127.0.0.0/8 ] }\n";
    let serin = Serin::new(&shop_at(&versions, &format!("{service}{}", checked("type: http, path: /healthz")), ""));
    let mut connection = Raw::connect(serin.web());
    let users: Vec<_> = (0..200).map(|user| format!("user-{user}")).collect();
    let mut picks = || -> BTreeMap<String, String> {
        users.iter().map(|user| (user.clone(), version_of(&mut connection, user))).collect()
    };
    let before = picks();
    assert!(before.values().filter(|version| *version == "new").count() > 50);

    new[0].1.store(500, Ordering::SeqCst);
    await_up(&serin, &new[0].0.address.to_string(), false);
    assert_eq!(picks(), before, "one address is enough");
    new[1].1.store(404, Ordering::SeqCst);
    eventually("new to be down", || (effective(&serin, "new") == 0.0).then_some(()));
    assert_eq!((effective(&serin, "old"), effective(&serin, "older")), (0.5, 0.5));
    assert_eq!(serin.metric("serin_weight", &["version=\"new\""]), 0.5, "what is intended is told apart");
    let during = picks();
    for (user, version) in &during {
        assert!(*version != "new" && (before[user] == "new" || before[user] == *version), "{user}: {version}");
    }
    assert!(during.iter().any(|(user, version)| before[user] == "new" && version == "old"));
    // By hand it can still be had.
    let chosen = get(serin.web(), "/", "x-serin-version: new\r\n");
    assert!([500, 404].contains(&chosen.status), "{chosen:?}");

    let text = String::from_utf8(command(&["status", "--admin", &serin.admin_url()]).stdout).expect("text");
    assert!(text.contains("unhealthy: status 404") && text.contains("now          0.0%"), "{text}");
    let state: serde_json::Value = serde_json::from_slice(&serin.ask("GET", "/api/v1/services/shop", "").body).unwrap();
    let view = &state["versions"][2];
    assert_eq!((&view["share"], &view["effectiveShare"]), (&serde_json::json!(0.5), &serde_json::json!(0.0)));
    assert_eq!(view["addresses"][1]["state"], "unhealthy");
    assert_eq!(view["addresses"][1]["reason"], "status 404");
    said(&serin, "its share goes to the other versions");

    new[1].1.store(200, Ordering::SeqCst);
    eventually("new to be up", || (effective(&serin, "new") == 0.5).then_some(()));
    assert_eq!(picks(), before);
    assert_eq!(ejections(&serin, "healthCheck"), 2.0);
    let asked = new[0].0.requests();
    let check = asked.iter().find(|request| request.request_line().contains("healthz")).expect("a check");
    assert_eq!(check.header("host"), Some(new[0].0.address.to_string()));
}

#[test]
fn if_every_version_is_down_all_are_used_as_if_none_were() {
    let (old, old_status) = switched("old");
    let (new, new_status) = switched("new");
    let versions = [("old", quoted(&old.url())), ("new", quoted(&new.url()))];
    let service = format!("    weights: {{ old: 1, new: 1 }}\n{}", checked("type: http, expect: [ 200, 204 ]"));
    let serin = Serin::new(&shop_at(&versions, &service, ""));
    for (upstream, status) in [(&old, &old_status), (&new, &new_status)] {
        status.store(503, Ordering::SeqCst);
        await_up(&serin, &upstream.address.to_string(), false);
    }
    eventually("the shares as intended", || (effective(&serin, "new") == 0.5).then_some(()));
    let mut connection = Raw::connect(serin.web());
    let mut versions: Vec<_> =
        (0..40).map(|user| ask(&mut connection, &format!("x-user-id: {user}\r\n")).text()).collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions, ["new", "old"]);
    old_status.store(204, Ordering::SeqCst);
    eventually("old to take it all", || (effective(&serin, "old") == 1.0).then_some(()));
}

#[test]
fn a_version_whose_name_does_not_resolve_gives_its_share_away() {
    let good = Upstream::named("good");
    let versions = [("good", quoted(&good.url())), ("bad", "\"http://no-such-host.invalid:80\"".to_owned())];
    let serin = Serin::new(&shop_at(&versions, "    weights: { good: 1, bad: 1 }\n", ""));
    eventually("good to have it all", || (effective(&serin, "good") == 1.0).then_some(()));
    for user in 0..20 {
        assert_eq!(get(serin.web(), "/", &format!("x-user-id: {user}\r\n")).text(), "good");
    }
}

#[test]
fn a_version_that_is_down_is_nobodys_fallback_unless_all_are() {
    let (old, old_status) = switched("old");
    let (new, new_status) = switched("new");
    let versions = [("old", quoted(&old.url())), ("new", quoted(&new.url()))];
    let checks = checked("type: http, path: /healthz");
    let service = format!("    weights: {{ old: 0, new: 1 }}\n    fallback: {{ to: old }}\n{checks}");
    let serin = Serin::new(&shop_at(&versions, &service, ""));
    old_status.store(503, Ordering::SeqCst);
    await_up(&serin, &old.address.to_string(), false);
    let asked = |upstream: &Upstream| {
        upstream.requests().iter().filter(|request| request.request_line().contains("/item")).count()
    };
    let mut connection = Raw::connect(serin.web());
    assert_eq!(ask(&mut connection, "").text(), "new");
    new_status.store(503, Ordering::SeqCst);
    await_up(&serin, &new.address.to_string(), false);
    assert_eq!(asked(&old), 0);
    assert_eq!(ask(&mut connection, "").status, 503);
    assert_eq!((asked(&new), asked(&old)), (2, 1), "with nobody up, everybody is asked");
}

/// The gRPC health service of an upstream: its answer to a check of the service `shop.v1`.
fn grpc_health(status: Arc<AtomicU16>) -> H2Upstream {
    H2Upstream::answering(move |request| {
        let status = Arc::clone(&status);
        async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            let asked = request.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(asked[..], *b"\0\0\0\0\x09\x0a\x07shop.v1");
            let answer = [0, 0, 0, 0, 2, 8, status.load(Ordering::SeqCst) as u8];
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            let frames = [Frame::data(Bytes::copy_from_slice(&answer)), Frame::trailers(trailers)];
            let body = AnyBody::new(Frames(frames.into()));
            Response::builder().header("content-type", "application/grpc").body(body).expect("a response")
        }
    })
}

#[test]
fn grpc_checks_want_serving() {
    let status = Arc::new(AtomicU16::new(1));
    let upstream = grpc_health(Arc::clone(&status));
    let service = checked("type: grpc, service: shop.v1");
    let serin = Serin::new(&shop_at(&[("only", quoted(&upstream.url()))], &service, ""));
    let passed = || serin.metric("serin_health_checks_total", &["result=\"passed\""]);
    eventually("checks that pass", || (passed() >= 3.0).then_some(()));
    assert!(is_up(&serin, &upstream.address.to_string()));
    status.store(2, Ordering::SeqCst);
    await_up(&serin, &upstream.address.to_string(), false);
    said(&serin, "NOT_SERVING");
    status.store(1, Ordering::SeqCst);
    await_up(&serin, &upstream.address.to_string(), true);
}

#[test]
fn tcp_checks_want_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let url = format!("http://localhost:{}", address.port());
    let serin = Serin::new(&shop_at(&[("only", quoted(&url))], &checked("type: tcp"), ""));
    let passed = || serin.metric("serin_health_checks_total", &["result=\"passed\""]);
    eventually("checks that pass", || (passed() >= 3.0).then_some(()));
    assert!(is_up(&serin, &address.to_string()), "the address the name stands for");
    drop(listener);
    await_up(&serin, &address.to_string(), false);
    said(&serin, "refused");
}

#[test]
fn addresses_on_unix_sockets_are_checked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let healthy = Arc::new(AtomicBool::new(true));
    let answer = Arc::clone(&healthy);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let length = std::io::Read::read(&mut stream, &mut head).unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let well = head.contains("host: checks.example\r\n") && answer.load(Ordering::SeqCst);
            let status = if well { "200 OK" } else { "503 No" };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes());
        }
    });
    let url = format!("unix:{}", path.display());
    let serin = Serin::new(&shop_at(&[("only", quoted(&url))], &checked("type: http, host: checks.example"), ""));
    let passed = || serin.metric("serin_health_checks_total", &["result=\"passed\""]);
    eventually("checks that pass", || (passed() >= 3.0).then_some(()));
    healthy.store(false, Ordering::SeqCst);
    await_up(&serin, &url, false);
}

#[test]
fn an_answer_that_is_endless_or_none_fails_a_check_and_holds_nothing_up() {
    let endless = Upstream::scripted(|connection| {
        let _ = connection.request();
        connection.send("HTTP/1.1 200 OK\r\nx: ");
        while connection.stream.write_all(&[b'x'; 16 * 1024]).is_ok() {}
    });
    let silent = Upstream::scripted(|connection| assert!(connection.await_close()));
    let urls = [endless.url(), silent.url(), Upstream::named("only").url()];
    let service = "    health: { type: http, interval: 20ms, timeout: 50ms, unhealthyAfter: 1 }\n";
    let serin = Serin::new(&shop_at(&[("only", listed(&urls))], service, ""));
    await_up(&serin, &endless.address.to_string(), false);
    await_up(&serin, &silent.address.to_string(), false);
    said(&serin, "no answer in time");
}

#[test]
fn what_is_ejected_stays_so_over_a_reload_and_rules_change_with_it() {
    let good = Upstream::named("only");
    let (sick, status) = switched("only");
    status.store(503, Ordering::SeqCst);
    let config = |outliers: &str, top: &str| {
        let top = format!("{WITH_WEIGHTS}{top}");
        shop_at(&[("only", listed(&[good.url(), sick.url()]))], &format!("    outliers: {{ {outliers} }}\n"), &top)
    };
    let first = config("baseEjection: 1h", "");
    let serin = Serin::with_files(&first, &[("weights.yaml", "shop: { only: 1 }\n")]);
    let load = Load::start(serin.web(), 2);
    await_up(&serin, &sick.address.to_string(), false);
    status.store(200, Ordering::SeqCst);
    let asked = sick.requests().len();
    let applied = |file: &str| {
        let labels = [format!("file=\"{file}\""), "result=\"applied\"".to_owned()];
        serin.metric("serin_config_reload_total", &[&labels[0], &labels[1]])
    };
    // Other weights; then other settings of connections, for which every pool is made anew.
    std::fs::write(serin.path("weights.yaml"), "shop: { only: 2 }\n").expect("an edit");
    eventually("the weights in force", || (applied("weights.yaml") == 1.0).then_some(()));
    load.await_more(100);
    std::fs::write(serin.path("serin.yaml"), config("baseEjection: 1h", "upstreams: { idleTimeout: 9s }\n")).unwrap();
    eventually("the settings in force", || (applied("serin.yaml") == 1.0).then_some(()));
    load.await_more(100);
    assert!(!is_up(&serin, &sick.address.to_string()));
    assert_eq!(sick.requests().len(), asked);
    // None may be ejected any more: whoever is comes back.
    std::fs::write(serin.path("serin.yaml"), config("maxEjectedPercent: 0", "")).expect("an edit");
    await_up(&serin, &sick.address.to_string(), true);
    load.await_more(100);
    assert!(sick.requests().len() > asked);
    load.stop();
    await_metric(&serin, "serin_upstream_ejections_total", &["reason=\"consecutiveFailures\""], 1.0);
}

/// Answers everything that comes over HTTP/2 with 200, pings only where it `answers`, until the other side closes.
fn speak_h2(connection: &mut Connection, answers: bool, pings: &AtomicUsize) {
    let frame = |kind: u8, flags: u8, stream: &[u8], payload: &[u8]| {
        [&[0, 0, payload.len() as u8, kind, flags], stream, payload].concat()
    };
    connection.exactly(24);
    connection.send(frame(frames::SETTINGS, 0, &[0; 4], &[]));
    while let Some(head) = connection.exactly(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some(payload) = connection.exactly(length) else { return };
        match (head[3], head[4] & frames::ACK) {
            (frames::SETTINGS, 0) => connection.send(frame(frames::SETTINGS, frames::ACK, &[0; 4], &[])),
            (frames::HEADERS, _) => {
                let flags = frames::END_HEADERS | frames::END_STREAM;
                connection.send(frame(frames::HEADERS, flags, &head[5..], &[0x88]));
            }
            (frames::PING, 0) => {
                pings.fetch_add(1, Ordering::SeqCst);
                if answers {
                    connection.send(frame(frames::PING, frames::ACK, &[0; 4], &payload));
                }
            }
            _ => {}
        }
    }
}

#[test]
fn an_http2_connection_that_gives_no_sign_of_life_is_closed_before_it_is_needed() {
    for answers in [true, false] {
        let pings = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&pings);
        let upstream = Upstream::scripted(move |connection| speak_h2(connection, answers, &count));
        let version = format!("upstream: \"{}\", protocol: h2", upstream.url());
        let top = "upstreams: { pingInterval: 20ms, connectTimeout: 200ms }";
        let serin = Serin::new(&sidecar::config(&version, top, ""));
        assert_eq!(get(serin.web(), "/", "").status, 200);
        if answers {
            eventually("pings that are answered", || (pings.load(Ordering::SeqCst) >= 5).then_some(()));
            assert_eq!(upstream.open(), 1);
        } else {
            eventually("the connection to be closed", || (upstream.open() == 0).then_some(()));
        }
        assert_eq!(get(serin.web(), "/", "").status, 200);
        assert_eq!(upstream.accepted(), if answers { 1 } else { 2 });
    }
}
