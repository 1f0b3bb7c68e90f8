//! Runs and evidence as JSON shows them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::consistency::Shown;
use super::run::{Counts, End, Keys, Run, Sample};
use crate::plan::Share;
use crate::stats::{Alpha, Rate};
use crate::telemetry::Rfc3339;

/// A reconciliation: the one that is on, or the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileView {
    /// Whose.
    pub service: String,
    /// Where it stands.
    pub state: RunState,
    /// Where its keys come from: given, journal, or sample.
    pub keys: String,
    /// The sampled share of all keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Whether it mends what is wrong; else it changes nothing.
    pub repair: bool,
    /// Keys a second, at most.
    pub per_second: f64,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When it began: RFC 3339, UTC.
    pub began: String,
    /// Keys there are; nothing while they are being listed.
    pub total: Option<u64>,
    /// Keys done with.
    pub looked: u64,
    /// What was found.
    pub counts: Counts,
    /// The share of keys that agreed when they were looked at, 0 to 1; nothing before the first.
    pub agreement: Option<f64>,
    /// It is at least this, for all keys of which these are a sample.
    pub agreement_low: f64,
    /// And at most this.
    pub agreement_high: f64,
    /// Disagreements by place, at most 256 places.
    pub places: BTreeMap<String, u64>,
    /// The first disagreements, at most 50; redacted.
    pub samples: Vec<Sample>,
    /// Why it stopped, or who cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether it can be taken up again.
    pub resumable: bool,
    /// What else is to be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Where a reconciliation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// Its keys are being listed.
    Listing,
    /// Keys are being looked at.
    Running,
    /// Every key was looked at.
    Done,
    /// Somebody cancelled it.
    Cancelled,
    /// It could not go on.
    Stopped,
    /// The process that ran it is gone.
    Interrupted,
}

/// What was shown of the two sides of a migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsistencyView {
    /// The share of looks that agreed, 0 to 1; nothing before the first.
    pub ratio: Option<f64>,
    /// The share of keys that agree is at least this.
    pub low: f64,
    /// And at most this.
    pub high: f64,
    /// Looks since the evidence began.
    pub looks: u64,
    /// Those of them that disagreed.
    pub disagreed: u64,
    /// Different keys looked at.
    pub keys: u64,
    /// Keys seen in writes that are drawn from.
    pub known: u64,
    /// Keys that disagreed when they were last looked at, the first ten.
    pub in_doubt: Vec<String>,
}

impl RunState {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        matches!(self, Self::Listing | Self::Running)
    }
}

impl ReconcileView {
    /// That of `run`, which is on or not.
    #[must_use]
    pub fn new(service: &str, run: &Run, is_on: bool) -> Self {
        let (state, detail) = match (&run.end, run.total) {
            (Some(End::Done), _) => (RunState::Done, None),
            (Some(End::Cancelled(by)), _) => (RunState::Cancelled, Some(format!("cancelled by {by}"))),
            (Some(End::Stopped(why)), _) => (RunState::Stopped, Some(why.clone())),
            (None, _) if !is_on => (RunState::Interrupted, None),
            (None, None) => (RunState::Listing, None),
            (None, Some(_)) => (RunState::Running, None),
        };
        let (keys, sample) = match run.asked.keys {
            Keys::Given => ("given", None),
            Keys::Journal => ("journal", None),
            Keys::Sample(share) => ("sample", Some(Share::from_hundredths(share).to_string())),
        };
        let disagreed = Rate::new(run.counts.disagreed(), run.counts.disagreed() + run.counts.agreed);
        let interval = disagreed.interval(Alpha::DEFAULT);
        Self {
            service: service.to_owned(),
            state,
            keys: keys.to_owned(),
            sample,
            repair: run.asked.repair,
            per_second: run.asked.per_second,
            actor: run.asked.actor.clone(),
            reason: run.asked.reason.clone(),
            began: Rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(run.began_ms)).to_string(),
            total: run.total,
            looked: run.counts.looked(),
            counts: run.counts,
            agreement: disagreed.estimate().map(|disagreed| 1.0 - disagreed),
            agreement_low: 1.0 - interval.high,
            agreement_high: 1.0 - interval.low,
            places: run.places.clone(),
            samples: run.samples.clone(),
            detail,
            resumable: run.is_resumable() && !is_on,
            note: None,
        }
    }

    /// Keys of which it cannot be said that both sides are the same now.
    #[must_use]
    pub fn left(&self) -> u64 {
        let Counts { repaired, unsettled, failed, .. } = self.counts;
        self.counts.disagreed().saturating_sub(repaired) + unsettled + failed
    }
}

impl ConsistencyView {
    /// What was shown, with so many keys to draw from and these in doubt.
    #[must_use]
    pub fn new(shown: &Shown, known: usize, in_doubt: Vec<String>) -> Self {
        let Shown { estimate, low, high, looks, disagreed, keys } = *shown;
        Self { ratio: estimate, low, high, looks, disagreed, keys, known: known as u64, in_doubt }
    }
}
