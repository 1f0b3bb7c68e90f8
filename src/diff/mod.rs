//! Floor 1. Whether two answers to the same request say the same, and what to make of many such pairs.
//!
//! [`Rules::compare`] finds where two [`Answer`]s differ. A [`Tally`] counts such differences by route and place, beside
//! those between two answers of the *same* version, which are noise: timestamps, request ids, the order of a set. A place
//! is called different only once its differences are clearly more than that noise. Pure: nothing here knows a socket or a
//! clock.

mod answer;
mod compare;
mod encoding;
mod evidence;
mod json;
mod pattern;
mod render;
mod report;
mod rules;
mod select;
mod tally;

#[cfg(test)]
mod corpus;

pub use answer::Answer;
pub use compare::{Change, Comparison, Difference};
pub use encoding::{HEADERS_ALWAYS_KEPT, decoded};
pub use evidence::{Evidence, Finding, Worst};
pub use pattern::{PatternError, Patterns};
pub use report::{PlaceReport, RouteReport, SampleReport, Shares, Verdict};
pub use rules::Rules;
pub use tally::{Pair, Tally};
