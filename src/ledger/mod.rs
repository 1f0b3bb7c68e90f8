//! Floor 2. The record of every change: append-only JSON Lines, each line chained to the one before by its SHA-256.
//!
//! An [`Entry`] says who changed what, from what to what, and why. `control` appends (fsync included) before a change takes
//! effect; everybody else reads through a [`Reader`]. What was in force at the end of the record is a fold over its entries, the
//! [`State`]. This room decides nothing, knows no plan, and takes the time as an argument.
//!
//! # The format
//!
//! A folder has `ledger-<number of its first entry, 12 digits>.jsonl`, one entry a line, numbers from 1 without gaps. `before` in
//! an entry is the SHA-256 of the line before it, exactly as written, without its line end; that of entry 1 is all zeros. Entry 1
//! is the `genesis`; the first entry of every later file is `rotated` and holds the state so far, so that nobody needs the files
//! before it, and names what was pruned. `ledger.head` has the number and hash of the last entry: written after it, it is
//! never ahead, so entries that it knows and the files do not were taken away.

mod append;
mod bounds;
mod digest;
mod disk;
mod entry;
mod figures;
mod files;
mod folder;
mod graph;
mod memory;
mod open;
mod point;
mod read;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod timeline;
mod verify;
mod weights;

pub use append::{AppendError, Ledger};
pub use bounds::{MAX_DEPENDENCIES, MAX_REASON, OutOfBounds, clip};
pub use digest::Digest;
pub use entry::{About, Approval, Dependency, Draft, Entry, FileResult, Pruned, Source, What};
pub use figures::{Count, Counts, Figures};
pub use folder::{OpenError, Settings};
pub use graph::{Dot, Mermaid};
pub use point::Point;
pub use read::{MAX_PAGE, Page, Query, ReadError, Reader};
pub use state::{Agreed, State};
pub use time::Time;
pub use timeline::{Counted, Judged, Moment, Said, Timeline, Validation, Weighed, Withdrawal};
pub use verify::{Break, Verified};
pub use weights::Weights;
