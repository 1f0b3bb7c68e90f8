//! `serin.yaml` and the weight file as they are written. The doc comments are the descriptions in `serin schema`.

use super::method::MethodMatch;
use super::read::{At, List, Named, written};
use super::values::{
    Bind, CertificatePart, Cidr, ClientAuth, Collector, Count, Factor, FallbackCause, FieldName, FieldValue, FilePath,
    FilterType, FollowSource, Hostname, LogFormat, MatchType, Moment, Name, PathMatchType, PathModifierType, Percent,
    Period, Priority, ProbeType, Protocol, RedirectStatus, Scheme, ServerName, Share, Size, Text, Timeout, TlsVersion,
    Tolerance, Upstream, Yes,
};

/// Most services of one file, which also bounds `plan::ServiceId`.
pub(super) const MAX_SERVICES: usize = 1_000;
/// Most versions of one service, which also bounds `plan::VersionId`.
pub(super) const MAX_VERSIONS: usize = 64;
/// Most requests of one version at a time.
pub(super) const MAX_CONCURRENCY: u32 = 100_000;
/// Most routes of one file.
const MAX_ROUTES: usize = 2_000;

/// Weights of one service by version.
pub(super) type Weights = Named<At<Share>, 1, MAX_VERSIONS>;
/// The weight file: weights by service. `{}` names none.
pub(super) type WeightFile = Named<Weights, 0, MAX_SERVICES>;

/// Headers of a filter.
pub(super) type Headers = List<Header, 1, 64>;

