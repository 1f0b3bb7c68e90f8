//! The demo of a migration: a service whose new version keeps names in two columns, moved there stage by stage under load.
//!
//! Both versions are built in and keep their people in memory, each in its own shape; what they say of a person is the same. The
//! stage is moved as an operator would, by an edit of `serin.yaml`.

mod clients;
mod play;
mod store;

pub use play::MigrationDemo;
