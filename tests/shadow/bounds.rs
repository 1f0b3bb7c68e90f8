//! Whatever a dark version does, clients see nothing of it, and nothing grows beyond its bounds.

use std::sync::{Arc, Mutex, mpsc};

use super::{ask_old, start};
use crate::support::client::{Raw, request};
use crate::support::load::{ask, await_metric, shop};
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::support::{OK, eventually};

/// An upstream that reads requests and answers none until what is returned is dropped.
fn hanging() -> (Upstream, mpsc::Sender<()>) {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let upstream = Upstream::scripted(move |connection| {
        let _ = connection.request();
        let _ = held.lock().expect("nobody panics with it").recv();
    });
    (upstream, release)
}

/// An upstream that does `what` with each connection once it has read a request.
fn rude(what: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static) -> Upstream {
    Upstream::scripted(move |connection| {
        let _ = connection.request();
        what(&mut connection.stream);
    })
}

fn results(serin: &Serin) -> impl Fn(&str) -> f64 {
    |result| serin.metric("serin_shadow_total", &["version=\"new\"", &format!("result=\"{result}\"")])
}

#[test]
fn a_version_that_hangs_holds_no_more_than_its_bound_and_no_client() {
    let (new, release) = hanging();
    let old = Upstream::answering(OK);
    let serin = start(&old, &new, "maxInFlight: 5, timeout: 1h");
    // Not one of these waits for a copy, of which none ends.
    ask_old(&serin, 200);
    assert_eq!(serin.metric("serin_shadow_in_flight", &["version=\"new\""]), 5.0);
    assert_eq!(results(&serin)("maxInFlight"), 195.0);
    eventually("the copies", || (new.requests().len() == 5).then_some(()));
    drop(release);
}

#[test]
fn a_copy_that_takes_too_long_is_given_up_and_too_many_of_them_suspend_the_rest() {
    let (new, release) = hanging();
    let old = Upstream::answering(OK);
    let serin = start(&old, &new, "timeout: 1ms");
    let of = results(&serin);
    eventually("copies to be suspended", || {
        ask_old(&serin, 20);
        (of("timeout") >= 16.0 && of("suspended") > 0.0).then_some(())
    });
    let timeouts = of("timeout");
    assert!(serin.metric("serin_shadow_duration_seconds_count", &["code=\"timeout\""]) >= timeouts - 1.0);
    assert_eq!(serin.metric("serin_upstream_failures_total", &["version=\"new\""]), 0.0, "those are clients'");
    drop(release);
}

#[test]
fn ten_megabytes_for_an_answer_are_not_read() {
    let old = Upstream::answering(OK);
    let body = vec![b'x'; 10_000_000];
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    let streamed = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    for head in [announced, streamed] {
        let body = body.clone();
        let new = rude(move |stream| {
            let _ = std::io::Write::write_all(stream, &head);
            let _ = std::io::Write::write_all(stream, &body);
        });
        let serin = start(&old, &new, "maxBody: 4KiB");
        ask_old(&serin, 50);
        let of = results(&serin);
        eventually("the copies to end", || {
            (of("answerTooLarge") + of("suspended") + of("failed") >= 50.0).then_some(())
        });
        assert!(of("answerTooLarge") >= 16.0, "{}", of("answerTooLarge"));
        assert_eq!(serin.metric("serin_shadow_duration_seconds_count", &[]), 0.0, "how long they take nobody knows");
    }
}

#[test]
fn a_version_that_resets_is_dead_or_speaks_no_http_fails_no_client_and_ejects_nobody() {
    let old = Upstream::answering(OK);
    let dead = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("its address"))
    };
    let resets = || {
        rude(|stream| {
            let _ = socket2::SockRef::from(&*stream).set_linger(Some(std::time::Duration::ZERO));
        })
        .url()
    };
    let saying = |what: &'static [u8]| {
        rude(move |stream| {
            let _ = std::io::Write::write_all(stream, what);
        })
        .url()
    };
    let rubbish = || saying(b"HELLO\r\n\r\n");
    let cut = || saying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort");
    // Two addresses each: the last one of a version is never ejected.
    let cases: [(&str, [String; 2]); 4] = [
        ("dead", [dead(), dead()]),
        ("resets", [resets(), resets()]),
        ("rubbish", [rubbish(), rubbish()]),
        ("cut", [cut(), cut()]),
    ];
    for (what, new) in cases {
        let text = shop(&[("old", &old)], "    shadow: { to: new }\n", "")
            .replace("    sticky:", &format!("      new: {{ upstreams: {new:?} }}\n    sticky:"));
        let serin = Serin::new(&text);
        let of = results(&serin);
        ask_old(&serin, 60);
        eventually(what, || (of("failed") + of("suspended") >= 60.0).then_some(()));
        assert!(of("failed") >= 16.0, "{what}: {}", of("failed"));
        // Five failures in a row eject an address, but not those of copies.
        assert_eq!(serin.metric("serin_upstream_ejections_total", &[]), 0.0, "{what}");
        assert_eq!(serin.metric("serin_upstream_address_up", &["version=\"new\""]), 2.0, "{what}");
    }
}

