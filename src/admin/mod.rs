//! Floor 5. What people and programs ask of a running serin: probes, metrics, the state of the services, changes.
//!
//! A change asked for here goes through `control` like every other. This room decides nothing by itself.

mod api;
mod drills;
mod grpc;
mod health;
mod observer;
pub mod ofrep;
mod problem;
mod serve;
mod steering;
mod view;

pub use drills::DrillView;
pub use observer::Observer;
pub use serve::{Admin, AdminListener, Phase, Readiness, serve};
pub use steering::{KillSwitchView, SaysView, SteeringView, VersionFromView};
pub use view::{AddressStateView, AddressView, LatencyView, OverloadView, ServiceView, ServicesView, VersionView};
