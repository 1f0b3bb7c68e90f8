//! What the machine is told.

use serde_json::Value;

use super::aftermath::Aftermath;
use super::drill::DrillOrder;
use super::state::Exposure;

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed, and this is known.
    Tick(Evidence),
    /// Somebody gave an order.
    Order(Order),
    /// Somebody changed the service's weights otherwise.
    Edited {
        /// Who.
        actor: String,
        /// The share of `to` now; `None` where others than `from` and `to` have one.
        in_force: Option<Exposure>,
    },
    /// The service has another plan than the one of the state: the one that is given to this step.
    NewPlan {
        /// Who.
        actor: String,
    },
}

/// What a person, or a program for one, asks for.
#[derive(Debug, Clone)]
pub struct Order {
    /// What.
    pub command: Command,
    /// Who.
    pub actor: String,
    /// Why; may be empty.
    pub reason: String,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin. Whoever asks has seen to the preflight.
    Start {
        /// The share of `to` now; `None` where others than `from` and `to` have one.
        in_force: Option<Exposure>,
        /// The number of the run.
        run: u64,
    },
    /// Stop where it is; gates still hold.
    Pause,
    /// Go on where it stopped.
    Resume,
    /// On to the next step without waiting for bake time or evidence.
    Promote,
    /// Withdraw the version.
    Abort,
    /// Agree to the plan.
    Approve {
        /// The hash of the plan that is agreed to.
        plan: String,
    },
    /// Hurt requests of `to` on purpose, and see whether that is noticed. Whoever asks has seen to the preflight.
    Drill(DrillOrder),
}

/// What is known at a moment.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The window this was gathered in; evidence of another one counts for nothing.
    pub window: u64,
    /// The share of `to` now; `None` where others than `from` and `to` have one.
    pub in_force: Option<Exposure>,
    /// Requests that `to` answered in the window.
    pub requests: u64,
    /// What the gates say of `from` against `to`.
    pub finding: Finding,
    /// The sentence of that.
    pub reason: String,
    /// What could still hide.
    pub hiding: Option<String>,
    /// The verdict as it is written down.
    pub verdict: Option<Value>,
    /// Says so where the service uses up its error budget too fast.
    pub burning: Option<String>,
    /// Why a plan that starts by itself must not start now.
    pub obstacle: Option<String>,
    /// The number of a run that starts by itself.
    pub next_run: u64,
    /// What is seen after the version was withdrawn.
    pub aftermath: Option<Aftermath>,
    /// Requests of `to` that the drill that is on has hurt.
    pub hurt: u64,
    /// Says so where `to` fails too often even without those that a drill made fail.
    pub own_harm: Option<String>,
}

/// What the gates say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The new version is worse than allowed.
    Regressed,
    /// Every metric is shown to be within its gate.
    Healthy,
    /// Not enough is known.
    Inconclusive,
}
