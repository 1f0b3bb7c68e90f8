//! serin: a feature-flag and traffic-split sidecar proxy.
//!
//! Rooms lie on floors; a room uses only rooms on lower floors. From the ground up: [`stats`] (pure numbers), [`tls`]
//! (certificates and keys), [`jwt`] (tokens that clients show), [`plan`] (what to do with a request, as data), [`flags`]
//! (feature flags and their evaluation), [`access`] (who may do what), [`diff`] (where two answers differ, and whether that
//! is noise), [`wire`] (sockets, and the framing of messages), [`telemetry`] (what happened, counted), [`judge`] (which of
//! two versions is worse), [`ledger`] (the record of every change), [`events`] (what happens, for whoever listens),
//! [`config`] (files to plans), [`upstream`] (connections to versions), [`webhooks`] (receivers elsewhere that are told of
//! events), [`migration`] (writes to two versions), [`admit`] (how many requests at a time), [`rollout`] (how a version is widened and withdrawn), [`shadow`]
//! (answers of two versions compared), [`proxy`] (the data plane), [`control`] (the one writer of plans), [`admin`] and [`demo`], and [`cli`] on top.

pub mod access;
pub mod admin;
pub mod admit;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod diff;
pub mod events;
pub mod flags;
pub mod judge;
pub mod jwt;
pub mod ledger;
pub mod migration;
pub mod plan;
pub mod proxy;
pub mod rollout;
pub mod shadow;
pub mod stats;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod webhooks;
pub mod wire;
