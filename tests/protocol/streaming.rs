//! Big bodies and slow readers.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::client::Raw;
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, eventually, sidecar};
use crate::{GET, OK, Signal, on_unix};

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// Waits until `count` has stopped growing: whoever counts is blocked.
fn await_standstill(count: &AtomicUsize) -> usize {
    let mut last = (usize::MAX, 0);
    eventually("a standstill", || {
        let now = count.load(Ordering::SeqCst);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        (now > 0 && last.1 > 100).then_some(now)
    })
}

const BIG: usize = 64 * 1024 * 1024;
/// What serin may grow by while such a body goes through.
const GROWTH: usize = 40 * 1024 * 1024;

/// The byte at a place in a big body.
fn pattern(at: usize) -> u8 {
    (at / 7) as u8 ^ (at >> 13) as u8
}

fn write_big(stream: &mut impl Write, written: &AtomicUsize) {
    let mut at = 0;
    while at < BIG {
        let piece: Vec<u8> = (at..(at + 64 * 1024).min(BIG)).map(pattern).collect();
        if stream.write_all(&piece).is_err() {
            return;
        }
        at += piece.len();
        written.store(at, Ordering::SeqCst);
    }
}

#[test]
fn a_big_answer_waits_for_a_slow_client() {
    let written = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&written);
    let upstream = Upstream::scripted(move |connection| {
        connection.request();
        connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n"));
        write_big(&mut connection.stream, &count);
        connection.await_close();
    });
    let serin = sidecar::before(&upstream.url());
    let before = resident(serin.pid());
    let mut client = Raw::connect(serin.web());
    client.send(GET).head().expect("a head");
    let blocked_at = await_standstill(&written);
    assert!(blocked_at < BIG / 2, "{blocked_at} bytes were taken from the upstream for a client that reads nothing");
    let mut at = 0;
    while at < BIG {
        let piece = client.exactly(64 * 1024).expect("the body goes on");
        assert!(
            piece.iter().enumerate().all(|(offset, byte)| *byte == pattern(at + offset)),
            "other bytes from {at} on"
        );
        at += piece.len();
        if at % (8 * 1024 * 1024) == 0 {
            let grown = resident(serin.pid()).saturating_sub(before);
            assert!(grown < GROWTH, "grown by {grown} at {at}");
        }
    }
    assert_eq!(written.load(Ordering::SeqCst), BIG);
}

#[test]
fn a_big_request_waits_for_a_slow_upstream() {
    for framing in ["content-length", "chunked"] {
        let (begin, read) = (Signal::new(), Arc::<AtomicUsize>::default());
        let (told, count) = (Arc::clone(&begin), Arc::clone(&read));
        let upstream = Upstream::scripted(move |connection| {
            connection.head();
            told.wait();
            connection.drain_body(|total| count.store(total, Ordering::SeqCst));
            connection.send(OK);
        });
        let serin = sidecar::before(&upstream.url());
        let before = resident(serin.pid());
        let mut client = Raw::connect(serin.web());
        let written = Arc::<AtomicUsize>::default();
        let mut stream = client.stream.try_clone().expect("another handle");
        let counted = Arc::clone(&written);
        let sending = std::thread::spawn(move || {
            if framing == "chunked" {
                let _ = stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
                let piece = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
                for number in 1..=BIG / 0x10000 {
                    let _ = stream.write_all(&piece);
                    counted.store(number * 0x10000, Ordering::SeqCst);
                }
                let _ = stream.write_all(b"0\r\n\r\n");
            } else {
                let _ =
                    stream.write_all(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {BIG}\r\n\r\n").as_bytes());
                write_big(&mut stream, &counted);
            }
        });
        let blocked_at = await_standstill(&written);
        assert!(
            blocked_at < BIG / 2,
            "{blocked_at} bytes were taken from the client for an upstream that reads nothing"
        );
        begin.raise();
        assert_eq!(client.response(false).expect("an answer").text(), "ok");
        assert_eq!(read.load(Ordering::SeqCst), BIG, "{framing}");
        let grown = resident(serin.pid()).saturating_sub(before);
        assert!(grown < GROWTH, "grown by {grown}");
        sending.join().expect("sent");
    }
}

#[test]
fn a_client_that_pauses_at_the_end_of_an_answer_still_gets_all_of_it() {
    // How much fits between serin and a client that reads nothing is the system's affair, so there are answers of many
    // lengths: some of them end in serin's own buffer.
    const LENGTHS: std::ops::Range<usize> = 4..40;
    const STEP: usize = 16 * 1024;
    let (written, count) = (Arc::<AtomicUsize>::default(), LENGTHS.len());
    let finished = Arc::clone(&written);
    let upstream = Upstream::scripted(move |connection| {
        while let Some(request) = connection.request() {
            let length: usize =
                request.request_line()[5..].split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
            connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
            connection.send(vec![b'x'; length]);
            finished.fetch_add(1, Ordering::SeqCst);
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("web.sock");
    let _serin = Serin::new(&on_unix(&path, &upstream.url()));
    let mut clients: Vec<_> = LENGTHS.map(|n| (n * STEP, UnixStream::connect(&path).expect("connect"))).collect();
    for (length, client) in &mut clients {
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(client, "GET /{length} HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    }
    eventually("all answers to be on their way", || (written.load(Ordering::SeqCst) == count).then_some(()));
    // What is tested is that time passes: longer than serin keeps what it needs for an unused connection.
    std::thread::sleep(Duration::from_millis(400));
    for (length, client) in &mut clients {
        for again in [false, true] {
            if again {
                write!(client, "GET /{length} HTTP/1.1\r\nhost: a\r\n\r\n").expect("the connection goes on");
            }
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("a head");
                head.push(byte[0]);
            }
            assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"), "{length}: {:?}", String::from_utf8_lossy(&head));
            let mut body = vec![0; *length];
            client.read_exact(&mut body).unwrap_or_else(|error| panic!("{length} bytes are not whole: {error}"));
            assert!(body.iter().all(|byte| *byte == b'x'), "{length}: other bytes");
        }
    }
}
