//! What a rollback drill is: what is asked for, what is kept of it while it is on, and how people see it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::state::{Exposure, State};
use crate::plan::Share;

/// What a drill does to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DrillFault {
    /// They are answered with 503 in the version's place.
    #[default]
    Errors,
    /// They wait before they reach the version.
    Delay,
}

/// A drill that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillOrder {
    /// What is done to requests.
    pub fault: DrillFault,
    /// To how many of `to`'s.
    pub share: Share,
    /// How soon it has to be noticed.
    pub within: Duration,
    /// How long requests wait, for [`DrillFault::Delay`]; for control to say.
    pub delay: Duration,
    /// The share of `to` now; `None` where others than `from` and `to` have one. For control to say.
    pub in_force: Option<Exposure>,
    /// The number of a run that begins with it; for control to say.
    pub run: u64,
}

/// A drill that is on. It is part of the state, so that whoever takes that up knows what is to be restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drill {
    /// Who asked for it.
    pub by: String,
    /// What is done to requests.
    pub fault: DrillFault,
    /// To how many of `to`'s, in hundredths of a percent.
    pub share_hundredths: u32,
    /// How long they wait, in milliseconds; 0 where they do not.
    pub delay_ms: u64,
    /// How soon it has to be noticed, in milliseconds.
    pub within_ms: u64,
    /// The step whose share `to` has, from 0.
    pub step: usize,
    /// For how long it has been on, in milliseconds.
    pub waited_ms: u64,
    /// How long that was when it was noticed.
    pub rolled_back_ms: Option<u64>,
    /// Requests it has hurt.
    pub hurt: u64,
    /// Where the rollout stood, and stands again afterwards.
    pub before: Box<State>,
}

/// How a drill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DrillResult {
    /// The version was withdrawn in time, and nobody met it any more.
    Passed,
    /// It was not.
    Failed,
    /// Something else came in between; nothing is known.
    Interrupted,
}

impl DrillResult {
    /// How it is written everywhere.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A rollback drill as JSON shows it: the one that is on, or the last one since the process started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RollbackDrillView")]
pub struct DrillView {
    /// Whether it is on.
    pub running: bool,
    /// How it ended; nothing while it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<DrillResult>,
    /// What happened, in words.
    pub sentence: String,
    /// Where it was not noticed: what to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<String>,
    /// What is done to requests.
    pub fault: DrillFault,
    /// To how many of the new version's, such as `20%`.
    pub share: String,
    /// How long they wait, in seconds; nothing where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<f64>,
    /// How soon it has to be noticed, in seconds.
    pub within_seconds: f64,
    /// Seconds from its begin until the new version was withdrawn; nothing where that has not happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_seconds: Option<f64>,
    /// For how many seconds it has been on.
    pub seconds: f64,
    /// Requests it has hurt.
    pub hurt: u64,
    /// Who asked for it.
    pub by: String,
}

impl Drill {
    /// The name of its fault. None that is configured has a colon in it.
    pub const NAME: &'static str = "drill:rollback";

    /// To how many of `to`'s requests something is done.
    #[must_use]
    pub fn share(&self) -> Share {
        Share::from_hundredths(self.share_hundredths)
    }

    /// What is done, in words: `20% of new's requests fail`.
    pub(super) fn what(&self, to: &str) -> String {
        let share = self.share();
        match self.fault {
            DrillFault::Errors => format!("{share} of {to}'s requests fail"),
            DrillFault::Delay => format!("{share} of {to}'s requests wait {} ms", self.delay_ms),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self, result: Option<DrillResult>, sentence: String, look_at: Option<String>) -> DrillView {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        DrillView {
            running: result.is_none(),
            result,
            sentence,
            look_at,
            fault: self.fault,
            share: self.share().to_string(),
            delay_seconds: (self.fault == DrillFault::Delay).then(|| seconds(self.delay_ms)),
            within_seconds: seconds(self.within_ms),
            rollback_seconds: self.rolled_back_ms.map(seconds),
            seconds: seconds(self.waited_ms),
            hurt: self.hurt,
            by: self.by.clone(),
        }
    }
}

impl DrillView {
    /// What the ledger keeps of it beside the sentence.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        // Invariant: names, numbers and words are all there is, and these have a JSON form.
        let fields = serde_json::to_value(self).ok().and_then(|value| value.as_object().cloned());
        let mut fields = fields.unwrap_or_default();
        // The entry says so itself.
        for name in ["running", "sentence", "by"] {
            fields.remove(name);
        }
        fields
    }
}