written! {
    /// Configuration of serin, a feature-flag and traffic-split sidecar proxy.
    Serin {
        /// Where clients connect.
        required "listeners" listeners: List<Listener, 1, 64>,
        /// The admin API: health, metrics, weights. Without it there is none.
        optional "admin" admin: Endpoint,
        /// The flag evaluation API. No effect yet in this version.
        optional "ofrep" ofrep: Endpoint,
        /// Number of workers, each on its own thread. Default: the cores that the cgroup grants.
        optional "workers" workers: At<Count<1, 1024>>,
        /// Folder of the ledger and the journal. No effect yet in this version.
        optional "stateDir" state_dir: At<FilePath>,
        /// How long requests in flight may take to finish once serin is told to stop. Default: 30s.
        optional "drainTimeout" drain_timeout: At<Period>,
        /// Other files in use; all of them are watched.
        optional "files" files: Files,
        /// Bounds on what clients may send, and how slowly.
        optional "limits" limits: Limits,
        /// How connections to upstreams are opened and kept.
        optional "upstreams" upstreams: Upstreams,
        /// How many tries may be added to those that clients ask for, for each service and worker.
        optional "retryBudget" retry_budget: RetryBudget,
        /// What is believed of `X-Forwarded-*` headers that come in.
        optional "forwarded" forwarded: Forwarded,
        /// One line for every request. Without it there is none.
        optional "accessLog" access_log: AccessLog,
        /// Spans of requests, exported by OTLP. Without it there are none, and `traceparent` passes as it came.
        optional "tracing" tracing: Tracing,
        /// Services by name, each with its versions.
        required "services" services: Named<Service, 1, MAX_SERVICES>,
        /// Which requests go to which service; the most specific match wins, as in Gateway API's `HTTPRoute`.
        required "routes" routes: List<Route, 1, MAX_ROUTES>,
    }

    /// An address that clients connect to.
    Listener {
        /// A name for messages, unique among listeners. Default: the address.
        optional "name" name: At<Name>,
        /// `host:port`, `[::]:port` or `unix:/path`; port 0 lets the system choose.
        required "address" address: At<Bind>,
        /// TLS. Without it clients speak plain HTTP.
        optional "tls" tls: ListenerTls,
    }

    /// TLS of a listener: one certificate, or several of which the name that a client asks for chooses.
    ListenerTls {
        /// PEM file: the certificate, then those that lead to its root. It is watched, as all files of TLS are.
        optional "certificate" certificate: At<FilePath>,
        /// PEM file: the certificate's private key, not encrypted.
        optional "key" key: At<FilePath>,
        /// PEM file: the CAs that vouch for clients.
        optional "clientCa" client_ca: At<FilePath>,
        /// Whether clients show a certificate. Default: required where there is a `clientCa`, else none.
        optional "clientAuth" client_auth: At<ClientAuth>,
        /// Several certificates, in place of the keys above. The first is for clients that ask for no name, or an unknown one.
        optional "certificates" certificates: List<ListenerCertificate, 1, 64>,
        /// The oldest version that is spoken. Default: 1.2, in quotes.
        optional "minVersion" min_version: At<TlsVersion>,
    } also { "oneOf": [{ "required": ["certificate", "key"] }, { "required": ["certificates"] }] }

    /// One of several certificates of a listener, for the names in it.
    ListenerCertificate {
        /// PEM file: the certificate, then those that lead to its root.
        required "certificate" certificate: At<FilePath>,
        /// PEM file: the certificate's private key, not encrypted.
        required "key" key: At<FilePath>,
        /// PEM file: the CAs that vouch for clients.
        optional "clientCa" client_ca: At<FilePath>,
        /// Whether clients show a certificate. Default: required where there is a `clientCa`, else none.
        optional "clientAuth" client_auth: At<ClientAuth>,
    }

    /// An address that serin itself answers on.
    Endpoint {
        /// `host:port`, `[::]:port` or `unix:/path`.
        required "address" address: At<Bind>,
    }

    /// Other files in use; paths are relative to the folder of this file.
    Files {
        /// The weight file, the one that operators edit.
        optional "weights" weights: At<FilePath>,
        /// The flag definitions. No effect yet in this version.
        optional "flags" flags: At<FilePath>,
    }

    /// Bounds on what clients may send, and how slowly.
    Limits {
        /// Most bytes of a request head; more is answered 431. Default: 32KiB.
        optional "headerBytes" header_bytes: At<Size<1024, { 1 << 20 }>>,
        /// Most header lines of a request; more is answered 431. Default: 100.
        optional "headerCount" header_count: At<Count<1, 4096>>,
        /// Most bytes of a request body; more is answered 413. Default: no bound.
        optional "bodyBytes" body_bytes: At<Size<1, { 1 << 40 }>>,
        /// From the first byte of a request head to its last; longer is answered 408. Default: 10s.
        optional "headerTimeout" header_timeout: At<Period>,
        /// How long a client connection may be silent. Default: 75s.
        optional "idleTimeout" idle_timeout: At<Period>,
        /// Most client connections; one more is answered 503. Default: 10000.
        optional "connections" connections: At<Count<1, 1_000_000>>,
        /// Bounds of one HTTP/2 connection.
        optional "http2" http2: Http2Limits,
    }

    /// Bounds of one HTTP/2 connection.
    Http2Limits {
        /// Most concurrent streams. Default: 128.
        optional "streams" streams: At<Count<1, 10_000>>,
        /// Most streams that the client reset and the worker has not yet seen; more closes the connection. Default: 32.
        optional "pendingResets" pending_resets: At<Count<1, 10_000>>,
    }

    /// How connections to upstreams are opened and kept.
    Upstreams {
        /// Longest time to open a connection. Default: 2s.
        optional "connectTimeout" connect_timeout: At<Period>,
        /// How long an unused connection is kept. Default: 30s.
        optional "idleTimeout" idle_timeout: At<Period>,
        /// Longest silence of an upstream while a request waits for it. Default: 60s.
        optional "responseIdleTimeout" response_idle_timeout: At<Period>,
        /// Most unused connections kept for each address and worker. Default: 256.
        optional "idleConnections" idle_connections: At<Count<0, 100_000>>,
        /// Most connections, used or not, to each address from each worker; whoever needs one more waits for at most `connectTimeout`. Default: no bound.
        optional "connections" connections: At<Count<1, 100_000>>,
        /// How often a DNS name is resolved again. Default: 5s.
        optional "resolveInterval" resolve_interval: At<Period>,
        /// Silence after which an HTTP/2 connection is asked for a sign of life; one that gives none within `connectTimeout` is closed. 0s: never. Default: 10s.
        optional "pingInterval" ping_interval: At<Timeout>,
    }

    /// How many tries may be added to those that clients ask for, for each service and worker.
    RetryBudget {
        /// Most retries for a hundred requests of the last ten seconds. Default: 20.
        optional "percent" percent: At<Count<0, 100>>,
        /// So many a second are allowed however few requests there are; it holds for fallbacks as well. Default: 3.
        optional "minPerSecond" min_per_second: At<Count<0, 10_000>>,
    }

    /// What is believed of `X-Forwarded-*` headers that come in.
    Forwarded {
        /// Address ranges of peers whose `X-Forwarded-*` headers are kept and appended to; from all others they are replaced.
        required "trust" trust: List<At<Cidr>, 0, 256>,
    }

    /// One line for every request.
    AccessLog {
        /// A file, or `-` for standard output.
        required "path" path: At<FilePath>,
        /// Default: json.
        optional "format" format: At<LogFormat>,
    }

    /// Spans of requests, exported by OTLP over HTTP.
    Tracing {
        /// The collector's base URL, such as `http://127.0.0.1:4318`; `/v1/traces` is put after it.
        required "otlp" otlp: At<Collector>,
        /// How many of the traces that begin here are recorded; of all others their `traceparent` says. Default: 1%.
        optional "sample" sample: At<Percent<0>>,
        /// `service.name` of the spans. Default: serin.
        optional "serviceName" service_name: At<Text>,
    }

    /// One service: several versions of the same thing, and how requests are shared among them.
    Service {
        /// Versions by name, in order of age: the last is the newest.
        required "versions" versions: Named<Version, 1, MAX_VERSIONS>,
        /// Where the key stands that decides the version; the first present in a request wins. Without one, each request draws.
        optional "sticky" sticky: List<Sticky, 1, 16>,
        /// Weights by version, used where the weight file does not name the service. A version left out gets 0. Default: all to the first version, the oldest.
        optional "weights" weights: Weights,
        /// Lets chosen clients pick a version by a header. Without it nobody can.
        optional "override" version_override: Override,
        /// How the addresses of all versions are asked whether they are well. Without it they are not.
        optional "health" health: Health,
        /// When an address is ejected for how it treats requests. What is left out has its default.
        optional "outliers" outliers: Outliers,
        /// Bounds on the requests each version is given at a time; `{}` for all defaults. Without it there are none.
        optional "overload" overload: Overload,
        /// Which version answers what the others fail, where a request may be sent again. Without it none does.
        optional "fallback" fallback: Fallback,
        /// Follow the version that a trusted peer's W3C `baggage` names in `serin.<service>=<version>`, and announce the own version there. Default: baggage is left alone.
        optional "follow" follow: At<FollowSource>,
        /// Address ranges of peers whose `serin.` entries are followed; those of all others are removed. `[]` announces only. Default: `forwarded.trust`.
        optional "followFrom" follow_from: List<At<Cidr>, 0, 256>,
        /// Faults put into requests of a version, for drills; of those that strike a request, the first counts. Default: none.
        optional "faults" faults: List<Fault, 0, 16>,
    }

    /// A fault put into requests of one version: a delay, and at most one of abort, reset and slowBody.
    Fault {
        /// A name for figures and answers, unique within the service.
        required "name" name: At<Name>,
        /// The version whose requests are hurt, and which the fault counts against.
        required "version" version: At<Name>,
        /// How many of its requests, such as `10%`. Default: all of those with the header.
        optional "share" share: At<Percent<1>>,
        /// Only requests with this header. Default: all of the share.
        optional "header" header: Header,
        /// The request waits before it is sent on.
        optional "delay" delay: FaultDelay,
        /// serin answers with an error in the version's place.
        optional "abort" abort: FaultAbort,
        /// The client's connection (HTTP/1) or stream (HTTP/2) is reset.
        optional "reset" reset: At<Yes>,
        /// The response's body comes slowly.
        optional "slowBody" slow_body: SlowBody,
        /// Most requests under this fault at one time; further ones are left alone. Default: 100.
        optional "maxConcurrent" max_concurrent: At<Count<1, 100_000>>,
        /// When it stops by itself, as RFC 3339 writes it; at most 24 hours after the file is read.
        required "until" until: At<Moment>,
    }

    /// How long a request waits: exactly one of these keys, each at most 5 minutes.
    FaultDelay {
        /// Always as long.
        optional "fixed" fixed: At<Period>,
        /// Evenly distributed between two durations.
        optional "uniform" uniform: List<At<Period>, 2, 2>,
        /// Exponentially distributed with this mean, cut at ten times the mean.
        optional "exponential" exponential: At<Period>,
    } also { "minProperties": 1, "maxProperties": 1 }

    /// The error of an abort: exactly one of these keys. Every caller is answered in its own protocol.
    FaultAbort {
        /// An HTTP status.
        optional "status" status: At<Count<400, 599>>,
        /// A gRPC status.
        optional "grpcStatus" grpc_status: At<Count<1, 16>>,
    } also { "minProperties": 1, "maxProperties": 1 }

    /// How slowly a response's body comes.
    SlowBody {
        /// Bytes a second.
        required "bytesPerSecond" bytes_per_second: At<Size<1, { 1 << 30 }>>,
    }

    /// One version of a service.
    Version {
        /// Where it answers: `http://host:port`, `https://host:port` or `unix:/path`.
        optional "upstream" upstream: At<Upstream>,
        /// Where it answers, if at several addresses.
        optional "upstreams" upstreams: List<At<Upstream>, 1, 256>,
        /// auto: HTTP/1.1, but HTTP/2 for gRPC that came over HTTP/2. http1, h2: always that. Default: auto.
        optional "protocol" protocol: At<Protocol>,
        /// TLS towards it, where its addresses are `https`.
        optional "tls" tls: UpstreamTls,
        /// How its addresses are asked whether they are well, in place of what the service says.
        optional "health" health: Health,
    } also { "oneOf": [{ "required": ["upstream"] }, { "required": ["upstreams"] }] }

    /// TLS towards a version.
    UpstreamTls {
        /// PEM file: the CAs that vouch for it. Default: the system's.
        optional "ca" ca: At<FilePath>,
        /// The name that its certificate must have. Default: the host of its URL.
        optional "serverName" server_name: At<ServerName>,
        /// PEM file: a certificate to show to it.
        optional "certificate" certificate: At<FilePath>,
        /// PEM file: the private key of that certificate.
        optional "key" key: At<FilePath>,
    } also { "dependentRequired": { "certificate": ["key"], "key": ["certificate"] } }

    /// How addresses are asked whether they are well.
    Health {
        /// http: a GET answered with an expected status. grpc: `grpc.health.v1.Health/Check` answered with `SERVING`. tcp: that it can be connected to.
        required "type" kind: At<ProbeType>,
        /// Path and query of the GET; only with `http`. Default: /.
        optional "path" path: At<Text>,
        /// The host named in the question; with `http` and `grpc`. Default: the address as configured.
        optional "host" host: At<Text>,
        /// The statuses of a good answer; only with `http`. Default: `[200]`.
        optional "expect" expect: List<At<Count<200, 599>>, 1, 32>,
        /// The gRPC service asked for; only with `grpc`. Default: none, which is the server as a whole.
        optional "service" service: At<Text>,
        /// From one question to the next. Default: 5s.
        optional "interval" interval: At<Period>,
        /// Longest wait for an answer. Default: 1s.
        optional "timeout" timeout: At<Period>,
        /// Good answers in a row after which an unhealthy address is used again. Default: 2.
        optional "healthyAfter" healthy_after: At<Count<1, 100>>,
        /// Bad answers in a row after which an address is no longer used. Default: 3.
        optional "unhealthyAfter" unhealthy_after: At<Count<1, 100>>,
    }

    /// When an address is ejected for how it treats requests, and for how long.
    Outliers {
        /// Failures in a row that eject an address: connections that fail or break off, no answer in time, 502, 503, 504, gRPC's UNAVAILABLE. 0: none do. Default: 5.
        optional "consecutiveFailures" consecutive_failures: At<Count<0, 100_000>>,
        /// Ejects an address that fails clearly more often than the others. Without it none is.
        optional "successRate" success_rate: SuccessRate,
        /// How often success rates are compared and the back-off of good addresses shrinks. Default: 10s.
        optional "interval" interval: At<Period>,
        /// How long the first ejection of an address lasts; the n-th in a row lasts n times as long. Default: 30s.
        optional "baseEjection" base_ejection: At<Period>,
        /// Longest ejection. Default: 5m, or `baseEjection` where that is longer.
        optional "maxEjection" max_ejection: At<Period>,
        /// Most of a version's addresses ejected at a time, in percent, but always one; 0: none. The last one in use never is. Default: 50.
        optional "maxEjectedPercent" max_ejected_percent: At<Count<0, 100>>,
    }

    /// When an address fails clearly more often than the others: a 5xx, a gRPC UNAVAILABLE, or no answer.
    SuccessRate {
        /// Fewest requests within an interval from which a rate is computed. Default: 100.
        optional "minRequests" min_requests: At<Count<1, 1_000_000>>,
        /// How many standard deviations below the mean of the others are too many. Default: 1.9.
        optional "stdevFactor" stdev_factor: At<Factor>,
    }

    /// One place where a sticky key may stand: exactly one of these keys.
    Sticky {
        /// The value of this header.
        optional "header" header: At<FieldName>,
        /// The value of this cookie.
        optional "cookie" cookie: At<Text>,
        /// The value of this query parameter.
        optional "query" query: At<Text>,
        /// The client's address.
        optional "clientIp" client_ip: At<Yes>,
        /// A part of the client's verified certificate.
        optional "clientCertificate" client_certificate: At<CertificatePart>,
    } also { "minProperties": 1, "maxProperties": 1 }

    /// Lets chosen clients pick a version by a header.
    Override {
        /// The header that carries the version's name. Default: x-serin-version.
        optional "header" header: At<FieldName>,
        /// Address ranges of clients that may.
        required "from" from: List<At<Cidr>, 1, 256>,
    }

    /// Bounds on the requests each version is given at a time, for the whole process: workers share them out evenly.
    Overload {
        /// The limit on requests in flight to begin with; from there it follows the latency. Default: 100.
        optional "initial" initial: At<Count<1, MAX_CONCURRENCY>>,
        /// It never gets lower. Default: 10.
        optional "min" min: At<Count<1, MAX_CONCURRENCY>>,
        /// It never gets higher; the same as `min` for a fixed limit. Default: 1000.
        optional "max" max: At<Count<1, MAX_CONCURRENCY>>,
        /// Most requests that wait for room; one more is answered 503 at once. Default: 100.
        optional "queue" queue: At<Count<0, 100_000>>,
        /// How long a request waits before it is answered 503. Default: 500ms.
        optional "queueTimeout" queue_timeout: At<Period>,
        /// How many times the unloaded latency is not yet an overload. Default: 1.5.
        optional "tolerance" tolerance: At<Tolerance>,
        /// A header that says how much a request matters: high, normal or low. It wins over the route's `priority`. Without it there is none.
        optional "priorityHeader" priority_header: PriorityHeader,
    }

    /// A header that says how much a request matters: high, normal or low.
    PriorityHeader {
        /// The header's name. Default: x-priority.
        optional "name" name: At<FieldName>,
        /// Address ranges of clients that are believed.
        required "from" from: List<At<Cidr>, 1, 256>,
    }

    /// Which version answers what the others fail: requests with an idempotent method or an `Idempotency-Key`, and those of which nothing was sent.
    Fallback {
        /// The version that answers.
        required "to" to: At<Name>,
        /// The ways to fail that it answers for. Default: all of them.
        optional "on" on: List<At<FallbackCause>, 1, 8>,
        /// Share of a version's requests that may fail so before all but a trickle of its requests go to `to` at once, until it recovers. Default: 20%.
        optional "budget" budget: At<Percent<0>>,
        /// Most bytes of a request's body that are kept for sending it again. Default: 64KiB.
        optional "bodyBytes" body_bytes: At<Size<0, { 1 << 24 }>>,
    }

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

    /// One change: `type`, and the key of the same name.
    Filter {
        /// Which of the following keys there is.
        required "type" kind: At<FilterType>,
        /// Changes the request's headers.
        optional "requestHeaderModifier" request_headers: HeaderModifier,
        /// Changes the response's headers.
        optional "responseHeaderModifier" response_headers: HeaderModifier,
        /// Changes host and path towards the upstream.
        optional "urlRewrite" url_rewrite: UrlRewrite,
        /// Answers with a redirect; no upstream is asked.
        optional "requestRedirect" redirect: Redirect,
    }

    /// Header changes: set, then add, then remove.
    HeaderModifier {
        /// Overwrites these headers.
        optional "set" set: Headers,
        /// Appends these headers.
        optional "add" add: Headers,
        /// Removes these headers.
        optional "remove" remove: List<At<FieldName>, 1, 64>,
    } also { "minProperties": 1 }

    /// A header and its value.
    Header {
        /// The header's name.
        required "name" name: At<FieldName>,
        /// The header's value.
        required "value" value: At<FieldValue>,
    }

    /// Changes host and path towards the upstream.
    UrlRewrite {
        /// The new host.
        optional "hostname" hostname: At<Hostname>,
        /// The new path.
        optional "path" path: PathModifier,
    } also { "minProperties": 1 }

    /// Answers with a redirect. What is left out stays as in the request.
    Redirect {
        /// The new scheme.
        optional "scheme" scheme: At<Scheme>,
        /// The new host.
        optional "hostname" hostname: At<Hostname>,
        /// The new path.
        optional "path" path: PathModifier,
        /// The new port. Default: the scheme's own where the scheme is given, else the listener's.
        optional "port" port: At<Count<1, 65_535>>,
        /// Default: 302.
        optional "statusCode" status_code: At<RedirectStatus>,
    }

    /// A change of the path: `type`, and the key of the same name.
    PathModifier {
        /// Which of the following keys there is.
        required "type" kind: At<PathModifierType>,
        /// The new path.
        optional "replaceFullPath" full: At<Text>,
        /// What takes the place of the matched prefix; only where every match is a `PathPrefix`.
        optional "replacePrefixMatch" prefix: At<Text>,
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
