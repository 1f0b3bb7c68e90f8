//! Floor 5. What people and programs ask of a running serin: probes, metrics, the state of the services, changes.
//!
//! A change asked for here goes through `control` like every other. This room decides nothing by itself.

mod api;
mod drills;
mod grpc;
mod health;
mod ledger;
mod observer;
pub mod ofrep;
mod problem;
mod rollout;
mod serve;
mod verdict;
mod view;

pub use drills::DrillView;
pub use ledger::Ledgers;
pub use observer::Observer;
pub use serve::{Admin, AdminListener, Phase, Readiness, serve};
pub use verdict::{VerdictView, Verdicts};
pub use view::{AddressStateView, AddressView, LatencyView, OverloadView, ServiceView, ServicesView, VersionView};
