//! Floor 0. Pure numbers: the exponential histogram and what can be read from it, confidence sequences.
//!
//! One layout from a worker's cell to the fleet's query, so that merging is addition and a quantile's error is known:
//! [`Scale5`] says which bucket a duration belongs to, a [`Histogram`] is the cell one thread writes and others read,
//! a [`Snapshot`] is what was read: it adds, subtracts and answers quantiles. A [`Rate`] and [`Ranked`] durations say between
//! which bounds the truth is, at a level ([`Alpha`]) that holds over all looks together. [`calendar`] counts days. Nothing here knows a request, a
//! clock or a file.

#![expect(clippy::cast_possible_wrap, reason = "bucket positions and f64 exponents are below 2^12")]

mod alpha;
pub mod calendar;
mod durations;
mod histogram;
mod mixture;
mod quantile;
mod ranked;
mod rate;
mod scale5;
mod snapshot;

pub use alpha::Alpha;
pub use durations::Durations;
pub use histogram::Histogram;
pub use quantile::QuantileTest;
pub use ranked::{QuantileBounds, Ranked};
pub use rate::{Interval, Rate};
pub use scale5::Scale5;
pub use snapshot::{Bucket, Quantile, Snapshot};
