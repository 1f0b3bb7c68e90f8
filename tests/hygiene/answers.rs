//! What an upstream answers, and what of that a client gets to see.

use std::sync::{Mutex, mpsc};

use crate::support::client::{self, Raw};
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::support::{eventually, sidecar};

/// A serin in front of an upstream that answers the request for `/N` with `answers[N]`, and then closes where that says so.
fn answering(answers: Vec<(Vec<u8>, bool)>) -> (Upstream, Serin) {
    let upstream = Upstream::scripted(move |connection| {
        while let Some(request) = connection.request() {
            let path = request.request_line().split(' ').nth(1).unwrap_or_default().to_owned();
            let number: usize = path[1..].parse().expect("a number");
            connection.send(&answers[number].0);
            if answers[number].1 {
                return;
            }
        }
    });
    let serin = sidecar::before(&upstream.url());
    (upstream, serin)
}

fn ask(serin: &Serin, number: usize) -> Raw {
    let mut client = Raw::connect(serin.web());
    client.send(format!("GET /{number} HTTP/1.1\r\nhost: shop.example\r\n\r\n"));
    client
}

/// Each of `answers` is not passed on: the client gets 502 and what is wrong, and the connection is not used again.
fn never_reach_a_client(answers: &[&str], close: bool) {
    let raw = answers.iter().map(|answer| (answer.as_bytes().to_vec(), close)).collect();
    let (upstream, serin) = answering(raw);
    for (number, answer) in answers.iter().enumerate() {
        let got = ask(&serin, number).response(false).unwrap_or_else(|| panic!("no answer for {answer:?}"));
        assert_eq!(got.status, 502, "{answer:?} became {got:?}");
        assert_eq!(got.header("x-serin-error"), Some("protocol"), "{answer:?}");
        assert!(!got.text().contains("leaked"), "{answer:?}");
        assert_eq!(upstream.accepted(), number + 1, "{answer:?}: the connection was used again");
    }
    eventually("the upstream connections to be closed", || (upstream.open() == 0).then_some(()));
}

