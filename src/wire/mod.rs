//! Floor 1. Bytes as they come and go: sockets of either family, and HTTP messages on them.
//!
//! No message whose boundary two parsers could see differently ever crosses serin (two framings at once, bare line feeds,
//! odd lengths). This room never decides what is answered: it only says what is wrong.

pub mod clock;
pub mod grpc;
pub mod grpc_health;
mod head;
pub mod http1;
pub mod http2;
mod incoming;
mod io;
mod linger;
mod scratch;
mod socket;
mod spare;
mod tls;

pub use head::{Fault, HeadLimits, Length, Persistence};
pub use incoming::{Broken, Incoming};
pub use io::PlainIo;
pub use linger::linger;
pub use scratch::{READ_SIZE, give_back_spare, take_spare, with_scratch};
pub use socket::{PeerAddr, Socket};
pub use spare::{give_back_headers, take_headers};
