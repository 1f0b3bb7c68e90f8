//! HTTP/1 messages: where a head ends, what it says, a body taken apart and put together (RFC 9112).
//!
//! Stricter than the specification asks of a recipient: what two parsers could read differently is refused. A connection's
//! owner decides what a fault means.

mod decode;
mod encode;
mod inbound;
mod outbound;
mod parse;
mod reader;
mod scan;

pub use decode::{BodyDecoder, Piece};
pub use encode::{Framing, Seen, request_head, response_head};
pub use inbound::{Http1Body, INVITATION, Inbound};
pub use outbound::Outbound;
pub use parse::{request_parts, response_head_of};
pub use reader::RequestReader;
pub use scan::{Head, HeadScanner};
