//! Whether the two versions of a migration say the same of every key, and what to do where they do not.
//!
//! A [`Run`] reads many keys from both sides, one after another at a bounded rate, and mends what is wrong where that is
//! asked for; it goes on where a process died. Beside it a few keys a second, of those seen in writes, are verified without
//! anybody asking. Both gather evidence ([`Consistency`]) of how sure it is that the sides agree.
//!
//! The cores are pure: what two answers say, [which key comes next](Run), [how sure it is](Consistency); [`examine()`] looks at
//! one key through a trait. [`Reconciler`] is the thin driver, on a thread of its own.

mod consistency;
mod desk;
mod examine;
mod http;
mod likeness;
mod list;
mod look;
mod pace;
mod reconciler;
mod reservoir;
mod run;
mod runner;
mod store;
mod verify;
mod view;

pub use consistency::{Consistency, MAX_KEYS, Shown};
pub use examine::{Mended, Outcome, Sides, Wanted, examine};
pub use likeness::{Leave, Likeness, Trial};
pub use look::{Disagreement, Entity, Kind, Reading, look};
pub use pace::Pace;
pub use reconciler::{Ended, Outside, Reconciler, Refused};
pub use reservoir::Reservoir;
pub use run::{Asked, Counts, End, Keys, MAX_RUN_KEYS, Next, Run, Sample, SamplePlace};
pub use view::{ConsistencyView, ReconcileView, RunState};
