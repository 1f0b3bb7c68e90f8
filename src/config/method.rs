//! `method` of a match: a word for HTTP, a mapping for gRPC.

use serde_json::{Value, json};

use super::node::Kind;
use super::problem::Problems;
use super::read::{At, Cursor, Read};
use super::values::HttpMethod;
use super::written::GrpcMethod;

/// The method a request must have.
#[derive(Debug)]
pub(super) enum MethodMatch {
    /// As in Gateway API's `HTTPRoute`.
    Http(At<HttpMethod>),
    /// As in Gateway API's `GRPCRoute`.
    Grpc(GrpcMethod),
}

impl Read for MethodMatch {
    fn read(at: &Cursor<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        match &at.node.kind {
            Kind::Map(_) => GrpcMethod::read(at, problems).map(Self::Grpc),
            Kind::List(_) | Kind::Null => {
                at.mismatch("an HTTP method, or a mapping with keys of: type, service, method", problems);
                None
            }
            _ => At::read(at, problems).map(Self::Http),
        }
    }

    fn schema() -> Value {
        json!({ "oneOf": [<At<HttpMethod>>::schema(), GrpcMethod::schema()] })
    }
}
