//! serin: a feature-flag and traffic-split sidecar proxy.

pub mod admin;
pub mod config;
pub mod control;
pub mod demo;
pub mod plan;
pub mod proxy;
pub mod stats;
pub mod telemetry;
pub mod upstream;
pub mod wire;
