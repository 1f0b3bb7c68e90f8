//! What a service does when it is asked for more than it can do.

use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

/// How much a request matters when not all of them can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Shed first.
    Low,
    /// What nothing is said of.
    #[default]
    Normal,
    /// Never shed before others, with some room beyond the limit.
    High,
}

impl Priority {
    /// The priority of this name, in any case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let known = [("high", Self::High), ("normal", Self::Normal), ("low", Self::Low)];
        known.into_iter().find(|(word, _)| name.eq_ignore_ascii_case(word.as_bytes())).map(|(_, priority)| priority)
    }
}

/// Bounds on the requests that a version is given at a time. All numbers are for each version and the whole process;
/// workers share them.
#[derive(Debug, Clone, PartialEq)]
pub struct Overload {
    /// The limit on requests in flight to begin with.
    pub initial: u32,
    /// It never gets lower.
    pub min: u32,
    /// It never gets higher.
    pub max: u32,
    /// Most requests that wait for room.
    pub queue: u32,
    /// How long a request waits at most.
    pub queue_timeout: Duration,
    /// How many times the latency of the unloaded version is not yet an overload, from 1.
    pub tolerance: f64,
    /// The header that says how much a request matters.
    pub priority_header: Option<PriorityHeader>,
}

/// A header whose value is a priority, believed from some peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityHeader {
    /// Which header.
    pub name: HeaderName,
    /// Client addresses that may use it.
    pub from: Vec<IpNet>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            initial: 100,
            min: 10,
            max: 1000,
            queue: 100,
            queue_timeout: Duration::from_millis(500),
            tolerance: 1.5,
            priority_header: None,
        }
    }
}
