//! serin: a feature-flag and traffic-split sidecar proxy.
//!
//! Rooms lie on floors; a room uses only rooms on lower floors. From the ground up: [`stats`] (pure numbers), [`tls`]
//! (certificates and keys), [`plan`] (what to do with a request, as data), [`wire`] (sockets, and the framing of
//! messages), [`telemetry`] (what happened, counted), [`diff`] (where two answers differ, and whether that is noise), [`judge`] (which of two versions is worse), [`config`] (files to plans), [`upstream`] (connections to versions),
//! [`admit`] (how many requests at a time),
//! [`proxy`] (the data plane), [`control`] (the one writer of plans), [`admin`] and [`demo`], and [`cli`] on top.

pub mod admin;
pub mod admit;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod diff;
pub mod judge;
pub mod plan;
pub mod proxy;
pub mod stats;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod wire;
