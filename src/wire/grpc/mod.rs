//! What gRPC writes into HTTP: status codes, timeouts, messages and their frames, gRPC-Web's trailers.
//!
//! Sources: "gRPC over HTTP2" (`PROTOCOL-HTTP2.md`), "gRPC Web" (`PROTOCOL-WEB.md`) and "HTTP to gRPC Status Code Mapping"
//! (`http-grpc-status-mapping.md`) in the `doc` folder of the gRPC project.

mod code;
mod frame;
mod text;
mod timeout;
mod web;

pub use code::Code;
pub use frame::{BadMessage, decode, encode};
pub use text::message_value;
pub use timeout::{format_timeout, parse_timeout};
pub use web::WebTrailers;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Carries the status of a call: in the trailers, or in the head of an answer that has no more than that.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Carries a sentence about the status, percent-encoded.
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Carries how long the caller waits.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Headers that are looked at one by one: to hash a name costs as much as to compare it with so many.
const FEW: usize = 12;

/// The value of one of gRPC's headers.
#[must_use]
pub fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    if headers.len() > FEW {
        return headers.get(name);
    }
    headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}
