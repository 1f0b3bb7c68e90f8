//! Routes with the meaning of Gateway API's `HTTPRoute` (v1).
//!
//! Several alternatives of several routes may hold for a request. The winner is found by these questions, each asked only
//! where the ones before leave a tie:
//!
//! 1. Whose host name is most specific? An exact name, then the longest wildcard, then routes for all hosts.
//! 2. Whose path? `Exact`, then `RegularExpression`, then the longest `PathPrefix`, a trailing slash not counted. The
//!    specification leaves the place of regular expressions open; this is where Envoy Gateway and Cilium have them too.
//! 3. Who names the method?
//! 4. Who asks for most headers?
//! 5. Who asks for most query parameters?
//! 6. Who stands first in the file?
//!
//! An alternative that names a gRPC service or method has `GRPCRoute`'s meaning: it holds only for calls, which are POSTs of
//! gRPC's or gRPC-Web's content type, and it is asked before every path. Among several of them, after the host name: who
//! names the service, `Exact` before `RegularExpression`? Who the method, in the same order? Who asks for most headers?
//! Who stands first in the file? (Where two hold they name the same characters, which are what the specification counts.)
//!
//! Only alternatives that hold take part: where nothing of the more specific host name holds for a request, the less
//! specific ones are asked. The specification gives the more specific host "precedence" and says no more; implementations
//! made of virtual hosts answer 404 instead.
//!
//! What the specification leaves open, as it is here: Paths are compared as they were sent, without decoding or resolving
//! dots. Regular expressions match case-sensitively. A repeated header is one value joined by commas (`cookie` by `"; "`, as
//! RFC 9113 splits it). Of a repeated query parameter the first counts; names and values are compared after percent-decoding.

mod host;
mod index;
mod matching;

pub use host::normalize_host;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, request};

use super::{Filter, Priority, Retry, RouteFlag, Rpc, ServiceId, rpc};

/// A host name a route answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This name alone, in lower case.
    Exact(String),
    /// `*.example.com`: any name with one or more labels before this suffix (kept without the star, with its dot).
    Wildcard(String),
}

/// The host of a request: lower case, without port. [`normalize_host`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a>(pub &'a str);

/// A literal or a pattern that a header or query value must match.
#[derive(Debug, Clone)]
pub enum ValueMatch {
    /// The value itself.
    Exact(String),
    /// A regular expression, compiled to match only whole values (`\A(?:…)\z`).
    Regex(regex::Regex),
}

/// How a path must look.
#[derive(Debug, Clone)]
pub enum PathMatch {
    /// The path itself.
    Exact(String),
    /// Whole path elements: `/a` and `/a/` match `/a`, `/a/` and `/a/b`, never `/ab`; `/` matches every request.
    Prefix(String),
    /// A regular expression, compiled to match only whole paths (`\A(?:…)\z`).
    Regex(regex::Regex),
    /// A call of gRPC's.
    Call(CallMatch),
}

/// What a call must be for; at least one of the two is there.
#[derive(Debug, Clone)]
pub struct CallMatch {
    /// The service with its package, such as `shop.Checkout`; `None`: any.
    pub service: Option<ValueMatch>,
    /// The method; `None`: any.
    pub method: Option<ValueMatch>,
}

/// A header that must be present with a matching value.
#[derive(Debug, Clone)]
pub struct HeaderMatch {
    /// Which header.
    pub name: HeaderName,
    /// What it must be.
    pub value: ValueMatch,
}

/// A query parameter that must be present with a matching value.
#[derive(Debug, Clone)]
pub struct QueryMatch {
    /// Which parameter.
    pub name: String,
    /// What it must be.
    pub value: ValueMatch,
}

/// One alternative of a route: everything in it must hold.
#[derive(Debug, Clone)]
pub struct RouteMatch {
    /// The path.
    pub path: PathMatch,
    /// The method; `None`: any.
    pub method: Option<Method>,
    /// Headers, all of which must match. Of several with one name only the first counts.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters, all of which must match. Of several with one name only the first counts.
    pub query: Vec<QueryMatch>,
}

/// How long parts of an exchange may take. `None`: no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// From the request's head to the response's last byte.
    pub request: Option<Duration>,
    /// One try at one upstream, from sending it to its response's last byte.
    pub backend_request: Option<Duration>,
    /// Longest silence of the upstream while a request waits for it: before the response, or within its body.
    pub idle: Option<Duration>,
    /// Longest time to open a connection. `None`: as for every upstream ([`UpstreamSettings`](super::UpstreamSettings)).
    pub connect: Option<Duration>,
}

impl Timeouts {
    /// The same, but no longer than whoever asks waits.
    #[must_use]
    pub fn within(self, deadline: Option<Duration>) -> Self {
        Self { request: self.request.into_iter().chain(deadline).min(), ..self }
    }
}

/// One rule: which requests, what is done to them, where they go.
#[derive(Debug, Clone)]
pub struct Route {
    /// Host names; empty: all.
    pub hostnames: Vec<HostPattern>,
    /// Alternatives; empty means every path.
    pub matches: Vec<RouteMatch>,
    /// Applied in order.
    pub filters: Vec<Filter>,
    /// The service that answers; `None` only where a redirect filter answers instead.
    pub service: Option<ServiceId>,
    /// Bounds on the exchange.
    pub timeouts: Timeouts,
    /// How much its requests matter when not all of them can be served.
    pub priority: Priority,
    /// When a request is sent to its version again. `None`: never.
    pub retry: Option<Retry>,
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// The flags whose values are sent to the upstream.
    pub flags: Vec<RouteFlag>,
}

/// All routes, indexed so that finding one hardly depends on how many there are.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    index: index::Hosts,
}

/// The route a request matched.
#[derive(Debug, Clone, Copy)]
pub struct Matched<'a> {
    /// The route.
    pub route: &'a Route,
    /// Its place in [`RouteTable::routes`].
    pub position: usize,
    /// The path prefix that matched, for `ReplacePrefixMatch`; `None` where the match was no prefix.
    pub prefix: Option<&'a str>,
}

impl RouteTable {
    /// Builds the table; `routes` are in the order of the file.
    #[must_use]
    pub fn new(mut routes: Vec<Route>) -> Self {
        for route in &mut routes {
            if route.matches.is_empty() {
                route.matches.push(RouteMatch::everything());
            }
            route.matches.iter_mut().for_each(RouteMatch::drop_repeated);
        }
        let index = index::Hosts::new(&routes);
        Self { routes, index }
    }

    /// The routes in the order of the file, with at least one alternative each.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route for a request by the precedence given at the head of this module.
    ///
    /// Allocates only to decode a query parameter for a regular expression or to join a repeated header.
    #[must_use]
    pub fn find(&self, host: Host<'_>, request: &request::Parts) -> Option<Matched<'_>> {
        let path = request.uri.path();
        let call = if self.index.has_calls() { Rpc::of_request(request).and_then(|_| rpc::called(path)) } else { None };
        let (position, route, found) = self
            .index
            .by_precedence(host.0, path, call)
            .map(|entry| {
                let route = &self.routes[entry.route];
                (entry.route, route, &route.matches[entry.alternative])
            })
            .find(|(_, _, alternative)| alternative.holds(request))?;
        let prefix = match &found.path {
            PathMatch::Prefix(prefix) => Some(prefix.as_str()),
            PathMatch::Exact(_) | PathMatch::Regex(_) | PathMatch::Call(_) => None,
        };
        Some(Matched { route, position, prefix })
    }
}

#[cfg(test)]
mod call_tests;
#[cfg(test)]
mod tests;
