//! HTTP as both sides may expect it: streaming, overlap, trailers, expectations, upgrades, keep-alive, retries,
//! partings.

mod support;

#[path = "protocol/duplex.rs"]
mod duplex;
#[path = "protocol/expectations.rs"]
mod expectations;
#[path = "protocol/http2.rs"]
mod http2;
#[path = "protocol/partings.rs"]
mod partings;
#[path = "protocol/repetition.rs"]
mod repetition;
#[path = "protocol/streaming.rs"]
mod streaming;
#[path = "protocol/upgrades.rs"]
mod upgrades;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use support::client::{self, Raw};
use support::serin::Serin;
use support::upstream::Upstream;
use support::{PATIENCE, sidecar};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// A flag that one thread raises and another waits for.
struct Signal(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>);

impl Signal {
    fn new() -> Arc<Self> {
        let (sender, receiver) = mpsc::channel();
        Arc::new(Self(sender, Mutex::new(receiver)))
    }

    fn raise(&self) {
        let _ = self.0.send(());
    }

    fn wait(&self) {
        self.1.lock().expect("one waits").recv_timeout(PATIENCE).expect("a signal");
    }
}

#[test]
fn an_unused_connection_is_taken_up_again() {
    let upstream = Upstream::named("ok");
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    for _ in 0..3 {
        for part in ["GET / HTTP/1.1\r\nho", "st: shop.example\r\n\r\n"] {
            client.send(part);
        }
        assert_eq!(client.response(false).expect("an answer").text(), "ok");
        // As above: the passing of time is what is tested.
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn trailers_pass_both_ways() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 9\r\ncontent-length: 3\r\n\r\n",
    );
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    for _ in 0..2 {
        client.send(
            "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\ntrailer: x-check\r\n\r\n\
             2\r\nok\r\n0\r\nx-check: 7\r\ncontent-length: 3\r\n\r\n",
        );
        let got = client.response(false).expect("an answer");
        assert_eq!((got.text().as_str(), got.trailers), ("ok", vec![("x-sum".to_owned(), "9".to_owned())]));
    }
    let sent = String::from_utf8(upstream.bytes().remove(0)).expect("text");
    assert_eq!(sent.matches("\r\n0\r\nx-check: 7\r\n\r\n").count(), 2, "{sent}");
    assert_eq!(sent.matches("te: trailers\r\n").count(), 2);
}

#[test]
fn answers_without_a_body_keep_what_their_heads_say() {
    for (method, answer, status, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", 200, Some("1234")),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200, None),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", 200, None),
        ("HEAD", "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n", 404, Some("9")),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", 304, None),
        ("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", 204, None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, Some("0")),
    ] {
        let upstream = Upstream::answering(answer);
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        for _ in 0..2 {
            client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"));
            let head = client.head().expect("an answer");
            assert_eq!(
                (head.status, head.header("content-length")),
                (status, length),
                "{method} and {answer:?}: {head:?}"
            );
            assert!(!(status == 304 || status == 204) || head.header("transfer-encoding").is_none(), "{head:?}");
        }
        assert_eq!(upstream.accepted(), 1, "{method} and {answer:?}");
    }
}

#[test]
fn options_may_ask_about_the_server_as_a_whole() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    assert_eq!(client::request(serin.web(), "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
    assert_eq!(upstream.last().request_line(), "OPTIONS * HTTP/1.1");
    assert_eq!(client::request(serin.web(), "OPTIONS /a HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
    assert_eq!(upstream.last().request_line(), "OPTIONS /a HTTP/1.1");
}

#[test]
fn an_http_1_0_client_is_kept_only_where_it_asks() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    let got = client.response(false).expect("an answer");
    assert_ne!(got.header("connection"), Some("keep-alive"));
    assert!(client.is_closed());

    let mut client = Raw::connect(serin.web());
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n");
        let got = client.response(false).expect("an answer");
        assert_eq!((got.header("connection"), got.text().as_str()), (Some("keep-alive"), "ok"));
    }
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    assert_eq!(client.response(false).expect("an answer").text(), "ok");
    assert!(client.is_closed());
    assert_eq!(upstream.accepted(), 1, "what a client cannot do concerns its own side only");
    assert!(upstream.requests().iter().all(|seen| seen.request_line() == "GET / HTTP/1.1"));
}

#[test]
fn an_http_1_0_client_gets_chunks_as_plain_bytes() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n!!!\r\n0\r\n\r\n");
    let serin = sidecar::before(&upstream.url());
    for keep in ["", "connection: keep-alive\r\n"] {
        let mut client = Raw::connect(serin.web());
        client.send(format!("GET / HTTP/1.0\r\nhost: a\r\n{keep}\r\n"));
        let head = client.head().expect("an answer");
        assert_eq!(head.header("transfer-encoding"), None);
        assert_eq!(client.rest(), b"ok!!!");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::scripted(|connection| {
        while let Some(request) = connection.request() {
            let path = request.request_line().split(' ').nth(1).unwrap_or_default().to_owned();
            connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len()));
        }
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    let all: String = (0..100)
        .map(|number| match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"),
            _ => format!("POST /{number} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        })
        .collect();
    client.send(all);
    for number in 0..100 {
        assert_eq!(client.response(false).expect("an answer").text(), format!("/{number}"));
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_client_that_asks_for_the_end_gets_it() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert_eq!(client.response(false).expect("an answer").header("connection"), Some("close"));
    assert!(client.is_closed());
}

/// A configuration with the only listener on this unix socket.
fn on_unix(path: &std::path::Path, upstream: &str) -> String {
    let config = sidecar::config(&format!("upstream: \"{upstream}\""), "", "");
    config.replace("address: 127.0.0.1:0 } ]", &format!("address: \"unix:{}\" }} ]", path.display()))
}

/// An upstream on a unix socket that answers with what it was asked.
fn unix_upstream(path: &std::path::Path) {
    let listener = UnixListener::bind(path).expect("a unix socket");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut seen = Vec::new();
                let mut chunk = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut chunk) {
                    seen.extend_from_slice(&chunk[..length]);
                    if seen.ends_with(b"\r\n\r\n") {
                        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", seen.len());
                        let _ = stream.write_all(&std::mem::take(&mut seen));
                    }
                }
            });
        }
    });
}

#[test]
fn unix_sockets_serve_on_both_sides() {
    let folder = tempfile::tempdir().expect("a folder");
    let (inward, outward) = (folder.path().join("web.sock"), folder.path().join("app.sock"));
    unix_upstream(&outward);
    let _serin = Serin::new(&on_unix(&inward, &format!("unix:{}", outward.display())));
    let mut client = UnixStream::connect(&inward).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    for _ in 0..2 {
        client.write_all(GET.as_bytes()).expect("sent");
        let mut seen = String::new();
        let mut chunk = [0; 4096];
        while seen.matches("\r\n\r\n").count() < 2 {
            let length = client.read(&mut chunk).expect("an answer");
            assert!(length > 0, "closed after {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
        assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{seen}");
        assert!(seen.contains("x-forwarded-for: unknown\r\n") && seen.contains("host: shop.example\r\n"), "{seen}");
    }
}
