//! Floor 5. What people and programs ask of a running serin: probes, metrics, the state of the services, changes.
//!
//! A change asked for here goes through `control` like every other, under the name of who asks for it. Whether somebody
//! may ask is looked at before every endpoint (`guard`), by one table (`rights`). This room decides nothing else.

mod api;
mod connection;
mod deprecation;
mod diffs;
mod distribution;
mod document;
mod drills;
mod events;
mod experiment;
mod flags;
mod grpc;
mod guard;
mod health;
mod history;
mod input;
mod ledger;
mod live;
mod me;
mod migration;
mod observer;
pub mod ofrep;
mod origin;
mod page;
mod preview;
mod problem;
mod query;
mod reconcile;
mod refusal;
mod rights;
mod rollback_drill;
mod rollout;
mod serve;
mod shadow;
mod sse;
mod steering;
mod values;
mod verdict;
mod view;

pub use deprecation::{CallerView, DeprecationView};
pub use diffs::DiffsView;
pub use drills::DrillView;
pub use events::EventStreams;
pub use experiment::ExperimentView;
pub use ledger::Ledgers;
pub use live::Live;
pub use migration::{DeadLetterView, DeadLettersView, JournalView, MigrationView, PlanView};
pub use observer::Observer;
pub use refusal::Memory;
pub use serve::{Admin, AdminListener, Phase, Readiness, serve};
pub use shadow::ShadowView;
pub use steering::{KillSwitchView, SaysView, SteeringView, VersionFromView};
pub use verdict::{VerdictView, Verdicts};
pub use view::{
    AddressStateView, AddressView, LatencyView, OverloadView, ProgressView, ServiceView, ServicesView, VersionView,
};
