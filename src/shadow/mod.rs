//! Floor 3. Answers of two versions, compared where no request waits for it.
//!
//! Workers hand in pairs of answers by [`Comparing::hand_in`], which never waits; one thread compares them by the rules of
//! [`crate::diff`] and keeps a tally for each service, which whoever asks reads ([`Comparing::state`]). Nothing here knows
//! connections or requests, and nothing decides anything.

mod comparing;
mod state;
mod thread;

pub use comparing::{Comparing, Full, Pairing, Subject};
pub use state::DiffState;
