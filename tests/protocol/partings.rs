//! Clients that leave, or only stop sending.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crate::support::client::Raw;
use crate::support::frames::{self, Frames};
use crate::support::h2::{self, H2Upstream};
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::support::{eventually, sidecar};
use crate::{GET, Signal, on_unix};

/// An upstream that gets a request, sends `answer`, and raises the signal when its connection was closed by the other side.
fn silent_after(answer: &'static str) -> (Upstream, Arc<Signal>, Arc<Signal>) {
    let (asked, closed) = (Signal::new(), Signal::new());
    let (tell_asked, tell_closed) = (Arc::clone(&asked), Arc::clone(&closed));
    let upstream = Upstream::scripted(move |connection| {
        connection.request();
        connection.send(answer);
        tell_asked.raise();
        if connection.await_close() {
            tell_closed.raise();
        }
    });
    (upstream, asked, closed)
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    for request in [
        GET,
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let (upstream, asked, closed) = silent_after("");
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        client.send(request);
        asked.wait();
        drop(client);
        closed.wait();
        eventually("it is counted", || {
            (serin.metric("serin_requests_total", &["code=\"clientGone\""]) > 0.0).then_some(())
        });
    }
}

#[test]
fn a_client_that_leaves_within_its_request_takes_it_along() {
    for part in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nok",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        let (asked, closed) = (Signal::new(), Signal::new());
        let (tell_asked, tell_closed) = (Arc::clone(&asked), Arc::clone(&closed));
        let upstream = Upstream::scripted(move |connection| {
            connection.head();
            tell_asked.raise();
            connection.await_close();
            tell_closed.raise();
        });
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        client.send(part);
        asked.wait();
        drop(client);
        closed.wait();
    }
}

#[test]
fn a_client_that_leaves_within_an_answer_takes_its_request_along() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let (upstream, asked, closed) = silent_after(answer);
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        client.send(GET).head().expect("a head");
        asked.wait();
        drop(client);
        closed.wait();
    }
}

#[test]
fn an_http_2_client_that_resets_its_stream_or_leaves_takes_its_request_along() {
    for leaves in [false, true] {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"] {
            let (upstream, asked, closed) = silent_after(answer);
            let serin = sidecar::before(&upstream.url());
            let mut client = Frames::connect(serin.web());
            client.get(1);
            asked.wait();
            if leaves {
                drop(client);
            } else {
                client.send(frames::RESET, 0, 1, &8_u32.to_be_bytes());
            }
            closed.wait();
        }
    }
}

#[test]
fn a_client_that_only_stops_sending_still_gets_its_answer() {
    let (asked, go) = (Signal::new(), Signal::new());
    let (tell, told) = (Arc::clone(&asked), Arc::clone(&go));
    let upstream = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            tell.raise();
            told.wait();
            connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
            told.wait();
            connection.send("3\r\ndef\r\n0\r\n\r\n");
        }
    });
    let serin = sidecar::before(&upstream.url());
    for request in
        [GET, "GET / HTTP/1.0\r\nhost: a\r\n\r\n", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok"]
    {
        let mut client = Raw::connect(serin.web());
        client.send(request).finish();
        asked.wait();
        go.raise();
        let mut head = client.head().expect("an answer");
        while head.status == 100 {
            head = client.head().expect("an answer");
        }
        assert_eq!(head.status, 200);
        go.raise();
        let body = String::from_utf8(client.rest()).expect("text");
        assert_eq!(body.replace("\r\n", ""), if request.contains("1.0") { "abcdef" } else { "3abc3def0" });
    }
}

#[test]
fn an_answer_before_the_end_of_its_request_ends_both_connections() {
    let upstream = Upstream::scripted(|connection| {
        connection.head();
        connection.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
        connection.await_close();
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nbegin");
    let got = client.response(false).expect("an answer");
    assert_eq!((got.status, got.text().as_str()), (403, "no"));
    // Whatever follows belongs to a body that nobody reads: it must not be taken for a request.
    client.send(GET);
    assert!(client.is_closed());
    eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_client_that_leaves_a_unix_socket_takes_its_request_along() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"] {
        let folder = tempfile::tempdir().expect("a folder");
        let inward = folder.path().join("web.sock");
        let (upstream, asked, closed) = silent_after(answer);
        let _serin = Serin::new(&on_unix(&inward, &upstream.url()));
        let mut client = UnixStream::connect(&inward).expect("connect");
        client.write_all(GET.as_bytes()).expect("sent");
        asked.wait();
        drop(client);
        closed.wait();
    }
}

#[test]
fn the_rest_of_a_body_is_never_taken_for_a_request_however_late_it_comes() {
    // An upstream that answers at once and keeps the request's stream open without reading it.
    let upstream = H2Upstream::answering(|request| async move {
        tokio::task::spawn_local(async move {
            let _kept = request.into_body();
            std::future::pending::<()>().await;
        });
        http::Response::builder().status(403).body(h2::body("no", None)).expect("a response")
    });
    let serin = Serin::new(&sidecar::config(&format!("upstream: \"{}\", protocol: h2", upstream.url()), "", ""));
    for part in ["", "begin"] {
        let before = upstream.heads().len();
        let mut client = Raw::connect(serin.web());
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n{part}"));
        assert_eq!(client.response(false).expect("an answer").text(), "no");
        // What is tested is that time passes: longer than serin keeps what it needs for an unused connection.
        std::thread::sleep(Duration::from_millis(300));
        client.send(GET).finish();
        assert!(client.is_closed(), "a body was answered");
        assert_eq!(upstream.heads().len(), before + 1, "a body was taken for a request");
    }
}
