//! serin: a feature-flag and traffic-split sidecar proxy.

pub mod stats;
