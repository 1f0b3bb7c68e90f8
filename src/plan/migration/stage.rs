//! The six stages, and how far a migration is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::plan::Share;

/// A stage of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Only the old version reads and writes.
    Off,
    /// Writes go to the new version, too.
    DualWrite,
    /// And reads, to be compared; the client gets the old version's answer.
    Shadow,
    /// The same the other way round: the client gets the new version's answer, and writes go there first.
    Live,
    /// Reads go to the new version only; writes still to both.
    RampDown,
    /// Only the new version reads and writes.
    Complete,
}

/// One of the two versions of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The old version, `from`.
    From,
    /// The new version, `to`.
    To,
}

/// Who is asked when something is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// This side alone.
    Only(Side),
    /// Both; the client gets this side's answer, and the other's is compared with it.
    Compared(Side),
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [Self::Off, Self::DualWrite, Self::Shadow, Self::Live, Self::RampDown, Self::Complete];
    /// How they are written, in the same order.
    pub const WORDS: [&'static str; 6] = ["off", "dualWrite", "shadow", "live", "rampDown", "complete"];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self.index()]
    }

    /// The stage that is written so.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.word() == word)
    }

    /// Its place among all, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The stage before; `None`: it is the first.
    #[must_use]
    pub fn before(self) -> Option<Self> {
        self.index().checked_sub(1).map(|index| Self::ALL[index])
    }

    /// The stage after; `None`: it is the last.
    #[must_use]
    pub fn after(self) -> Option<Self> {
        Self::ALL.get(self.index() + 1).copied()
    }

    /// Whose answers clients get.
    #[must_use]
    pub fn client_gets(self) -> Side {
        if self < Self::Live { Side::From } else { Side::To }
    }

    /// The side that writes go to first, and that is right where the two differ.
    #[must_use]
    pub fn authoritative(self) -> Side {
        self.client_gets()
    }

    /// The side that writes go to after the authoritative one. `None`: they go nowhere else.
    #[must_use]
    pub fn also_writes(self) -> Option<Side> {
        self.writes_both().then(|| self.authoritative().other())
    }

    /// Whether writes go to both sides.
    #[must_use]
    pub fn writes_both(self) -> bool {
        !matches!(self, Self::Off | Self::Complete)
    }

    /// Who is asked when something is read.
    #[must_use]
    pub fn reads(self) -> Reads {
        match self {
            Self::Shadow | Self::Live => Reads::Compared(self.client_gets()),
            Self::Off | Self::DualWrite | Self::RampDown | Self::Complete => Reads::Only(self.client_gets()),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::From => Self::To,
            Self::To => Self::From,
        }
    }
}

/// How far a migration is: a stage, and the share of keys that are in it. All others are in the stage before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// The share of keys; all of them for `off`, before which there is nothing.
    #[serde(serialize_with = "as_percentage", deserialize_with = "percentage")]
    pub share: Share,
}

impl Progress {
    /// Where every migration begins.
    pub const OFF: Self = Self { stage: Stage::Off, share: Share::ALL };
}

impl fmt::Display for Progress {
    /// `live`, or `live for 10%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.share == Share::ALL { self.stage.fmt(f) } else { write!(f, "{} for {}", self.stage, self.share) }
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::named(&word).ok_or_else(|| de::Error::unknown_variant(&word, &Self::WORDS))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_percentage<S: Serializer>(share: &Share, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(share)
}

fn percentage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
    let text = String::deserialize(deserializer)?;
    let percent: Option<f64> = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    let percent = percent.ok_or_else(|| de::Error::custom(format!("`{text}` is not a percentage")))?;
    Ok(Share::from_hundredths((percent * 100.0).round() as u32))
}
