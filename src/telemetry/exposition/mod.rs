//! Prometheus' formats: the classic text, and protobuf with native histograms for whoever asks for it.
//!
//! Both are written from the same families, so they never disagree.

mod access;
mod consistency;
mod events;
mod family;
mod faults;
mod flags;
mod health;
mod journal;
mod ledger;
mod migration;
mod negotiate;
mod process;
mod protobuf;
mod rollouts;
mod shadow;
mod spans;
mod text;
mod variants;
mod verdicts;

pub use negotiate::{Format, negotiate};

use super::Registry;

/// Upper edges of the classic buckets, as scale-5 indexes: every half octave from 2⁻¹⁴ s (61 µs) to 2⁶ s. They are exact
/// edges of the native buckets, so their counts are exact too.
fn classic_edges() -> impl Iterator<Item = i32> {
    (-14 * 32..=6 * 32).step_by(16)
}

/// All figures in the text format, version 0.0.4.
#[must_use]
pub fn text(registry: &Registry) -> String {
    text::write(&family::families(registry))
}

/// All figures as length-delimited `io.prometheus.client.MetricFamily` messages; histograms are both native and classic.
#[must_use]
pub fn protobuf(registry: &Registry) -> Vec<u8> {
    protobuf::write(&family::families(registry))
}

/// All figures in the given format.
#[must_use]
pub fn render(registry: &Registry, format: Format) -> Vec<u8> {
    match format {
        Format::Text => text(registry).into_bytes(),
        Format::Protobuf => protobuf(registry),
    }
}

#[cfg(test)]
mod tests;
