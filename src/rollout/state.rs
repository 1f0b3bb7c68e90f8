//! Where a rollout stands: what is kept in the ledger and taken up again after a restart.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drill::Drill;
use crate::ledger::Digest;
use crate::plan::{RolloutPlan, Split, VersionId, Weight};

/// A plan with the hash that names it.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What is written.
    pub plan: Arc<RolloutPlan>,
    /// SHA-256 of the service's name and the plan as compact JSON, in hexadecimal: what approvals are given to.
    pub hash: String,
}

impl Planned {
    /// The plan of a service.
    #[must_use]
    pub fn new(service: &str, plan: &Arc<RolloutPlan>) -> Self {
        // Invariant: names, finite numbers and words are all there is, and these have a JSON form.
        let text = serde_json::to_vec(&(service, &**plan)).unwrap_or_default();
        Self { plan: Arc::clone(plan), hash: Digest::of(&text).to_string() }
    }
}

/// The share of `to` in thousandths of a percent, 0 to 100,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exposure(u32);

impl Exposure {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(100_000);

    /// The share of a step; more than 100 is all.
    #[must_use]
    pub fn of_step(weight: Weight) -> Self {
        Self(u32::try_from(weight.thousandths()).unwrap_or(u32::MAX)).min(Self::ALL)
    }

    /// The share that `to` has in a split where only it and `from` have any, to the nearest thousandth of a percent. `None`
    /// where others have some, too.
    #[must_use]
    pub fn in_force(split: &Split, from: VersionId, to: VersionId) -> Option<Self> {
        let others = |(index, weight): (usize, &Weight)| {
            index != from.index() && index != to.index() && weight.thousandths() > 0
        };
        let share = split.share(to) * f64::from(Self::ALL.0);
        (!split.weights().iter().enumerate().any(others)).then(|| Self(share.round() as u32).min(Self::ALL))
    }

    /// As a part of 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }

    /// In percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// What is left of 100 percent.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(Self::ALL.0.saturating_sub(self.0))
    }

    /// One bounded to what there is; what was read from a ledger may be anything.
    #[must_use]
    pub fn bounded(self) -> Self {
        self.min(Self::ALL)
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

/// Where a service's rollout stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Grows by one with every start; 0 before the first.
    pub run: u64,
    /// The hash of the plan.
    pub plan: String,
    /// The version that everything goes back to.
    pub from: String,
    /// The version that is widened.
    pub to: String,
    /// Who started the run.
    pub started_by: Option<String>,
    /// Who agreed to this run; never who started it, nobody twice.
    pub approvals: Vec<String>,
    /// The share of `to` that was last given by the plan. `None` where weights are others' business.
    pub exposure: Option<Exposure>,
    /// What is going on.
    pub phase: Phase,
    /// Grows whenever evidence is to be gathered anew. Not kept: figures begin anew with the process.
    #[serde(skip)]
    pub window: u64,
    /// When this was last looked at, in monotonic time. Not kept: the next process has another clock.
    #[serde(skip)]
    pub(super) clock: Option<Duration>,
    /// How much of the bake time is in the ledger, in milliseconds.
    #[serde(skip)]
    pub(super) recorded_ms: u64,
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Phase {
    /// Nothing yet.
    Pending {
        /// Why it did not start by itself where it was to.
        obstacle: Option<String>,
    },
    /// The target of the plan before has gone to 0, and this one starts as soon as it may.
    Replacing {
        /// Who asked for this plan.
        by: String,
    },
    /// A step is being watched.
    Baking(Progress),
    /// The step waits for people to agree.
    AwaitingApproval {
        /// The step that is to come, from 0.
        step: usize,
    },
    /// Nothing moves until somebody says so.
    Paused {
        /// Where it stopped.
        at: Progress,
        /// Whether it was waiting for approval of the step `at`.
        awaiting: bool,
        /// Why.
        cause: PauseCause,
    },
    /// A drill: requests of `to` are hurt on purpose, and it is looked whether that is noticed.
    Drilling(Box<Drill>),
    /// All is back at `from`, and it is being looked whether that helped.
    Validating {
        /// What it was withdrawn for.
        end: End,
        /// For how long already, in milliseconds.
        waited_ms: u64,
    },
    /// The machine withdrew it.
    RolledBack {
        /// Whether the service was seen to be as before.
        valid: bool,
    },
    /// A person withdrew it.
    Aborted {
        /// Whether the service was seen to be as before.
        valid: bool,
    },
    /// All steps are done.
    Completed,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Which step, from 0.
    pub step: usize,
    /// For how long it has been baking, in milliseconds of monotonic time, restarts left out.
    pub baked_ms: u64,
}

/// Why a rollout is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PauseCause {
    /// A person said so. A gate that fails still withdraws the version.
    Asked,
    /// Somebody else changed the weights: they are theirs until it is resumed.
    Edited,
    /// A gate failed, and the plan says `onRegression: pause`.
    Regressed,
}

