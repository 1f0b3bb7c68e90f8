//! Copies of requests on their way to a version that answers nobody with them.
//!
//! A copy is a task of the worker beside the exchange it comes from, never inside its future. It has connections
//! ([`Arm`]), figures and bounds of its own; the exchange gives away a head and a [`crate::upstream::Tee`] and goes on.

mod arm;
mod brake;
mod capture;
mod copies;
mod copy;
mod paired;

pub(super) use arm::{Arm, Shadowing, of_migration, of_services};
pub(super) use capture::Capture;
pub(super) use copies::{Copies, ToCompare};
pub(super) use copy::Copy;
pub(super) use paired::Paired;
