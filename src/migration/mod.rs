//! Floor 3. Moving a service's data from one version to another: writes that go to both, their journal, and whether both
//! versions say the same.
//!
//! [`journal`] keeps every write that two versions are to have until both have it, in the order it took effect in; [`deliver`]
//! takes it to the second of them; [`Client`] speaks to a version's addresses outside the request path. [`reconcile`] reads
//! things from both sides by their keys, says where they disagree and mends them; [`gates`] says what is missing before a
//! stage may be taken, and [`course`] where a migration goes by itself. Nothing here picks a version: who is asked first is said with each write.

mod client;
pub mod course;
pub mod deliver;
pub mod gates;
pub mod journal;
pub mod reconcile;

pub use client::{Client, Unanswered};
