//! Frames of every kind in any order, damaged and not.

use crate::support::client::{self, Raw};
use crate::support::strict::{self, Rest};
use crate::support::upstream::Upstream;
use crate::support::{h2, sidecar};

const SEEDS: u64 = 150;

/// A few requests in frames, some of them damaged, or other frames among them.
fn conversation(seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let get = h2::block(&[(":method", "GET"), (":scheme", "http"), (":path", "/a"), (":authority", "shop.example")]);
    let post = h2::block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/b"),
        (":authority", "shop.example"),
        ("content-length", "5"),
    ]);
    let mut frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        bytes.extend((payload.len() as u32).to_be_bytes()[1..].iter());
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
    };
    for number in 0..rng.u32(1..6) {
        let stream = 2 * number + 1;
        match rng.u8(..8) {
            0 | 1 => frame(1, 5, stream, &get),
            2 | 3 => {
                frame(1, 4, stream, &post);
                frame(0, u8::from(rng.bool()), stream, &b"hello!!"[..rng.usize(3..7)]);
            }
            4 => {
                let (front, back) = get.split_at(rng.usize(..get.len()));
                frame(1, 1, stream, front);
                frame(9, 4, stream, back);
            }
            5 => {
                frame(1, 4, stream, &post);
                frame(1, 5, stream, &h2::block(&[("x-sum", "1")]));
            }
            _ => {
                let payload: Vec<u8> = (0..rng.usize(..12)).map(|_| rng.u8(..)).collect();
                frame(rng.u8(..11), rng.u8(..), rng.u32(..8), &payload);
            }
        }
    }
    if rng.bool() {
        let at = rng.usize(24..bytes.len());
        match rng.u8(..3) {
            0 => bytes[at] = rng.u8(..),
            1 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn whatever_frames_come_the_upstream_gets_whole_requests_and_others_are_served() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let serin = sidecar::before(&upstream.url());
    for seed in 0..SEEDS {
        let mut raw = Raw::connect(serin.web());
        raw.send(conversation(seed)).finish();
        raw.rest();
        assert_eq!(client::get(serin.web(), "/", "").status, 200, "after {seed}");
    }
    for (at, bytes) in upstream.bytes().iter().enumerate() {
        // A connection may have been cut within a request, but what is whole is one of those that were sent.
        let (requests, rest) = strict::requests(bytes, strict::NO_LEAVE);
        assert!(!matches!(rest, Rest::Wrong(_)), "connection {at}: {rest:?}");
        for request in requests {
            assert!(["GET", "POST", "HEAD"].contains(&request.method.as_str()), "{request:?}");
        }
    }
}
