//! What serin answers by itself: problem documents (RFC 9457) that say which kind of trouble it was.

use http::{HeaderValue, StatusCode};

use super::caller::{code_of_failure, code_of_refusal};
use crate::telemetry::{Failure, Refusal};
use crate::wire::Fault;
use crate::wire::grpc::Code;

/// An answer of serin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The status for gRPC callers.
    pub(super) code: Code,
    /// The value of `x-serin-error`.
    pub(super) kind: &'static str,
    /// A sentence for a person.
    pub(super) detail: &'static str,
}

impl Problem {
    pub(super) const CONTENT_TYPE: &'static str = "application/problem+json";

    /// For a request that never reached a version.
    pub(super) fn refused(refusal: Refusal, detail: &'static str) -> Self {
        let status = match refusal {
            Refusal::NoRoute => StatusCode::NOT_FOUND,
            Refusal::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::HeaderTimeout | Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Refusal::DeadlinePassed => StatusCode::GATEWAY_TIMEOUT,
            Refusal::TooManyConnections | Refusal::AcceptFailed | Refusal::Overload | Refusal::Journal => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Refusal::ResetFlood => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Unsupported | Refusal::Migration => StatusCode::NOT_IMPLEMENTED,
            Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Malformed | Refusal::MigrationKey => StatusCode::BAD_REQUEST,
        };
        Self { status, code: code_of_refusal(refusal), kind: refusal.label(), detail }
    }

    /// For a request that could not be read.
    pub(super) fn unreadable(fault: Fault) -> (Refusal, Self) {
        let (refusal, detail) = match fault {
            Fault::Malformed(what) => (Refusal::Malformed, what),
            Fault::TooLarge => (Refusal::HeadersTooLarge, "The request head is larger than allowed."),
            Fault::UnknownCoding => (Refusal::Unsupported, "The transfer coding is not known here."),
        };
        (refusal, Self::refused(refusal, detail))
    }

    /// For a request whose version did not answer it.
    pub(super) fn failed(failure: Failure) -> Self {
        let (status, detail) = match failure {
            Failure::Connect => (StatusCode::BAD_GATEWAY, "The upstream cannot be connected to."),
            Failure::ConnectTimeout => (StatusCode::GATEWAY_TIMEOUT, "The upstream took too long to connect to."),
            Failure::Timeout => (StatusCode::GATEWAY_TIMEOUT, "The upstream took too long to answer."),
            Failure::Reset => (StatusCode::BAD_GATEWAY, "The upstream closed the connection without an answer."),
            Failure::Protocol => (StatusCode::BAD_GATEWAY, "The upstream's answer is not HTTP."),
            Failure::Truncated => (StatusCode::BAD_GATEWAY, "The upstream's answer ended early."),
            Failure::ClientGone => {
                return Self::refused(
                    Refusal::Malformed,
                    "The request body is not well-formed, or did not arrive whole.",
                );
            }
            Failure::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The request body is larger than allowed."),
            Failure::NoAddress => (StatusCode::BAD_GATEWAY, "The upstream has no address."),
            Failure::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "serin failed."),
        };
        Self { status, code: code_of_failure(failure), kind: failure.label(), detail }
    }

    /// The document.
    pub(super) fn body(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        // Invariant: kinds and details are serin's own words, without anything JSON would escape.
        format!(
            "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{},\"detail\":\"{}\",\"kind\":\"{}\"}}\n",
            self.status.as_u16(),
            self.detail,
            self.kind
        )
    }

    /// The kind as a header value.
    pub(super) fn kind_header(&self) -> HeaderValue {
        HeaderValue::from_static(self.kind)
    }
}
