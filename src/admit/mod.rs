//! Floor 3. Overload: how many requests a version is given at a time, and who waits for their turn.
//!
//! A [`Gate`] lets in as many requests as its [`Limiter`] says and keeps a bounded [`Line`] of those that wait, the more
//! important ones first. The limit follows the latency that the requests let in have seen. Everything here is pure: time
//! is an argument, as long since whatever the caller counts from, and whole overloads run in a test in milliseconds.

mod gate;
mod limiter;
mod line;
#[cfg(test)]
mod simulation;
mod window;

pub use gate::{Entry, Gate};
pub use limiter::{Bounds, Limiter};
pub use line::{Line, Place};
