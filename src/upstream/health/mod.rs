//! Which addresses of which versions can take requests, known to the whole process.
//!
//! Workers tell how requests ended and read one flag per address; both are atomics, and only the request that makes up an
//! ejection goes further: it tries the lock of its version, and where that is taken leaves the rest to the control plane.
//! All else happens there ([`Health::run`]): asking the addresses themselves ([`probe`]), bringing them back when their
//! time has come, saying so in the log and the figures. What decides is the [`roster`], which knows no clock. The state of
//! a version lives for as long as the version answers at the same place, whatever else a reload changes.

mod address;
mod board;
mod checks;
mod probe;
mod roster;
mod version;

pub(in crate::upstream) use address::Witness;
pub use board::{Health, ServiceHealth};
pub use version::{AddressState, VersionHealth};
