//! What an entry says.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use super::{Digest, Figures, Point, State, Time, Weights};

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// From 1, without gaps.
    pub number: u64,
    /// When it happened; for a late entry, earlier than it was written.
    pub time: Time,
    /// What whoever wrote it says.
    #[serde(flatten)]
    pub draft: Draft,
    /// It was written after it took effect, because the ledger could not be written then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Of entries that take effect together: the number of the last of them. Without that one, none of them counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<u64>,
    /// The SHA-256 of the line before, without its line end.
    pub before: Digest,
}

/// An entry as it is handed in: without its number, time and place in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// What happened; its `kind` and what belongs to that.
    #[serde(flatten)]
    pub what: What,
    /// Whom it concerns. `None`: no service in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Who did it: the name of a person, a program, or a file that was edited.
    pub actor: String,
    /// Why; may be empty.
    pub reason: String,
    /// What else there is to know.
    #[serde(flatten)]
    pub about: About,
    /// Hash of the plan in force from this entry on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// By name: hashes of the files in force from this entry on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Digest>,
}

/// What may be said of any entry, and mostly is not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Entries that this one builds on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// Approvals that it needed and has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// The rollout it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u64>,
    /// What a rollout decided, in a word; where the kind of the entry does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// What the versions of the rollout had counted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// The judge's verdict it goes by, with its intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Value>,
    /// Where the service's rollout stands from this entry on: enough to resume it. [`Value::Null`]: there is none any more.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub state: Option<Value>,
}

/// What is there is there, also if it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The kinds of entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum What {
    /// The first entry of a ledger.
    Genesis {
        /// Of what stands in this file.
        format: u32,
    },
    /// A process began to work.
    Started {
        /// Its version.
        version: String,
    },
    /// The weights of a service changed.
    Weights {
        /// Where the change came from.
        source: Source,
        /// Before. `None`: there was no such service.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Weights>,
        /// After. `None`: there is no such service any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Weights>,
    },
    /// The migration of a service moved on, or back.
    Migration {
        /// Where the change came from.
        source: Source,
        /// Before. `None`: there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Point>,
        /// After. `None`: there is none any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Point>,
        /// Against what stood in its way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        forced: bool,
    },
    /// Files were read that change no weights, or that are refused.
    Files {
        /// What became of them.
        result: FileResult,
        /// Why they are refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// Flag definitions were read.
    Flags {
        /// What became of them.
        result: FileResult,
        /// What changed, for people to read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        diff: Vec<String>,
        /// Why they are refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// Something happened in a rollout, a drill or the like.
    Event {
        /// What, in a word.
        event: String,
        /// What belongs to it.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        fields: Map<String, Value>,
    },
    /// The actor approves of something.
    Approval {
        /// The hash of what is approved.
        of: String,
    },
    /// Somebody was refused for want of credentials, or of the right to do it.
    Refusal {
        /// What they asked for.
        asked: String,
    },
    /// Something about the ledger itself.
    Note {
        /// What, in a sentence.
        note: String,
    },
    /// The first entry of another file.
    Rotated {
        /// Everything in force by the entries before.
        state: Box<State>,
        /// What was removed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pruned: Option<Pruned>,
    },
    /// A kind that a later version writes.
    #[serde(other)]
    Unknown,
}

/// The files that were removed because there were more than are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The last entry that is gone.
    pub through: u64,
    /// Its hash.
    pub sha256: Digest,
}

/// Where a change of weights came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A file that was edited, or read at the start.
    File,
    /// The admin API.
    Admin,
    /// A rollout.
    Rollout,
    /// The plan of a migration, or a person who lets it go on.
    Plan,
}

/// What became of a file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileResult {
    /// It is in force.
    Applied,
    /// It is not.
    Refused,
}

/// An approval that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who approved.
    pub actor: String,
    /// The entry that says so.
    pub entry: u64,
}

/// An entry that another one builds on: a number, or `service@number` for an entry about a service, which may be in the
/// ledger of the serin beside that service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// In the same ledger.
    Entry(u64),
    /// About a service.
    Service(String, u64),
}

