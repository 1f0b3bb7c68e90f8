//! What benches have in common: serin as a process, clients that ask at a fixed rate, an upstream that answers at once.

#![allow(dead_code, unreachable_pub, reason = "each bench uses some of it")]

pub mod rated;
pub mod serin;

use std::time::Duration;

/// The quantile of an order from 0 to 1, in milliseconds. `times` are sorted, and at least one.
pub fn quantile(times: &[Duration], order: f64) -> f64 {
    times[((times.len() - 1) as f64 * order) as usize].as_secs_f64() * 1e3
}
