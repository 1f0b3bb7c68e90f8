//! Told to stop, serin finishes what it has begun and begins nothing new.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use support::client::Raw;
use support::frames::{DATA, END_STREAM, Frames, GOAWAY, HEADERS};
use support::load::{Load, ask, said, shop};
use support::serin::Serin;
use support::upstream::Upstream;
use support::{PATIENCE, eventually};

const GET: &str = "GET /slow HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// An upstream that answers a request only once it is let go, and how to let one go.
fn held_back() -> (Upstream, Sender<()>) {
    let (let_go, told) = mpsc::channel::<()>();
    let told = Arc::new(Mutex::new(told));
    let upstream = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            if told.lock().expect("no one panics with it").recv_timeout(PATIENCE).is_err() {
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nheld");
        }
    });
    (upstream, let_go)
}

fn await_requests(upstream: &Upstream, count: usize) {
    eventually("requests at the upstream", || (upstream.requests().len() == count).then_some(()));
}

fn await_unready(serin: &Serin) {
    eventually("/readyz to fail", || (serin.ask("GET", "/readyz", "").status == 503).then_some(()));
}

fn await_refusing(address: SocketAddr) {
    eventually("connections to be refused", || TcpStream::connect(address).is_err().then_some(()));
}

#[test]
fn what_is_in_flight_finishes_and_nothing_new_begins() {
    let (upstream, let_go) = held_back();
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", ""));
    assert_eq!(serin.ask("GET", "/readyz", "").status, 200);
    let mut clients: Vec<_> = (0..8).map(|_| Raw::connect(serin.web())).collect();
    for client in &mut clients {
        client.send(GET);
    }
    await_requests(&upstream, 8);
    serin.signal("TERM");
    await_unready(&serin);
    assert_eq!(serin.ask("GET", "/livez", "").status, 200);
    await_refusing(serin.web());
    for _ in &clients {
        let_go.send(()).expect("the upstream waits");
    }
    for client in &mut clients {
        let answer = client.response(false).expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "held"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn a_response_that_has_begun_is_finished() {
    let (let_go, told) = mpsc::channel::<()>();
    let told = Arc::new(Mutex::new(told));
    let upstream = Upstream::scripted(move |connection| {
        if connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n");
            let _ = told.lock().expect("no one panics with it").recv_timeout(PATIENCE);
            connection.send("5\r\nended\r\n0\r\n\r\n");
        }
    });
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", ""));
    let mut client = Raw::connect(serin.web());
    client.send(GET);
    client.until(b"begun\r\n").expect("the first part");
    serin.signal("TERM");
    await_unready(&serin);
    let_go.send(()).expect("the upstream waits");
    assert_eq!(client.until(b"0\r\n\r\n").as_deref(), Some(&b"5\r\nended\r\n0\r\n\r\n"[..]));
    assert!(client.is_closed());
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn under_load_every_request_is_answered_and_every_connection_is_told_of_its_end() {
    let upstream = Upstream::named("held");
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", ""));
    let load = Load::start(serin.web(), 6);
    load.await_more(200);
    serin.signal("TERM");
    let tally = load.ended();
    assert_eq!((tally.failed(), tally.broken, tally.closed), (0, 0, 6), "{tally:?}");
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn answers_of_serins_own_say_close_too() {
    let upstream = Upstream::named("held");
    let config = shop(&[("held", &upstream)], "", "drainTimeout: 60s\n")
        .replace("  - service: shop\n", "  - { service: shop, matches: [ { path: { value: /shop } } ] }\n");
    let mut serin = Serin::new(&config);
    let mut client = Raw::connect(serin.web());
    assert_eq!(ask(&mut client, "").status, 404);
    serin.signal("TERM");
    await_unready(&serin);
    // Without an end to it, a client that asks often enough would keep the process alive.
    eventually("the end of the connection to be announced", || {
        client.send("GET /item HTTP/1.1\r\nhost: shop.example\r\n\r\n");
        let answer = client.response(false).expect("an answer, as nobody said that there would be none");
        (answer.header("connection") == Some("close")).then_some(())
    });
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn connections_that_wait_to_be_accepted_are_answered() {
    let upstream = Upstream::named("held");
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", ""));
    serin.signal("STOP");
    // More than a runtime takes in one go.
    let mut clients: Vec<_> = (0..400).map(|_| Raw::connect(serin.web())).collect();
    for client in &mut clients {
        client.send(GET);
    }
    serin.signal("TERM");
    serin.signal("CONT");
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.response(false).unwrap_or_else(|| panic!("client {number} got no answer"));
        assert_eq!(answer.status, 200);
    }
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn unused_connections_are_closed() {
    let upstream = Upstream::named("held");
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", ""));
    let mut used = Raw::connect(serin.web());
    assert_eq!(ask(&mut used, "").status, 200);
    let mut fresh = Raw::connect(serin.web());
    let mut frames = Frames::connect(serin.web());
    frames.get(1);
    frames.await_kind(HEADERS).expect("an answer");
    serin.signal("TERM");
    assert!(used.is_closed());
    assert!(fresh.is_closed());
    frames.await_kind(GOAWAY).expect("a word of goodbye");
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn the_drain_timeout_bounds_the_wait() {
    let (upstream, _let_go) = held_back();
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", "drainTimeout: 100ms\n"));
    let mut client = Raw::connect(serin.web());
    client.send(GET);
    await_requests(&upstream, 1);
    serin.signal("TERM");
    assert_eq!(serin.wait().code(), Some(0));
    assert!(client.is_closed());
    said(&serin, "the drain time is over");
}

#[test]
fn a_changed_drain_timeout_holds() {
    let (upstream, _let_go) = held_back();
    let config = shop(&[("held", &upstream)], "", "drainTimeout: 60s\n");
    let mut serin = Serin::new(&config);
    std::fs::write(serin.path("serin.yaml"), config.replace("60s", "100ms")).expect("an edit");
    eventually("the edit", || {
        (serin.metric("serin_config_reload_total", &["result=\"applied\""]) == 1.0).then_some(())
    });
    let mut client = Raw::connect(serin.web());
    client.send(GET);
    await_requests(&upstream, 1);
    serin.signal("TERM");
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    for second in ["TERM", "INT"] {
        let (upstream, _let_go) = held_back();
        let mut serin = Serin::new(&shop(&[("held", &upstream)], "", "drainTimeout: 1h\n"));
        let mut client = Raw::connect(serin.web());
        client.send(GET);
        await_requests(&upstream, 1);
        serin.signal("INT");
        await_unready(&serin);
        assert!(serin.is_running());
        serin.signal(second);
        assert_eq!(serin.wait().code(), Some(0));
        assert!(client.is_closed());
    }
}

#[test]
fn an_http2_client_is_told_goaway_and_gets_its_answer() {
    let (upstream, let_go) = held_back();
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", ""));
    let mut client = Frames::connect(serin.web());
    client.get(1);
    await_requests(&upstream, 1);
    serin.signal("TERM");
    client.await_kind(GOAWAY).expect("a word of goodbye");
    await_refusing(serin.web());
    let_go.send(()).expect("the upstream waits");
    let head = client.await_kind(HEADERS).expect("the head");
    assert_eq!(head.stream, 1);
    let data = client.await_kind(DATA).expect("the body");
    assert_eq!((data.stream, data.payload.as_slice(), data.flags & END_STREAM), (1, &b"held"[..], END_STREAM));
    while client.next().is_some() {}
    assert_eq!(serin.wait().code(), Some(0));
}

#[test]
fn a_tunnel_goes_on_until_the_drain_time_is_over() {
    let upstream = Upstream::scripted(|connection| {
        if connection.head().is_some() {
            connection.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
            while let Some(byte) = connection.exactly(1) {
                connection.send(byte);
            }
        }
    });
    let mut serin = Serin::new(&shop(&[("held", &upstream)], "", "drainTimeout: 1500ms\n"));
    let mut client = Raw::connect(serin.web());
    client.send("GET /chat HTTP/1.1\r\nhost: shop.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(client.head().expect("a head").status, 101);
    client.send("a");
    assert_eq!(client.exactly(1).as_deref(), Some(&b"a"[..]));
    serin.signal("TERM");
    await_unready(&serin);
    client.send("b");
    assert_eq!(client.exactly(1).as_deref(), Some(&b"b"[..]), "the tunnel still works");
    assert!(client.is_closed());
    assert_eq!(serin.wait().code(), Some(0));
    eventually("the upstream's end of it to close", || (upstream.open() == 0).then_some(()));
}
