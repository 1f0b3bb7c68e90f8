//! Messages that were whole before they were damaged, by the thousand.

use crate::House;
use crate::support::client::Raw;
use crate::support::strict::{self, Rest};
use crate::support::upstream::Upstream;
use crate::support::{fuzz, sidecar};

#[test]
fn thousands_of_damaged_requests_leave_the_upstream_with_whole_ones() {
    const CASES: u64 = 3_000;
    let mut house = House::new();
    let mut answered = 0;
    for seed in 0..CASES {
        let bytes = fuzz::damaged_requests(seed);
        let shown = String::from_utf8_lossy(&bytes);
        let mut client = Raw::connect(house.serin.web());
        let said = client.send(&bytes).finish().rest();
        let answers = said.windows(12).filter(|window| *window == b"\r\n\r\nanswered").count();
        answered += answers;

        let (readable, _) = strict::requests(&bytes, strict::CLIENT);
        assert!(answers <= readable.len(), "seed {seed}: {shown:?} got {:?}", String::from_utf8_lossy(&said));
        let seen = house.upstream.requests();
        assert_eq!(seen.len(), answered, "seed {seed}: {shown:?} got {:?}", String::from_utf8_lossy(&said));
        for (read, seen) in readable.iter().zip(&seen[answered - answers..]) {
            let asked = seen.request_line().split(' ').nth(1).unwrap_or_default();
            assert!(read.target.ends_with(asked.as_bytes()), "seed {seed}: {shown:?} became {:?}", seen.head);
            assert_eq!(read.body, seen.body, "seed {seed}: {shown:?}");
        }
    }
    let mut whole = 0;
    for bytes in house.upstream.bytes() {
        let (messages, rest) = strict::requests(&bytes, strict::NO_LEAVE);
        assert!(matches!(rest, Rest::Nothing | Rest::PartialBody), "{rest:?} in {:?}", String::from_utf8_lossy(&bytes));
        whole += messages.len();
    }
    assert_eq!(whole, answered);
    assert!(answered > CASES as usize / 10, "only {answered} were harmless: the damage is too great to say much");
    assert!(house.serin.is_running());
    let after = Raw::connect(house.serin.web()).send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").response(false);
    assert_eq!(after.expect("an answer").text(), "answered");
}

#[test]
fn thousands_of_damaged_answers_are_whole_or_not_passed_on() {
    const CASES: usize = 2_000;
    let upstream = Upstream::scripted(|connection| {
        while let Some(request) = connection.request() {
            let path = request.request_line().split(' ').nth(1).unwrap_or_default().to_owned();
            let seed = path[1..].parse().expect("a number");
            connection.send(fuzz::damaged_answer(seed));
            // What is missing shall be missing for good.
            if seed % 2 == 0 {
                return;
            }
            let _ = connection.stream.shutdown(std::net::Shutdown::Write);
        }
    });
    let mut serin = sidecar::before(&upstream.url());
    let mut whole = 0;
    for seed in 0..CASES {
        let mut client = Raw::connect(serin.web());
        client.send(format!("GET /{seed} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        let damaged = fuzz::damaged_answer(seed as u64);
        let shown = String::from_utf8_lossy(&damaged);
        let Some(got) = client.response(false) else { continue };
        assert!(client.rest().is_empty(), "seed {seed}: {shown:?}: bytes after {got:?}");
        if got.status == 502 && got.header("x-serin-error").is_some() {
            continue;
        }
        whole += 1;
        let framings =
            got.headers.iter().filter(|(name, _)| name == "content-length" || name == "transfer-encoding").count();
        assert!(framings <= 1, "seed {seed}: {shown:?} became {got:?}");
        for (name, value) in &got.headers {
            assert!(
                !name.contains([' ', '\t', '\0']) && !value.contains(['\r', '\n', '\0']),
                "seed {seed}: {shown:?} became {got:?}"
            );
        }
    }
    assert!(serin.is_running());
    assert!(whole > CASES / 10, "only {whole} were harmless: the damage is too great to say much");
}