#[test]
fn a_body_beyond_the_bound_goes_to_its_version_alone() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let serin = start(&old, &new, "methods: [ PUT ], idempotent: true, maxBody: 1KiB");
    let body = "x".repeat(2_000);
    let announced = format!("PUT / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let piece = format!("{:x}\r\n{}\r\n", 500, &body[..500]);
    let streamed = format!(
        "PUT / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        piece.repeat(4)
    );
    for (number, text) in [announced, streamed].into_iter().enumerate() {
        assert_eq!(request(serin.web(), &text).status, 200);
        await_metric(&serin, "serin_shadow_total", &["result=\"bodyTooLarge\""], number as f64 + 1.0);
    }
    assert!(old.requests().iter().all(|request| request.body.len() == 2_000));
    assert_eq!(new.requests().len(), 0);
}

#[test]
fn a_client_that_breaks_off_its_body_makes_no_copy() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let serin = start(&old, &new, "methods: [ PUT ], idempotent: true");
    let mut client = Raw::connect(serin.web());
    client.send("PUT / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 100\r\n\r\nhello");
    eventually("the copy to wait", || (serin.metric("serin_shadow_in_flight", &[]) == 1.0).then_some(()));
    drop(client);
    await_metric(&serin, "serin_shadow_total", &["result=\"bodyIncomplete\""], 1.0);
    await_metric(&serin, "serin_shadow_in_flight", &[], 0.0);
    assert_eq!(new.requests().len(), 0);
}

#[test]
fn a_version_that_is_given_little_at_a_time_gets_copies_only_where_there_is_room() {
    let (new, release) = hanging();
    let old = Upstream::answering(OK);
    let service = "    shadow: { to: new, timeout: 1h }\n    overload: { initial: 2, min: 2, max: 2, queue: 10 }\n";
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], service, ""));
    // One worker may have one in flight, so that it is full after the first.
    let mut connection = Raw::connect(serin.web());
    for _ in 0..10 {
        assert_eq!(ask(&mut connection, "").status, 200);
    }
    await_metric(&serin, "serin_shadow_total", &["version=\"new\"", "result=\"pressure\""], 9.0);
    assert_eq!(serin.metric("serin_queue_depth", &["version=\"new\""]), 0.0, "copies do not queue");
    drop(release);
}

#[test]
fn a_reload_takes_copies_up_and_away() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let serin = start(&old, &new, "share: 100%");
    let mut connection = Raw::connect(serin.web());
    // One by one and by one worker, which so needs one connection.
    let mut copied = |so_far: f64| {
        assert_eq!(ask(&mut connection, "").status, 200);
        await_metric(&serin, "serin_shadow_total", &["result=\"answered\""], so_far);
    };
    copied(1.0);
    copied(2.0);
    let path = serin.path("serin.yaml");
    let text = std::fs::read_to_string(&path).expect("serin.yaml");
    let generation = || {
        let answer = serin.ask("GET", "/api/v1/services", "");
        serde_json::from_slice::<serde_json::Value>(&answer.body).expect("JSON")["generation"].as_u64()
    };
    let put = |text: &str| {
        let before = generation();
        std::fs::write(&path, text).expect("serin.yaml");
        eventually("the reload", || (generation() != before).then_some(()));
    };
    put(&text.replace("share: 100%", "timeout: 3s"));
    copied(3.0);
    copied(4.0);
    assert_eq!(new.accepted(), 1, "connections are kept");
    put(&text.lines().filter(|line| !line.contains("shadow:")).collect::<Vec<_>>().join("\n"));
    ask_old(&serin, 2);
    assert_eq!(new.requests().len(), 4);
    eventually("connections to be closed", || {
        // By the worker whose next request it is, once it has seen the new plan.
        ask_old(&serin, 1);
        (new.open() == 0).then_some(())
    });
}
