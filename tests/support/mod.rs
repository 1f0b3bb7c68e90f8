//! What the tests of the binary share: a serin of their own, upstreams that record what they get, and clients that speak
//! in raw bytes. Everything listens on ports the system chooses and ends with the test.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]

pub mod client;
pub mod faulty;
pub mod frames;
pub mod fuzz;
pub mod h2;
pub mod load;
pub mod net;
pub mod protobuf;
pub mod serin;
pub mod sidecar;
pub mod slots;
pub mod strict;
pub mod terminal;
pub mod tls;
pub mod tokens;
pub mod upstream;

use std::time::{Duration, Instant};

/// An answer of two bytes.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `condition` gives a value, asking again and again.
///
/// # Panics
/// If it gives none within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        // Not a guess at how long things take: only the pace of asking.
        std::thread::sleep(Duration::from_millis(2));
    }
}