#[test]
fn an_answer_with_ambiguous_framing_never_reaches_a_client() {
    let mut answers = Vec::new();
    for coding in [
        ",chunked",
        "chunked,",
        "chunked, deflate",
        "deflate, chunked",
        "chunked, chunked",
        "identity",
        "gzip",
        "",
        "xchunked",
        "\"chunked\"",
        "chunked\u{b}",
        "chunked\0",
        "chunked\r\n , identity",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\ntransfer-encoding: identity",
        "chunked\r\ncontent-length: 6",
        "chunked\r\nx: y\r\ncontent-length: 0",
    ] {
        answers.push(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n6\r\nleaked\r\n0\r\n\r\n"));
    }
    answers.push(
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n6\r\nleaked\r\n0\r\n\r\n".to_owned(),
    );
    answers.push("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nleaked\r\n0\r\n\r\n".to_owned());
    answers.push("HTTP/1.1 200 OK\r\ntransfer-encoding : chunked\r\n\r\n6\r\nleaked\r\n0\r\n\r\n".to_owned());
    for length in [
        "",
        "06",
        "+6",
        "-6",
        "6, 6",
        "6,7",
        "0x6",
        "6 6",
        "6;",
        "six",
        "99999999999999999999",
        "6\r\ncontent-length: 6",
        "6\r\nContent-Length: 7",
        "6\0",
        "6\r\n 6",
        "7\r\ncontent-length: 6",
    ] {
        answers.push(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nleaked"));
    }
    never_reach_a_client(&answers.iter().map(String::as_str).collect::<Vec<_>>(), false);
}

#[test]
fn an_answer_that_is_not_http_never_reaches_a_client() {
    const LINES: [&str; 33] = [
        "garbage leaked\r\n\r\n",
        "\r\n\r\nleaked",
        "\0\0\0\0\r\n\r\n",
        "SSH-2.0-leaked\r\n",
        "<html>leaked</html>\n",
        "HTTP/1.1 20 OK\r\n\r\nleaked",
        "HTTP/1.1 2000 OK\r\n\r\nleaked",
        "HTTP/1.1 abc OK\r\n\r\nleaked",
        "HTTP/1.1 099 OK\r\n\r\nleaked",
        "HTTP/1.1 \r\n\r\nleaked",
        "HTTP/1.1\r\n\r\nleaked",
        "HTTP/1.1  200 OK\r\n\r\nleaked",
        "HTTP/1.1200 OK\r\n\r\nleaked",
        "HTTP/2.0 200 OK\r\n\r\nleaked",
        "HTTP/1.2 200 OK\r\n\r\nleaked",
        "http/1.1 200 OK\r\n\r\nleaked",
        "ICY 200 OK\r\n\r\nleaked",
        " HTTP/1.1 200 OK\r\n\r\nleaked",
        "\r\nHTTP/1.1 200 OK\r\n\r\nleaked",
        "HTTP/1.1 200 O\0K\r\n\r\nleaked",
        "HTTP/1.1 200 OK\ncontent-length: 6\n\nleaked",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\n\r\nleaked",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\nleaked",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\nx: a\u{7f}b\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\nx y: a\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\nnocolon\r\ncontent-length: 6\r\n\r\nleaked",
        "HTTP/1.1 200 OK\r\n x: a\r\ncontent-length: 6\r\n\r\nleaked",
    ];
    never_reach_a_client(&LINES, false);
    never_reach_a_client(
        &["HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 2", "H", "HTTP/1.1 100 Continue\r\n\r\n"],
        true,
    );
}

#[test]
fn a_switch_of_protocols_nobody_asked_for_never_reaches_a_client() {
    never_reach_a_client(
        &[
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nleaked",
            "HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nleaked",
        ],
        false,
    );
    let upstream =
        Upstream::answering("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\nleaked");
    let serin = sidecar::before(&upstream.url());
    for upgrade in ["websocket", "websocket, other", "h2c"] {
        let headers = format!("connection: upgrade\r\nupgrade: {upgrade}\r\n");
        let got = client::get(serin.web(), "/", &headers);
        assert_eq!((got.status, got.header("x-serin-error")), (502, Some("protocol")), "{upgrade}");
        assert!(!got.text().contains("leaked"));
    }
}

#[test]
fn an_upstream_that_closes_without_a_word_is_a_502() {
    let upstream = Upstream::scripted(|connection| drop(connection.request()));
    let serin = sidecar::before(&upstream.url());
    let got = client::get(serin.web(), "/", "");
    assert_eq!((got.status, got.header("x-serin-error")), (502, Some("reset")));
}

#[test]
fn an_answer_that_ends_early_is_never_ended_as_if_whole() {
    let cases: Vec<(Vec<u8>, bool)> = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nffffffffffffffff1\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx y\r\n\r\n",
    ]
    .map(|answer| (answer.as_bytes().to_vec(), true))
    .to_vec();
    let (_upstream, serin) = answering(cases.clone());
    for (number, (answer, _)) in cases.iter().enumerate() {
        let shown = String::from_utf8_lossy(answer);
        let got = ask(&serin, number).response(false);
        // Where nothing was passed on yet there may still be a proper refusal.
        assert!(got.as_ref().is_none_or(|got| got.status == 502), "{shown:?} was ended as if whole: {got:?}");
        // HTTP/1.0 has no chunks: there the end of the connection is the end of the body, and only a reset says otherwise.
        let mut client = Raw::connect(serin.web());
        client.send(format!("GET /{number} HTTP/1.0\r\nhost: shop.example\r\n\r\n"));
        assert!(client.broken_end(), "{shown:?} was ended as if whole for HTTP/1.0");
    }
}

#[test]
fn an_answer_without_length_ends_with_its_connection() {
    let (upstream, serin) = answering(vec![
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec(), true),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec(), true),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc".to_vec(), false),
    ]);
    for number in 0..2 {
        let mut client = ask(&serin, number);
        let got = client.response(false).expect("an answer");
        assert_eq!((got.text().as_str(), got.header("transfer-encoding")), ("until the end", Some("chunked")));
        client.send("GET /2 HTTP/1.1\r\nhost: shop.example\r\n\r\n");
        assert_eq!(client.response(false).expect("the client's connection goes on").text(), "abc");
    }
    // HTTP/1.0 without keep-alive: not used again.
    assert_eq!(upstream.accepted(), 4);
}

