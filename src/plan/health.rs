//! How a version's addresses are watched: by asking them, and by what becomes of requests.

use std::sync::Arc;
use std::time::Duration;

/// How the addresses of a version are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked, and which answer is good.
    pub probe: Probe,
    /// From one question to the next.
    pub interval: Duration,
    /// Longest wait for an answer, connecting included.
    pub timeout: Duration,
    /// Good answers in a row after which an address that was unhealthy is used again; at least 1.
    pub healthy_after: u32,
    /// Bad answers in a row after which an address is no longer used; at least 1.
    pub unhealthy_after: u32,
}

/// What is asked of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A `GET`, answered with one of some statuses.
    Http {
        /// Path and query, beginning with `/`.
        path: Arc<str>,
        /// The `Host`; `None`: the configured address.
        host: Option<Arc<str>>,
        /// The good statuses; at least one.
        expect: Vec<u16>,
    },
    /// `grpc.health.v1.Health/Check`, answered with `SERVING`.
    Grpc {
        /// The `:authority`; `None`: the configured address.
        host: Option<Arc<str>>,
        /// The gRPC service asked for; empty is the server as a whole.
        service: Arc<str>,
    },
    /// That it can be connected to.
    Tcp,
}

/// When an address is ejected for how it treats requests, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outliers {
    /// Failures in a row that eject an address at once; 0: none do. A failure is a connection that could not be opened
    /// or broke off, no answer in time, or one of 502, 503, 504 and gRPC's `UNAVAILABLE`.
    pub consecutive_failures: u32,
    /// Ejects an address that fails clearly more often than the others. `None`: none is.
    pub success_rate: Option<SuccessRate>,
    /// How often success rates are compared, and how long an address must be in use for its next ejection to be one
    /// step shorter.
    pub interval: Duration,
    /// How long the first ejection lasts; the next one lasts twice as long, then three times.
    pub base_ejection: Duration,
    /// Longest ejection; not below `base_ejection`.
    pub max_ejection: Duration,
    /// Most of a version's addresses that are ejected at a time, in percent, but always one where this is not 0. The last
    /// address in use never is.
    pub max_ejected_percent: u32,
}

/// When the success rate of an address is too far below that of the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessRate {
    /// Fewest requests within an interval from which a rate is computed; at least 1.
    pub min_requests: u64,
    /// How many standard deviations below the mean of the others are too many.
    pub stdev_factor: f64,
}

impl Default for Outliers {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            success_rate: None,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_mins(5),
            max_ejected_percent: 50,
        }
    }
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self { min_requests: 100, stdev_factor: 1.9 }
    }
}

impl Outliers {
    /// Most of `addresses` that may be ejected at a time.
    #[must_use]
    pub fn most_ejected(&self, addresses: usize) -> usize {
        if self.max_ejected_percent == 0 {
            return 0;
        }
        let share = addresses * self.max_ejected_percent as usize / 100;
        share.max(1).min(addresses.saturating_sub(1))
    }
}
