//! Floor 5. The demo: two built-in versions of a service, traffic of known users, and a rollout from one to the other; and
//! another one of a service whose data moves ([`MigrationDemo`]).
//!
//! Everything is real but the service: upstreams, clients and the proxy between them talk through sockets, and the split
//! changes because serin's own rollout says so. The proxy itself is not started here (that is for the command line); this
//! room starts the rollout as a person would, makes the new version turn bad where the scenario says so, watches, and
//! decides nothing. Figures are the clients' own.

mod files;
mod messages;
mod migration;
mod play;
mod prepare;
mod scenario;
mod screen;
mod summary;
mod tally;
mod traffic;
mod upstream;

pub use messages::Messages;
pub use migration::MigrationDemo;
pub use prepare::{Demo, DemoError, Options, Proxy, Show};
pub use scenario::Scenario;

/// The versions, oldest first; an index into this is how the demo's figures are kept.
const VERSIONS: [&str; 2] = ["old", "new"];
const OLD: usize = 0;
const NEW: usize = 1;
/// The service they are versions of.
const SERVICE: &str = "checkout";
