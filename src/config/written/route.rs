//! Which requests go where.

use crate::config::method::MethodMatch;
use crate::config::read::{At, List, written};
use crate::config::values::{
    Count, FieldName, FlagKey, Hostname, MatchType, Name, PathMatchType, Period, Priority, Size, Text, Timeout,
};

use super::filter::Filter;

written! {
    /// Which requests, what is done to them, where they go.
    Route {
        /// A name for messages, unique among routes.
        optional "name" name: At<Name>,
        /// Host names, exact or `*.example.com`. Default: all.
        optional "hostnames" hostnames: List<At<Hostname>, 1, 128>,
        /// Alternatives, one of which must hold. Default: every path.
        optional "matches" matches: List<Match, 1, 128>,
        /// What is changed on the way, in this order.
        optional "filters" filters: List<Filter, 1, 16>,
        /// The service that answers; left out only where a filter redirects.
        optional "service" service: At<Name>,
        /// Bounds on the exchange.
        optional "timeouts" timeouts: Timeouts,
        /// How much these requests matter when the service is overloaded. high: never shed before others. low: shed first. Default: normal.
        optional "priority" priority: At<Priority>,
        /// When a request is sent to its version again: one with an idempotent method or an `Idempotency-Key`, or of which nothing was sent. Without it never.
        optional "retry" retry: Retry,
        /// Flags whose values are sent to the upstream, each in a header `x-serin-flag-<key>`; what clients send under such names is removed. Default: none.
        optional "flags" flags: List<At<FlagKey>, 0, 16>,
    }

    /// When a request is sent to its version again. Failures to connect, resets and timeouts of a try are always reasons.
    Retry {
        /// Statuses that are reasons as well. Default: none.
        optional "codes" codes: List<At<Count<400, 599>>, 0, 64>,
        /// Most tries after the first. Default: 1.
        optional "attempts" attempts: At<Count<0, 10>>,
        /// Shortest wait before the next try; it grows up to ten times this. Default: 25ms.
        optional "backoff" backoff: At<Period>,
        /// Most bytes of a request's body that are kept for sending it again. Default: 64KiB.
        optional "bodyBytes" body_bytes: At<Size<0, { 1 << 24 }>>,
    }

    /// One alternative: everything in it must hold.
    Match {
        /// How the path must look. Default: `PathPrefix` and `/`.
        optional "path" path: PathMatch,
        /// Headers that must be present with these values.
        optional "headers" headers: List<HeaderMatch, 1, 64>,
        /// Query parameters that must be present with these values.
        optional "queryParams" query_params: List<QueryMatch, 1, 64>,
        /// The HTTP method; or, as a mapping, the gRPC service and method, as in Gateway API's `GRPCRoute`. Default: any.
        optional "method" method: MethodMatch,
    }

    /// A gRPC service, method or both. Holds for gRPC and gRPC-Web calls alone.
    GrpcMethod {
        /// Default: Exact.
        optional "type" kind: At<MatchType>,
        /// The service with its package, such as shop.Checkout, or a regular expression for the whole of that. Default: any.
        optional "service" service: At<Text>,
        /// The method, or a regular expression for the whole of it. Default: any.
        optional "method" method: At<Text>,
    } also { "anyOf": [{ "required": ["service"] }, { "required": ["method"] }] }

    /// How the path must look.
    PathMatch {
        /// `PathPrefix` matches whole path elements. Default: `PathPrefix`.
        optional "type" kind: At<PathMatchType>,
        /// The path, prefix, or regular expression for the whole path. Default: /.
        optional "value" value: At<Text>,
    }

    /// A header that must be present with this value.
    HeaderMatch {
        /// Default: Exact.
        optional "type" kind: At<MatchType>,
        /// The header's name.
        required "name" name: At<FieldName>,
        /// The value, or a regular expression for the whole value.
        required "value" value: At<Text>,
    }

    /// A query parameter that must be present with this value.
    QueryMatch {
        /// Default: Exact.
        optional "type" kind: At<MatchType>,
        /// The parameter's name.
        required "name" name: At<Text>,
        /// The value, or a regular expression for the whole value.
        required "value" value: At<Text>,
    }

    /// How long parts of an exchange may take; `0s` is no bound.
    Timeouts {
        /// From the request's head to the response's last byte. Default: no bound.
        optional "request" request: At<Timeout>,
        /// One try at one upstream. Default: no bound.
        optional "backendRequest" backend_request: At<Timeout>,
        /// Longest silence of the upstream, before its response or within it. Default: `responseIdleTimeout` of `upstreams`.
        optional "idle" idle: At<Timeout>,
        /// Longest time to open a connection; always bounded. Default: `connectTimeout` of `upstreams`.
        optional "connect" connect: At<Period>,
    }
}
