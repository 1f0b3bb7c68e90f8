//! Where versions answer, and what becomes of requests when they do not.

#![allow(clippy::float_cmp, reason = "counts are whole numbers, and shares are compared with what was set")]

mod support;

use std::net::TcpListener;

use support::client::{Raw, get};
use support::eventually;
use support::load::{Load, WITH_WEIGHTS, ask, await_metric, shop, shop_at};
use support::serin::Serin;
use support::upstream::Upstream;

/// A URL that nobody answers at; the port is kept from others for as long as the second value lives.
fn dead() -> (String, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    // Bound and not listened on: connections are refused.
    socket.bind(&any.into()).expect("a port");
    let address = socket.local_addr().expect("its address").as_socket().expect("a TCP address");
    (format!("http://{address}"), socket)
}

fn listed(urls: &[String]) -> String {
    let quoted: Vec<_> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    format!("[ {} ]", quoted.join(", "))
}

fn connections(serin: &Serin, state: &str) -> f64 {
    serin.metric("serin_upstream_connections", &[&format!("state=\"{state}\"")])
}

#[test]
fn all_addresses_of_a_version_are_used() {
    let upstreams: Vec<_> = (0..4).map(|_| Upstream::named("only")).collect();
    let urls: Vec<_> = upstreams.iter().map(Upstream::url).collect();
    let serin = Serin::new(&shop_at(&[("only", listed(&urls))], "", ""));
    let load = Load::start(serin.web(), 4);
    load.await_more(400);
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{tally:?}");
    for upstream in &upstreams {
        // A quarter each; less than a tenth would take more than chance.
        assert!(upstream.requests().len() * 10 > tally.total(), "{} of {}", upstream.requests().len(), tally.total());
    }
}

#[test]
fn a_dead_address_among_three_fails_no_request() {
    let alive = [Upstream::named("only"), Upstream::named("only")];
    let (dead, _port) = dead();
    let serin = Serin::new(&shop_at(&[("only", listed(&[alive[0].url(), dead, alive[1].url()]))], "", ""));
    let load = Load::start(serin.web(), 4);
    load.await_more(300);
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{tally:?}");
    assert!(serin.metric("serin_upstream_failures_total", &["kind=\"connect\""]) > 0.0, "the dead one was tried");
    // Also what must not be sent twice: nothing was sent to the dead one.
    let mut connection = Raw::connect(serin.web());
    for _ in 0..50 {
        connection.send("POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 4\r\n\r\nbody");
        assert_eq!(connection.response(false).expect("an answer").status, 200);
    }
    assert!(
        alive
            .iter()
            .flat_map(Upstream::requests)
            .filter(|r| r.request_line().starts_with("POST"))
            .all(|r| r.body == b"body")
    );
}

#[test]
fn if_no_address_can_be_reached_the_answer_says_so() {
    let ((one, _one), (other, _other)) = (dead(), dead());
    let serin = Serin::new(&shop_at(&[("only", listed(&[one, other]))], "", ""));
    let mut connection = Raw::connect(serin.web());
    for _ in 0..3 {
        let answer = ask(&mut connection, "");
        assert_eq!((answer.status, answer.header("x-serin-error")), (502, Some("connect")));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("x-serin-version"), Some("only"));
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(problem["status"], 502);
    }
    await_metric(&serin, "serin_requests_total", &["code=\"connect\""], 3.0);
    // Once for each address and request.
    await_metric(&serin, "serin_upstream_failures_total", &["kind=\"connect\""], 6.0);
    assert_eq!((connections(&serin, "active"), connections(&serin, "idle")), (0.0, 0.0));
}

