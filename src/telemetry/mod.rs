//! Floor 2. What happened, counted, and told to whoever asks.
//!
//! Each worker writes its own cells ([`VersionCell`], [`WorkerCell`]), alone, with plain loads and stores; the
//! [`Registry`] hands them out and adds them up when somebody reads. [`exposition`] turns what was read into Prometheus'
//! formats, [`access_log`] writes a line per request from a thread of its own, and `otlp` exports spans ([`trace`]) from another. Nothing here can block a worker, and
//! nothing decides anything.

mod access;
pub mod access_log;
mod arm;
mod cell;
mod control;
mod deprecated;
mod diffs;
mod events;
pub mod exposition;
mod faults;
mod flags;
mod health;
pub mod history;
mod in_flight;
mod journal;
mod labels;
mod ledger;
mod migration;
mod ofrep;
#[cfg(feature = "otlp")]
pub mod otlp;
mod outcomes;
mod registry;
mod shadow;
mod snapshot;
mod tls;
mod tokens;
pub mod trace;
mod variants;
mod window;

pub use access::{AdminFigures, AuthFailure};
pub use access_log::Rfc3339;
pub use arm::{ArmCell, ArmFigures, ControlArmSnapshot};
pub use cell::{VersionCell, WorkerCell};
pub use control::{
    ConsistencyFigure, ControlFigures, FaultEnd, MigrationFigure, ReloadResult, RolloutFigure, VerdictFigure,
    WeightShare,
};
pub use deprecated::{CallerCell, CallerCount, NO_CALLER, OTHER_CALLER};
pub use diffs::{DiffCounts, DiffFigures};
pub use events::{EventFigures, WebhookResult};
pub use faults::{ActiveFault, FaultCell, FaultKind, FaultSnapshot};
pub use flags::{Because, FlagCells, FlagCount};
pub use health::{AddressUp, CheckResult, Ejection, HealthFigures};
pub use in_flight::{Began, BeganTogether};
pub use journal::{JournalFigures, JournalOf};
pub use labels::{Failure, FallbackResult, Outcome, Refusal, RetryResult, Shed, Why};
pub use migration::{MigrationCell, MigrationSnapshot, WriteResult};
pub use ofrep::{OfrepCell, OfrepKind};
pub use outcomes::Outcomes;
pub use registry::Registry;
pub use shadow::{CopyInFlight, DiffDrop, ShadowCell, ShadowCells, ShadowResult, ShadowSnapshot};
pub use snapshot::{Connections, RegistrySnapshot, VersionSnapshot, WorkerSnapshot};
pub use tls::{CertificateInUse, Handshake, HandshakeCell};
pub use tokens::TokenResult;
pub use variants::{NO_VARIANT, OTHER_VARIANT, VariantSnapshot};
pub use window::Window;
