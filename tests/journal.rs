//! The journal of writes to two versions: through its own interface with real versions behind it, and through the binary,
//! killed again and again.

#[path = "journal/delivery.rs"]
mod delivery;
#[path = "journal/killed.rs"]
mod killed;
mod support;
#[path = "journal/versions.rs"]
mod versions;
