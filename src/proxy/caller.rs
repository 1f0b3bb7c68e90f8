//! Who asks, and in which words serin may answer in a version's place.

use std::time::Duration;

use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode, request};

use super::problem::Problem;
use crate::plan::Rpc;
use crate::telemetry::{Failure, Refusal};
use crate::wire::grpc::{Code, GRPC_MESSAGE, GRPC_STATUS, GRPC_TIMEOUT, header, message_value, parse_timeout};

/// How a request is spoken, decided once from its method and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// HTTP.
    Http,
    /// gRPC or gRPC-Web, of this content type.
    Rpc(Rpc, HeaderValue),
}

/// What a page may read of an answer from another origin, where the origin may read it at all.
const EXPOSED: HeaderValue = HeaderValue::from_static("grpc-status, grpc-message, x-serin-error, x-serin-version");

impl Caller {
    /// The caller of a request.
    pub(super) fn of(request: &request::Parts) -> Self {
        match Rpc::with_type(request) {
            Some((rpc, content_type)) => Self::Rpc(rpc, content_type.clone()),
            None => Self::Http,
        }
    }

    /// How it calls; `None` for HTTP.
    pub(super) fn rpc(&self) -> Option<Rpc> {
        match self {
            Self::Http => None,
            Self::Rpc(rpc, _) => Some(*rpc),
        }
    }

    /// How long it waits for the answer as a whole. Malformed timeouts are none, as Envoy has it: the upstream gets them as
    /// they came and is the one to judge.
    pub(super) fn timeout(&self, headers: &HeaderMap) -> Option<Duration> {
        self.rpc()?;
        parse_timeout(header(headers, &GRPC_TIMEOUT)?)
    }

    /// The HTTP status this caller sees.
    pub(super) fn status(&self, problem: &Problem) -> StatusCode {
        match self {
            Self::Http => problem.status,
            // Libraries look for gRPC's own status, and some of them take no other HTTP status for an answer.
            Self::Rpc(..) => StatusCode::OK,
        }
    }

    /// The body for this caller; where there is none, the head says everything ("Trailers-Only").
    pub(super) fn body(&self, problem: &Problem) -> String {
        match self {
            Self::Http => problem.body(),
            Self::Rpc(..) => String::new(),
        }
    }

    /// The headers that tell this caller of a problem.
    pub(super) fn describe(&self, problem: &Problem, headers: &mut HeaderMap) {
        match self {
            Self::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
            }
            Self::Rpc(rpc, content_type) => {
                headers.insert(CONTENT_TYPE, content_type.clone());
                headers.insert(GRPC_STATUS, problem.code.value());
                headers.insert(GRPC_MESSAGE, message_value(problem.detail));
                if *rpc != Rpc::Grpc {
                    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
                }
            }
        }
    }
}

/// What a refusal is to a gRPC caller.
pub(super) fn code_of_refusal(refusal: Refusal) -> Code {
    match refusal {
        Refusal::NoRoute | Refusal::Unsupported | Refusal::MethodNotAllowed | Refusal::Migration => Code::Unimplemented,
        Refusal::Malformed | Refusal::MigrationKey => Code::Internal,
        Refusal::HeadersTooLarge | Refusal::BodyTooLarge | Refusal::ResetFlood => Code::ResourceExhausted,
        Refusal::HeaderTimeout | Refusal::DeadlinePassed | Refusal::BodyTimeout => Code::DeadlineExceeded,
        Refusal::TooManyConnections
        | Refusal::AcceptFailed
        | Refusal::Misdirected
        | Refusal::Overload
        | Refusal::Journal => Code::Unavailable,
    }
}

/// What a failure is to a gRPC caller. UNAVAILABLE is what callers try again, so it is said where another try may find an
/// upstream that answers.
pub(super) fn code_of_failure(failure: Failure) -> Code {
    match failure {
        Failure::Connect
        | Failure::ConnectTimeout
        | Failure::Reset
        | Failure::Protocol
        | Failure::Truncated
        | Failure::NoAddress => Code::Unavailable,
        Failure::Timeout => Code::DeadlineExceeded,
        // Whoever still listens has sent a body that is not well-formed.
        Failure::ClientGone | Failure::Internal => Code::Internal,
        Failure::BodyTooLarge => Code::ResourceExhausted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(method: &str, headers: &[(&str, &str)]) -> (Caller, HeaderMap) {
        let request = http::Request::builder().method(method).uri("/shop.Checkout/Pay");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let parts = request.body(()).unwrap().into_parts().0;
        (Caller::of(&parts), parts.headers)
    }

    #[test]
    fn a_caller_is_told_in_its_own_words() {
        let problem = Problem::refused(Refusal::NoRoute, "No route matches this request.");
        for content_type in ["application/grpc", "application/grpc+json", "application/grpc-web+proto"] {
            let (caller, _) = caller("POST", &[("content-type", content_type)]);
            let mut headers = HeaderMap::new();
            caller.describe(&problem, &mut headers);
            assert_eq!((caller.status(&problem), caller.body(&problem)), (StatusCode::OK, String::new()));
            assert_eq!(headers["content-type"], content_type);
            assert_eq!(headers["grpc-status"], "12");
            assert_eq!(headers["grpc-message"], "No route matches this request.");
            assert_eq!(headers.contains_key("access-control-expose-headers"), content_type.contains("web"));
        }
        let (caller, _) = caller("GET", &[("content-type", "application/grpc")]);
        let mut headers = HeaderMap::new();
        caller.describe(&problem, &mut headers);
        assert_eq!((caller.status(&problem), headers.len()), (StatusCode::NOT_FOUND, 1));
        assert_eq!(headers["content-type"], "application/problem+json");
    }

    #[test]
    fn only_a_well_formed_timeout_of_a_call_counts() {
        let timeout = |content_type, timeout| {
            let (caller, headers) = caller("POST", &[("content-type", content_type), ("grpc-timeout", timeout)]);
            caller.timeout(&headers)
        };
        assert_eq!(timeout("application/grpc", "5S"), Some(Duration::from_secs(5)));
        assert_eq!(timeout("application/grpc-web-text", "5m"), Some(Duration::from_millis(5)));
        assert_eq!(timeout("application/grpc", "5 seconds"), None);
        assert_eq!(timeout("application/json", "5S"), None);
    }
}
