//! What the versions of a rollout have counted when something was decided.

use serde::{Deserialize, Serialize};

use super::Time;

/// Figures of a rollout at the time of an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Since when `run` is counted: the start of the run, or of the process that took it up.
    pub since: Time,
    /// Since then.
    pub run: Counts,
    /// Since the step began, or the version was withdrawn.
    pub step: Counts,
    /// When the first failure of the version that is widened was seen in the run, to a quarter of a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Time>,
    /// The same in the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure_of_step: Option<Time>,
}

/// What both versions did over some time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// How long that was, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// The version that everything goes back to.
    #[serde(default)]
    pub from: Count,
    /// The version that is widened.
    #[serde(default)]
    pub to: Count,
}

/// What one version did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// Requests that ended.
    #[serde(default)]
    pub requests: u64,
    /// Those of them that failed.
    #[serde(default)]
    pub failures: u64,
}

impl Count {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            failures: self.failures.saturating_add(other.failures),
        }
    }
}
