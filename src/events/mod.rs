//! Floor 2. What happens, for whoever listens: every entry of the ledger as it is written, and what has none.
//!
//! An [`Event`] says what happened in one JSON object; the [`Feed`] numbers events and hands them to whoever follows it.
//! Nobody who follows can hold it up: who is too slow loses the oldest, and is told so. Nothing here decides anything, or
//! writes anything down. Its [`Secret`] signs what is sent to receivers, which `webhooks` does.

mod event;
mod feed;
mod secret;
mod verdict;

pub use event::{Event, Kind};
pub use feed::{Feed, Id, Told};
pub use secret::Secret;