#[test]
fn a_second_answer_to_one_request_reaches_nobody() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";
    const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    for late in [false, true] {
        let (go, told) = mpsc::channel::<()>();
        let (said, waiting) = mpsc::channel();
        let (told, said) = (Mutex::new(told), Mutex::new(said));
        let upstream = Upstream::scripted(move |connection| {
            while connection.request().is_some() {
                if late {
                    connection.send(ANSWER);
                    let _ = told.lock().expect("one at a time").recv();
                    connection.send(POISON);
                    connection.await_arrival();
                } else {
                    connection.send(format!("{ANSWER}{POISON}"));
                }
                let _ = said.lock().expect("one at a time").send(());
            }
        });
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        for number in 1..=3 {
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            assert_eq!(client.response(false).expect("an answer").text(), "good");
            let _ = go.send(());
            waiting.recv().expect("the second answer is out");
            assert_eq!(upstream.accepted(), number, "a connection with unread bytes was used again");
        }
        drop(go);
        eventually("the upstream connections to be closed", || (upstream.open() == 0).then_some(()));
    }
}

#[test]
fn bytes_after_an_answer_end_the_upstream_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood!",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood\r\n",
        "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nGOOD",
        "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
    ] {
        let upstream = Upstream::answering(answer);
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        for number in 1..=3 {
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            let got = client.response(false).expect("an answer");
            assert!(got.text() == "good" || (got.status != 200 && got.body.is_empty()), "{answer:?}: {got:?}");
            assert_eq!(upstream.accepted(), number, "{answer:?}: used again");
        }
    }
}

#[test]
fn what_belongs_to_the_upstream_hop_stays_on_it() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nConnection: close, X-Mine\r\nconnection: x-other\r\nKeep-Alive: timeout=5\r\nx-mine: 1\r\nx-other: 2\r\n\
         Proxy-Authenticate: x\r\nproxy-connection: close\r\nUpgrade: h2c\r\nte: x\r\ntransfer_encoding: chunked\r\n\
         Content_Length: 9\r\nx-serin-version: liar\r\nx-kept: yes\r\ncontent-length: 2\r\n\r\nok",
    );
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let got = client.response(false).expect("an answer");
        let names: Vec<_> = got.headers.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "connection",
            "keep-alive",
            "x-mine",
            "x-other",
            "proxy-authenticate",
            "proxy-connection",
            "upgrade",
            "te",
            "transfer_encoding",
            "content_length",
            "transfer-encoding",
        ] {
            assert!(!names.contains(&name), "{name} in {got:?}");
        }
        assert_eq!((got.header("x-kept"), got.header("x-serin-version")), (Some("yes"), Some("only")));
        assert_eq!((got.header("content-length"), got.text().as_str()), (Some("2"), "ok"));
    }
}

#[test]
fn a_connection_header_of_an_answer_cannot_take_its_length_away() {
    for named in ["content-length", "transfer-encoding, content-length"] {
        let upstream =
            Upstream::answering(format!("HTTP/1.1 200 OK\r\nconnection: {named}\r\ncontent-length: 4\r\n\r\ngood"));
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        for _ in 0..2 {
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            let got = client.response(false).expect("an answer");
            assert!(got.status == 502 || got.text() == "good", "{got:?}");
        }
    }
}

#[test]
fn a_repaired_answer_says_its_framing_once() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n\r\n4;x=y\r\ngood\r\n0\r\n\r\n");
    let serin = sidecar::before(&upstream.url());
    let got = client::get(serin.web(), "/", "");
    let framing = got.headers.iter().filter(|(name, _)| name == "transfer-encoding" || name == "content-length");
    assert_eq!(framing.collect::<Vec<_>>(), [&("transfer-encoding".to_owned(), "chunked".to_owned())]);
    assert_eq!(got.text(), "good");
}
