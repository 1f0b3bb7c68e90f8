//! Floor 1. Bytes as they come and go: sockets of either family, and the framing rules a message must keep.
//!
//! hyper parses HTTP; this room watches the same bytes for what hyper would pass on or hide (two framings at once, bare
//! line feeds, odd lengths), so that no message whose boundary two parsers could see differently ever crosses serin.
//! It never decides what is answered: it only says what is wrong.

pub mod grpc;
pub mod grpc_health;
mod head;
mod incoming;
mod io;
mod request;
mod response;
mod scratch;
mod socket;

pub use head::{Fault, HeadLimits};
pub use incoming::{Broken, Incoming};
pub use io::{PlainIo, drain_rewind, poll_read_inspected};
pub use request::{RequestScanner, Stopped};
pub use response::ResponseScanner;
pub use scratch::{READ_SIZE, with_scratch};
pub use socket::{PeerAddr, Socket};
