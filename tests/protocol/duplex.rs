//! Requests and answers that overlap in time.

use std::io::Write;

use crate::OK;
use crate::support::client::Raw;
use crate::support::upstream::Upstream;
use crate::support::{eventually, sidecar};

const CHUNKED: &str = "transfer-encoding: chunked\r\n\r\n";

#[test]
fn an_answer_may_run_beside_its_request() {
    let upstream = Upstream::scripted(|connection| {
        while connection.head().is_some() {
            connection.send(format!("HTTP/1.1 200 OK\r\n{CHUNKED}"));
            while let Some(line) = connection.exactly(3) {
                connection.send(&line);
                if line == b"0\r\n" {
                    break;
                }
                let Some(data) = connection.exactly(3) else { return };
                connection.send(data);
            }
            let end = connection.exactly(2).unwrap_or_default();
            connection.send(end);
        }
    });
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    for _ in 0..3 {
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{CHUNKED}"));
        assert_eq!(client.head().expect("a head before the end of the request").status, 200);
        for letter in 'a'..='z' {
            let chunk = format!("1\r\n{letter}\r\n");
            client.send(&chunk);
            assert_eq!(client.exactly(chunk.len()).as_deref(), Some(chunk.as_bytes()));
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.exactly(5).as_deref(), Some(&b"0\r\n\r\n"[..]));
    }
    assert_eq!(upstream.accepted(), 1, "both ended properly, each time");
}

#[test]
fn an_upstream_that_takes_no_more_of_a_request_is_heard_all_the_same() {
    for framing in ["content-length: 50000000\r\n\r\n", CHUNKED] {
        // Closed with most of the request unread, the connection is reset.
        let upstream = Upstream::scripted(|connection| {
            connection.head();
            connection.exactly(100_000);
            connection.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno");
        });
        let serin = sidecar::before(&upstream.url());
        let mut client = Raw::connect(serin.web());
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}"));
        let mut stream = client.stream.try_clone().expect("another handle");
        let sending = std::thread::spawn(move || {
            let chunk = [b"c350\r\n".as_slice(), &vec![b'x'; 50_000], b"\r\n"].concat();
            while stream.write_all(&chunk).is_ok() {}
        });
        let got = client.response(false).expect("an answer");
        assert_eq!((got.status, got.text().as_str()), (413, "no"));
        drop(client);
        sending.join().expect("it ends");
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
        assert_eq!(upstream.accepted(), 1);
    }
}

#[test]
fn pieces_of_any_length_arrive_as_they_were_sent() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before(&upstream.url());
    let mut client = Raw::connect(serin.web());
    // Around the lengths at which pieces are gathered, or written from where they are.
    let lengths = [1, 15, 16, 17, 255, 256, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 200_000];
    let piece = |length: usize| -> Vec<u8> { (0..length).map(|at| (at * 7 + length) as u8).collect() };
    let whole: Vec<u8> = lengths.iter().flat_map(|length| piece(*length)).collect();
    for trailer in ["", "x-sum: 1\r\n"] {
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n");
        for length in lengths {
            client.send(format!("{length:x}\r\n")).send(piece(length)).send("\r\n");
        }
        client.send(format!("0\r\n{trailer}\r\n"));
        assert_eq!(client.response(false).expect("an answer").text(), "ok");
        assert!(upstream.last().body == whole, "other bytes arrived");
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", whole.len()));
        for length in lengths {
            client.send(piece(length));
        }
        assert_eq!(client.response(false).expect("an answer").text(), "ok");
        assert!(upstream.last().body == whole, "other bytes arrived");
    }
    assert_eq!(upstream.accepted(), 1);
}