#[test]
fn an_upstream_that_comes_up_later_is_used() {
    let (url, port) = dead();
    let serin = Serin::new(&shop_at(&[("only", format!("\"{url}\""))], "", ""));
    assert_eq!(get(serin.web(), "/", "").status, 502);
    port.listen(16).expect("to listen");
    let listener = TcpListener::from(port);
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().map_while(Result::ok) {
            // Only once asked: an answer to nothing is refused.
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    assert_eq!(get(serin.web(), "/", "").status, 204);
}

#[test]
fn a_name_is_resolved_before_the_first_request() {
    let upstream = Upstream::named("only");
    for _ in 0..3 {
        let url = format!("\"http://localhost:{}\"", upstream.address.port());
        let serin = Serin::new(&shop_at(&[("only", url)], "", ""));
        assert_eq!(get(serin.web(), "/", "").status, 200);
    }
}

#[test]
fn a_name_that_does_not_resolve_fails_its_requests_with_a_reason() {
    let upstream = Upstream::named("good");
    let versions =
        [("good", format!("\"{}\"", upstream.url())), ("bad", "\"http://no-such-host.invalid:80\"".to_owned())];
    let service = "    override: { header: x-serin-version, from: [ 127.0.0.0/8 ] }\n";
    let serin = Serin::new(&shop_at(&versions, service, "upstreams: { connectTimeout: 9s }\n"));
    let answer = get(serin.web(), "/", "x-serin-version: bad\r\n");
    assert_eq!((answer.status, answer.header("x-serin-error")), (502, Some("noAddress")));
    assert_eq!(get(serin.web(), "/", "").status, 200);
}

#[test]
fn an_upstream_may_close_unused_connections_at_any_time() {
    // Each connection ends after a few answers, without a word.
    let upstream = Upstream::scripted(|connection| {
        for _ in 0..3 {
            if connection.request().is_none() {
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nonly");
        }
    });
    let serin = Serin::new(&shop(&[("only", &upstream)], "", ""));
    let load = Load::start(serin.web(), 4);
    load.await_more(1000);
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{tally:?}");
    eventually("the connections to be forgotten", || {
        let known = connections(&serin, "idle") + connections(&serin, "active");
        (known <= upstream.open() as f64 && connections(&serin, "active") == 0.0).then_some(())
    });
}

#[test]
fn an_upstream_may_say_that_it_closes() {
    let upstream = Upstream::scripted(|connection| {
        if connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nonly");
        }
    });
    let serin = Serin::new(&shop(&[("only", &upstream)], "", ""));
    let load = Load::start(serin.web(), 4);
    load.await_more(300);
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken), (0, 0), "{tally:?}");
    eventually("the connections to be forgotten", || {
        ((connections(&serin, "active"), connections(&serin, "idle")) == (0.0, 0.0)).then_some(())
    });
}

#[test]
fn connections_are_kept_and_closed_when_their_version_goes() {
    let upstreams = [Upstream::named("old"), Upstream::named("new")];
    let text = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], "", WITH_WEIGHTS);
    let serin = Serin::with_files(&text, &[("weights.yaml", "shop: { old: 1, new: 1 }\n")]);
    let mut clients: Vec<_> = (0..4).map(|_| Raw::connect(serin.web())).collect();
    let ask_all = |clients: &mut Vec<Raw>| {
        for (number, client) in clients.iter_mut().enumerate() {
            for user in 0..10 {
                assert_eq!(ask(client, &format!("x-user-id: {number}-{user}\r\n")).status, 200);
            }
        }
    };
    ask_all(&mut clients);
    // One request at a time: one connection for each of two workers is enough.
    assert!(upstreams.iter().all(|upstream| (1..=2).contains(&upstream.accepted())));
    assert_eq!(connections(&serin, "active"), 0.0);
    assert_eq!(connections(&serin, "idle"), upstreams.iter().map(Upstream::open).sum::<usize>() as f64);
    for weight in [30, 60, 90] {
        std::fs::write(serin.path("weights.yaml"), format!("shop: {{ old: 100, new: {weight} }}\n")).expect("an edit");
        serin.await_share("shop", "new", f64::from(weight) / f64::from(100 + weight));
        ask_all(&mut clients);
        assert!(upstreams.iter().all(|upstream| upstream.accepted() <= 2), "kept over a change of weights");
    }
    std::fs::write(serin.path("weights.yaml"), "{}\n").expect("an edit");
    std::fs::write(serin.path("serin.yaml"), shop(&[("old", &upstreams[0])], "", WITH_WEIGHTS)).expect("an edit");
    eventually("the connections of the version that went to be closed", || (upstreams[1].open() == 0).then_some(()));
    ask_all(&mut clients);
    assert!(upstreams[0].accepted() <= 2, "the other version's are kept");
    assert_eq!(connections(&serin, "idle"), upstreams[0].open() as f64);
}

#[test]
fn an_upstream_on_a_unix_socket_is_reached() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().map_while(Result::ok) {
            // Only once asked: an answer to nothing is refused.
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nunix");
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    let serin = Serin::new(&shop_at(&[("only", format!("\"unix:{}\"", path.display()))], "", ""));
    assert_eq!(get(serin.web(), "/", "").text(), "unix");
}
