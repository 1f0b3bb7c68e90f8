//! Writes that two versions are to have, kept until both have them.
//!
//! A write is on the disk before it is sent ([`Journal::begin`]). The version whose answer the client gets is the
//! *authoritative* side; the *other* side gets the write once the authoritative one has applied it.
//!
//! # Order
//!
//! Each key has one line for each side. A write stands in the authoritative side's line until its outcome is known
//! ([`Ticket::settle`]), and in the other side's until it is delivered; only who is first in a side's line is sent there. So both
//! sides see the writes of a key in the order of the journal, whichever of them is authoritative for which write. Keys do not
//! wait for each other.
//!
//! # What becomes of a write
//!
//! | the authoritative side | then |
//! |---|---|
//! | applied it | it is delivered to the other side, again and again with the same idempotency key |
//! | refused it | the other side never gets it |
//! | unknown, and declared idempotent | it is sent there again with the same key; writes of the key wait until that is known |
//! | unknown otherwise, or still unknown after all tries | the other side does not get it, and its key is listed for reconciliation |
//!
//! An answer of the other side that says "not now" (408, 409, 425, 429, 5xx, none in time) is tried again, with growing pauses;
//! 409 is among them because it is what a version answers while it is still busy with the first of two equal idempotency keys.
//! Where the other side cannot even be reached, that is no fault of the write, and is not counted as a try: it ends with the bound
//! on age. Any other 4xx, 307 or 308, and "not now" too often, make it a **dead letter**. A dead letter stops its key: later writes
//! of it go to the authoritative side, and wait behind it for the other, until somebody has it tried again ([`Journal::retry`]) or
//! gives it up ([`Journal::give_up`]), which lists the key for reconciliation.
//! A `DELETE` that finds nothing (404, 410) counts as applied: what it wants is the case.
//!
//! # Crashes
//!
//! After a crash the outcome of a write that was on the disk and not settled is unknown, and the rule above applies. Settling and
//! delivering are written with the next group commit, not waited for: what a crash loses of that is sent once more with the same
//! idempotency key. Later writes to a key that is listed for reconciliation are allowed, and go to both sides.
//!
//! # No room, no disk
//!
//! Everything is bounded, by [`crate::plan::JournalRules`]. A write that finds no room, or no disk, is refused, or goes to the
//! authoritative side alone ([`Ticket::is_alone`]) and its key is listed. When the disk fails, the entries in memory are the truth:
//! deliveries go on, and the store is written anew from them as soon as that is possible.

mod book;
mod codec;
mod handle;
mod news;
#[cfg(test)]
mod simulation;
mod status;
mod store;
mod write;
mod writer;

pub(in crate::migration) use book::{Job, Said};
pub use handle::{Hold, Journal, OpenError, Ticket};
pub use news::News;
pub use status::{DeadLetter, Listed, Status};
pub use write::{Begun, MAX_KEY, MAX_WRITE, Outcome, Refused, Why, Write};
