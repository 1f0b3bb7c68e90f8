//! Floor 3. Moving a service's data from one version to another: writes that go to both, and their journal.
//!
//! [`journal`] keeps every write that two versions are to have until both have it, in the order it took effect in; [`deliver`]
//! takes it to the second of them; [`Client`] speaks to a version's addresses outside the request path. Nothing here picks a
//! version: who is asked first is said with each write.

mod client;
pub mod deliver;
pub mod journal;

pub use client::{Client, Unanswered};
