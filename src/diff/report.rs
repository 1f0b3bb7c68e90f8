//! What is told of comparisons: the shape of the admin API's `diffs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Change;

/// What was compared of one route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteReport {
    /// The route's name.
    pub route: String,
    /// The verdict of its worst place.
    pub verdict: Verdict,
    /// Answers of old and new compared.
    pub compared: u64,
    /// Of these, those with any difference.
    pub differed: u64,
    /// Answers of old compared with another one of old.
    pub noise_compared: u64,
    /// Of these, those with any difference.
    pub noise_differed: u64,
    /// Comparisons without the bodies, which were too long.
    pub bodies_left_out: u64,
    /// Differences in further places, which are not told apart.
    pub places_left_out: u64,
    /// Where they differed, at most 256; the worst first.
    pub places: Vec<PlaceReport>,
}

/// What was found in one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceReport {
    /// `status`, `header NAME`, `body`, `lines`, `line N`, or a path into a JSON document.
    pub place: String,
    /// What to make of it.
    pub verdict: Verdict,
    /// Comparisons of old and new with a difference here.
    pub differed: u64,
    /// The same of old with itself.
    pub noise_differed: u64,
    /// How often old and new differ here.
    pub rate: Shares,
    /// How often old differs here from itself.
    pub noise: Shares,
    /// In what ways, and how often each: removed, added, type, value.
    pub changes: BTreeMap<Change, u64>,
    /// The latest few, redacted.
    pub samples: Vec<SampleReport>,
}

/// One difference as it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleReport {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// In what way.
    pub change: Change,
    /// Old's, redacted and cut.
    pub old: String,
    /// New's, redacted and cut.
    pub new: String,
}

/// A share, 0 to 1, or how much greater one is than another, −1 to 1: the estimate, and from where to where it may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shares {
    /// Nothing where nothing was compared.
    pub estimate: Option<f64>,
    /// The least it may be.
    pub low: f64,
    /// The most it may be.
    pub high: f64,
    /// Of how many.
    pub n: u64,
}

/// What to make of differences; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DiffVerdict")]
pub enum Verdict {
    /// Clearly more than noise.
    Different,
    /// Seen, and it cannot be told yet whether it is noise.
    Undecided,
    /// Old differs from itself as well there.
    Noise,
    /// None seen.
    Same,
}

impl Verdict {
    /// Every verdict, in order; a verdict's position is its number.
    pub const ALL: [Self; 4] = [Self::Different, Self::Undecided, Self::Noise, Self::Same];

    /// As it is told, and the label of metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::Undecided => "undecided",
            Self::Noise => "noise",
            Self::Same => "same",
        }
    }
}
