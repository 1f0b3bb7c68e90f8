//! What TLS may cost in memory. `cargo bench --bench peers -- tls` measures the same on a larger scale.

use std::io::Write;

use crate::support::client::Raw;
use crate::support::serin::Serin;
use crate::support::tls::{Ca, connect};
use crate::support::upstream::Upstream;
use crate::{ask, shop};

/// KiB that a process holds.
fn resident(serin: &Serin) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serin.pid())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

const BODY: usize = 64 << 20;

#[test]
fn a_body_passes_in_memory_that_does_not_grow_with_it() {
    let ca = Ca::new("ca");
    let upstream = Upstream::scripted(|connection| {
        while let Some(head) = connection.head() {
            if head.starts_with("POST") {
                connection.drain_body(|_| {});
                connection.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                return;
            }
            connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"));
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..BODY / piece.len() {
                connection.send(&piece);
            }
        }
    });
    let serin = shop(&ca, &upstream);
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    let piece = vec![0; 1 << 20];
    client.send(crate::GET);
    assert_eq!(client.head().expect("an answer").status, 200);
    let (mut before, mut most) = (0, 0);
    for number in 0..BODY / piece.len() {
        assert!(client.exactly(piece.len()).is_some(), "more of the body");
        most = most.max(resident(&serin));
        // What the first pieces take is taken once.
        if number == 8 {
            before = most;
        }
    }
    assert!(most < before + 10 * 1024, "{before} KiB became {most} KiB");
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    client.send(format!("POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {BODY}\r\n\r\n"));
    for _ in 0..BODY / piece.len() {
        client.stream.write_all(&piece).expect("a piece is taken");
        most = most.max(resident(&serin));
    }
    assert_eq!(client.response(false).expect("an answer").status, 200);
    assert!(most < before + 10 * 1024, "{before} KiB became {most} KiB");
}

#[test]
fn an_unused_connection_takes_little_memory() {
    const CONNECTIONS: u64 = 400;
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    let config = ca.trusting().config();
    let open = |count: u64| -> Vec<_> {
        let one = |_| {
            let mut client = connect(serin.web(), "shop.example", &config).expect("a handshake");
            assert_eq!(ask(&mut client, "shop.example", "").status, 200);
            client
        };
        (0..count).map(one).collect()
    };
    // What a first few take is taken once.
    let first: Vec<Raw<_>> = open(50);
    let before = resident(&serin);
    let all = open(CONNECTIONS);
    let each = (resident(&serin).saturating_sub(before)) / CONNECTIONS;
    assert!(each < 20, "{each} KiB each");
    drop((first, all));
}