/// Why a version was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// A gate failed.
    RolledBack,
    /// A person said so.
    Aborted,
}

impl Phase {
    /// Every word of [`Phase::word`], in order.
    pub const WORDS: [&'static str; 10] = [
        "pending",
        "replacing",
        "baking",
        "awaitingApproval",
        "paused",
        "drilling",
        "validating",
        "rolledBack",
        "aborted",
        "completed",
    ];

    /// How it is exported.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Replacing { .. } => "replacing",
            Self::Baking(_) => "baking",
            Self::AwaitingApproval { .. } => "awaitingApproval",
            Self::Paused { .. } => "paused",
            Self::Drilling(_) => "drilling",
            Self::Validating { .. } => "validating",
            Self::RolledBack { .. } => "rolledBack",
            Self::Aborted { .. } => "aborted",
            Self::Completed => "completed",
        }
    }

    /// The step it is at, from 0; for one that waits for approval the one that is to come.
    #[must_use]
    pub fn step(&self) -> Option<usize> {
        match self {
            Self::Baking(at) | Self::Paused { at, .. } => Some(at.step),
            Self::AwaitingApproval { step } => Some(*step),
            Self::Drilling(drill) => Some(drill.step),
            _ => None,
        }
    }

    /// Whether a run is on: begun and neither withdrawn nor done.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self {
            Self::Replacing { .. }
            | Self::Baking(_)
            | Self::AwaitingApproval { .. }
            | Self::Paused { .. }
            | Self::Drilling(_) => true,
            Self::Pending { .. }
            | Self::Validating { .. }
            | Self::RolledBack { .. }
            | Self::Aborted { .. }
            | Self::Completed => false,
        }
    }

    /// Whether the version was withdrawn and it is looked whether that helped.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        match self {
            Self::Validating { .. } => true,
            Self::Drilling(drill) => drill.rolled_back_ms.is_some(),
            _ => false,
        }
    }

    /// Whether time or evidence may change anything.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.is_active() || matches!(self, Self::Validating { .. })
    }
}

impl State {
    /// The state of a plan that nobody has started.
    #[must_use]
    pub fn pending(planned: &Planned) -> Self {
        Self {
            run: 0,
            plan: planned.hash.clone(),
            from: planned.plan.from.to_string(),
            to: planned.plan.to.to_string(),
            started_by: None,
            approvals: Vec::new(),
            exposure: None,
            phase: Phase::Pending { obstacle: None },
            window: 0,
            clock: None,
            recorded_ms: 0,
        }
    }

    /// Whether this can be a state of `plan`: what was read from a ledger may be anything.
    #[must_use]
    pub fn fits(&self, planned: &Planned) -> bool {
        self.plan == planned.hash
            && self.exposure.is_none_or(|exposure| exposure == exposure.bounded())
            && self.phase.step().is_none_or(|step| step < planned.plan.steps.len())
            && match &self.phase {
                Phase::Drilling(drill) => drill.before.fits(planned),
                _ => true,
            }
    }

    /// How many more people must agree before steps that need it.
    #[must_use]
    pub fn approvals_missing(&self, plan: &RolloutPlan) -> u32 {
        let required = plan.approval.map_or(0, |approval| approval.required);
        required.saturating_sub(u32::try_from(self.approvals.len()).unwrap_or(u32::MAX))
    }
}
