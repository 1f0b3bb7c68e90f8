//! Versions: where they answer, and how they are watched.

use crate::config::read::{At, List, written};
use crate::config::values::{
    Count, Factor, FilePath, Period, ProbeType, Protocol, ServerName, Text, Timeout, Upstream,
};

use super::flags::ByFlag;

written! {
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
        /// The flag that takes its share away from a request for as long as it is true for that.
        optional "killSwitch" kill_switch: ByFlag,
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
}
