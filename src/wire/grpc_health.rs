//! The messages of gRPC's health checking, for whoever answers it and whoever asks:
//! `grpc/health/v1/health.proto` of `grpc/grpc-proto`.

use std::collections::BTreeMap;

/// Asks about one service once.
pub const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Asks about one service and is told of every change.
pub const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Asks about all services once.
pub const LIST: &str = "/grpc.health.v1.Health/List";

/// Asks [`CHECK`] and [`WATCH`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HealthCheckRequest {
    /// The service; empty for the server as a whole.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// Answers [`CHECK`] and [`WATCH`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HealthCheckResponse {
    /// How it is.
    #[prost(enumeration = "ServingStatus", tag = "1")]
    pub status: i32,
}

/// Answers [`LIST`], whose request has no fields.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HealthListResponse {
    /// By service.
    #[prost(btree_map = "string, message", tag = "1")]
    pub statuses: BTreeMap<String, HealthCheckResponse>,
}

/// Whether a service takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ServingStatus {
    /// Nobody knows.
    Unknown = 0,
    /// It does.
    Serving = 1,
    /// It does not.
    NotServing = 2,
    /// There is no such service; only [`WATCH`] says so, [`CHECK`] answers `NOT_FOUND`.
    ServiceUnknown = 3,
}

impl From<ServingStatus> for HealthCheckResponse {
    fn from(status: ServingStatus) -> Self {
        Self { status: status.into() }
    }
}
