//! What is done about a request that a version fails: it is sent again, or another version answers.

use std::time::Duration;

use super::VersionId;

/// When and how often a request is sent to its version again; Gateway API's `HTTPRouteRetry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Statuses that are worth another try. Failures to connect, resets and timeouts always are.
    pub codes: Vec<u16>,
    /// Most tries after the first.
    pub attempts: u32,
    /// Shortest wait before the next try; it grows up to ten times this.
    pub backoff: Duration,
    /// Most bytes of a request's body that are kept for sending it again.
    pub body_bytes: usize,
}

/// How many tries may be added to those that clients ask for, by service and worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Most retries for a hundred requests, 0 to 100.
    pub percent: u32,
    /// So many a second are allowed however few requests there are.
    pub min_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, min_per_second: 3 }
    }
}

/// Another version answers what the other versions of a service fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// The version that answers.
    pub to: VersionId,
    /// What it answers for.
    pub on: FallbackOn,
    /// Share of a version's requests, in hundredths of a percent (0 to 10,000), that may fail before the version's
    /// requests go to `to` at once.
    pub budget: u32,
    /// Most bytes of a request's body that are kept for sending it again.
    pub body_bytes: usize,
}

/// The ways to fail that another version answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent choices")]
pub struct FallbackOn {
    /// No connection to the version.
    pub connect: bool,
    /// It took too long.
    pub timeout: bool,
    /// It broke off before its response began, or what it sent was not HTTP.
    pub reset: bool,
    /// It answered with a status from 500 to 599.
    pub server_error: bool,
    /// It answered with gRPC's UNAVAILABLE and nothing else.
    pub grpc_unavailable: bool,
}

impl FallbackOn {
    /// All of them.
    pub const ALL: Self =
        Self { connect: true, timeout: true, reset: true, server_error: true, grpc_unavailable: true };
}

/// Bytes of a request's body that are kept where nothing else is said.
pub const DEFAULT_BODY_BYTES: usize = 64 * 1024;
