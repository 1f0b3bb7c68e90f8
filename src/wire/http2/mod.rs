//! HTTP/2 (RFC 9113): frames, header compression, streams and their windows, for either side of a connection.
//!
//! [`Connection`] is a machine without a socket: bytes that came are given to it, and what it has to say gathers in its
//! [`Outbound`]. Its owner moves the bytes, and everyone who has a stream on it shares it on one thread: there is no task,
//! no channel and no lock for a stream.
//!
//! Everything another side can make grow is bounded: header lists and the frames they come in (CVE-2024-27316), streams, what is
//! queued for one (by its window), answers to pings and settings (CVE-2019-9512, CVE-2019-9515: nothing is read while they are not
//! taken), frames that lead nowhere (CVE-2019-9511, CVE-2019-9513, CVE-2019-9514, CVE-2019-9516, CVE-2019-9518), and streams that are
//! opened only to be reset (CVE-2023-44487, CVE-2025-8671).

mod body;
mod connection;
mod error;
mod frame;
mod head;
mod hpack;
mod outbound;
mod reader;
mod repeats;
mod settings;
mod slots;
mod stream;
mod window;

pub use body::Http2Body;
pub use connection::{Arrival, Bounds, Connection};
pub use error::{Fault, Lost, Reason};
pub use outbound::Outbound;
pub use slots::Key;

/// What a client sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
