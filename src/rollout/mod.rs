//! Floor 3. Rollout plans: a version's share widened in steps while evidence is gathered, and withdrawn where it is worse.
//!
//! [`step()`] is the whole of it: from a [`State`], a time and an [`Input`] to the next state and at most one [`Action`], a
//! pure function, so that ten thousand rollouts run in a test. What it is told comes from `control`, which gathers it
//! by [`Watch`] and carries out what it says. Nothing here reads a clock or a socket, or changes a weight by itself.

mod action;
mod aftermath;
mod budget;
mod differences;
mod input;
mod need;
mod preflight;
mod state;
mod step;
mod view;
mod watch;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod step_tests;

pub use action::{Action, Decision, Publish};
pub use aftermath::{Aftermath, Range};
pub use budget::{Budget, Burn};
pub use differences::alphas;
pub use input::{Command, Evidence, Finding, Input, Order};
pub use need::{Need, Traffic, needs};
pub use preflight::{Check, Facts, Grade, Preflight, preflight};
pub use state::{End, Exposure, PauseCause, Phase, Planned, Progress, State};
pub use step::{Refused, Stepped, removed, step};
pub use view::{RolloutView, StepView};
pub use watch::{Figures, Watch};
