//! What a step of the machine asks for.

use serde_json::Value;

use super::drill::DrillView;
use super::state::Exposure;

/// What is to be done: written down, then carried out. All of it or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// What was decided.
    pub decision: Decision,
    /// Who decided: a person, or [`Action::MACHINE`].
    pub actor: String,
    /// What happened and why, as a person would say it.
    pub sentence: String,
    /// The weights that are to be in force. `None`: they stay.
    pub publish: Option<Publish>,
    /// What the judge said, where it was asked.
    pub verdict: Option<Value>,
    /// What could still be wrong although it goes on.
    pub hiding: Option<String>,
    /// How a drill stands, where this is about one.
    pub drill: Option<Box<DrillView>>,
}

impl Action {
    /// The actor of what nobody asked for.
    pub const MACHINE: &'static str = "rollout";
    /// The same in a drill.
    pub const DRILL: &'static str = "drill";
}

/// Weights to be put in force: `to` has this share, `from` the rest, all other versions nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The version that everything goes back to.
    pub from: String,
    /// The version whose share this is.
    pub to: String,
    /// Its share.
    pub exposure: Exposure,
}

macro_rules! decisions {
    ($($(#[$about:meta])+ $name:ident => $word:literal,)+) => {
        /// What was decided.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Decision { $($(#[$about])+ $name,)+ }

        impl Decision {
            /// How it is exported and written down.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

decisions! {
    /// A run begins.
    Started => "started",
    /// The next step begins.
    Advanced => "advanced",
    /// People must agree before the next step.
    AwaitingApproval => "awaitingApproval",
    /// Somebody agreed.
    Approved => "approved",
    /// Nothing moves any more.
    Paused => "paused",
    /// It goes on.
    Resumed => "resumed",
    /// A gate failed: all goes back.
    RolledBack => "rolledBack",
    /// A person withdrew the version.
    Aborted => "aborted",
    /// After all went back the service is as before.
    Validated => "validated",
    /// After all went back the service was not seen to be as before.
    NotValidated => "notValidated",
    /// Another plan takes the place of this one.
    Replaced => "replaced",
    /// A plan that was to start by itself did not.
    NotStarted => "notStarted",
    /// All steps are done.
    Completed => "completed",
    /// A drill begins.
    DrillStarted => "drillStarted",
    /// What a drill did was noticed: all goes back.
    DrillRolledBack => "drillRolledBack",
    /// A drill is over, and it was noticed in time.
    DrillPassed => "drillPassed",
    /// A drill is over, and it was not.
    DrillFailed => "drillFailed",
    /// A drill ended before anything could be said.
    DrillInterrupted => "drillInterrupted",
    /// Nothing but how long a step has been baking, for the next process.
    Progress => "progress",
}
