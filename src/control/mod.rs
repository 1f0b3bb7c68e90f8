//! Floor 4. The one writer: every change of what is in force comes in here, and every plan goes out from here.
//!
//! A file that was edited and a call of the admin API are the same kind of thing, a [`Change`] with an actor and a
//! reason. It is checked against what is in force, written to the ledger, and only then published; nothing else publishes.
//! The last change wins, wherever it came from. This room never touches a request.

mod begin;
mod certificates;
mod control_arms;
mod courses;
mod data_plane;
mod drilling;
mod drills;
mod files;
mod flags;
mod flags_at_work;
mod force;
mod handle;
mod places;
mod record;
mod recorder;
mod rolling;
mod rollouts;
mod run;
mod stages;
mod watch;

pub use begin::{Begun, begin};
pub use certificates::read_certificates;
pub use data_plane::DataPlane;
pub use files::{Files, FilesError, Hash, beside};
pub use flags::{FlagFile, FlagsInForce};
pub use force::{Change, InForce, Refused};
pub use handle::{Changed, Handle};
pub use recorder::Recorder;
pub use rollouts::{RolloutRefused, Rollouts};
pub use run::{Control, Start};
pub use stages::StageChange;
