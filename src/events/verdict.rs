//! That something else is said of a version than before.

use std::time::SystemTime;

use serde_json::json;

use super::{Event, Kind};
use crate::judge::{Outcome, Verdict};

impl Event {
    /// What is said of the second of these versions of a service, beside the first, where it was `before` that something else was.
    #[must_use]
    pub fn verdict(
        service: &str,
        [from, to]: [&str; 2],
        rollout: Option<u64>,
        before: Outcome,
        verdict: &Verdict,
        now: SystemTime,
    ) -> Self {
        let mut data = json!({ "from": from, "to": to, "before": before, "verdict": verdict });
        if let Some(rollout) = rollout {
            data["rollout"] = json!(rollout);
        }
        Self::without_entry(Kind::Verdict, service, now, data)
    }
}