impl Draft {
    /// Somebody did something.
    #[must_use]
    pub fn new(actor: impl Into<String>, reason: impl Into<String>, what: What) -> Self {
        let (actor, reason) = (actor.into(), reason.into());
        Self { what, service: None, actor, reason, about: About::default(), plan: None, files: BTreeMap::new() }
    }

    /// The same about a service.
    #[must_use]
    pub fn of_service(self, service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..self }
    }

    /// Something about the ledger itself.
    pub(super) fn note(note: impl Into<String>) -> Self {
        Self::new("serin", "", What::Note { note: note.into() })
    }
}

impl What {
    /// The kind as the ledger spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "genesis",
            Self::Started { .. } => "started",
            Self::Weights { .. } => "weights",
            Self::Migration { .. } => "migration",
            Self::Files { .. } => "files",
            Self::Flags { .. } => "flags",
            Self::Event { .. } => "event",
            Self::Approval { .. } => "approval",
            Self::Refusal { .. } => "refusal",
            Self::Note { .. } => "note",
            Self::Rotated { .. } => "rotated",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for What {
    /// In a few words, without the kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis { format } => write!(f, "format {format}"),
            Self::Started { version } => write!(f, "serin {version}"),
            Self::Weights { from: Some(from), to: Some(to), .. } => write!(f, "{from} → {to}"),
            Self::Weights { from: None, to: Some(to), .. } => write!(f, "{to}"),
            Self::Weights { from: Some(from), to: None, .. } => write!(f, "{from} → no such service"),
            Self::Migration { from, to, forced, .. } => {
                match (from, to) {
                    (Some(from), Some(to)) => write!(f, "{from} → {to}")?,
                    (None, Some(to)) => write!(f, "{to}")?,
                    (Some(from), None) => write!(f, "{from} → no migration")?,
                    (None, None) => {}
                }
                if *forced { f.write_str(", forced") } else { Ok(()) }
            }
            Self::Files { result, problem } => match problem {
                Some(problem) => write!(f, "{result}: {}", first_line(problem)),
                None => write!(f, "{result}"),
            },
            Self::Flags { result, diff, problem } => match (problem, &diff[..]) {
                (Some(problem), _) => write!(f, "{result}: {}", first_line(problem)),
                (None, []) => write!(f, "{result}"),
                (None, [only]) => write!(f, "{result}: {only}"),
                (None, [first, more @ ..]) => write!(f, "{result}: {first} and {} more", more.len()),
            },
            Self::Event { event, .. } => f.write_str(event),
            Self::Approval { of } => f.write_str(of),
            Self::Refusal { asked } => f.write_str(asked),
            Self::Note { note } => f.write_str(note),
            Self::Rotated { pruned: Some(pruned), .. } => write!(f, "another file; pruned through {}", pruned.through),
            Self::Rotated { pruned: None, .. } => f.write_str("another file"),
            Self::Weights { from: None, to: None, .. } | Self::Unknown => Ok(()),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

impl fmt::Display for FileResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        })
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(number) => write!(f, "{number}"),
            Self::Service(service, number) => write!(f, "{service}@{number}"),
        }
    }
}

impl FromStr for Dependency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}`: expected the number of an entry, or SERVICE@NUMBER");
        let number = |digits: &str| -> Result<u64, String> {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|number| plain && *number > 0).ok_or_else(wrong)
        };
        match text.rsplit_once('@') {
            None => number(text).map(Self::Entry),
            Some((service, digits)) => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                if service.is_empty() || service.len() > 63 || !service.bytes().all(plain) {
                    return Err(wrong());
                }
                Ok(Self::Service(service.to_owned(), number(digits)?))
            }
        }
    }
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Entry(number) => serializer.serialize_u64(*number),
            Self::Service(..) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number.to_string().parse().map_err(de::Error::custom),
            Value::String(text) => text.parse().map_err(de::Error::custom),
            _ => Err(de::Error::custom("expected the number of an entry, or \"SERVICE@NUMBER\"")),
        }
    }
}
