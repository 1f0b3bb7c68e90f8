//! One write, and what may become of it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Most bytes of a key.
pub const MAX_KEY: usize = 1024;
/// Most bytes of one write, head and body.
pub const MAX_WRITE: usize = 64 << 20;

/// A write that two versions are to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The service.
    pub service: Arc<str>,
    /// What it is about; writes of one key keep their order. At most [`MAX_KEY`] bytes.
    pub key: Arc<str>,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The headers for the other side, without those of one hop and of framing. Its `host` is kept; without one the address is named.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The header and value by which a version knows that it has this write already; set on whatever is sent.
    pub idempotency: (HeaderName, HeaderValue),
    /// The version whose answer the client gets.
    pub authoritative: Arc<str>,
    /// The version that gets it afterwards.
    pub other: Arc<str>,
}

/// What the authoritative side made of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Applied,
    /// It is not done, for certain: the other side does not get it.
    Refused,
    /// Nobody knows: no answer, or one that does not say.
    Unknown,
}

/// How a write may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// To the authoritative side, and then to the other.
    Both,
    /// To the authoritative side alone; its key is listed for reconciliation.
    Alone,
}

/// Why a write may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many entries as there may be.
    #[error("the journal holds as many writes as it may")]
    Entries,
    /// As many bytes as there may be, with this one.
    #[error("the journal holds as many bytes as it may")]
    Bytes,
    /// The other side lags behind by more than it may.
    #[error("the other version lags behind by more than it may")]
    Age,
    /// The disk takes nothing. Whether it kept this write is unknown: it may still be done after a crash.
    #[error("the journal cannot be written")]
    Disk,
    /// Writes of the same key before it took too long, or there are too many of them.
    #[error("earlier writes of the same key are not done")]
    Busy,
    /// serin is stopping.
    #[error("the journal is closed")]
    Closed,
    /// The service has no journal.
    #[error("the service has no journal")]
    NoJournal,
    /// The key or the write is longer than any may be.
    #[error("the write is too large for the journal")]
    TooLarge,
}

impl Refused {
    /// All there are, in the order of their positions.
    pub const ALL: [Self; 8] =
        [Self::Entries, Self::Bytes, Self::Age, Self::Disk, Self::Busy, Self::Closed, Self::NoJournal, Self::TooLarge];

    /// As metrics and the header `x-serin-error` name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Entries => "journalEntries",
            Self::Bytes => "journalBytes",
            Self::Age => "journalAge",
            Self::Disk => "journalDisk",
            Self::Busy => "journalBusy",
            Self::Closed => "journalClosed",
            Self::NoJournal => "noJournal",
            Self::TooLarge => "journalTooLarge",
        }
    }

    /// Whether it is for want of room or disk, so that `onFull` decides.
    #[must_use]
    pub fn is_full(self) -> bool {
        matches!(self, Self::Entries | Self::Bytes | Self::Age | Self::Disk)
    }
}

/// Why a key is to be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody knows whether the authoritative side applied a write of it.
    Unknown,
    /// A write of it went to the authoritative side alone.
    Alone,
    /// Somebody gave up a dead letter.
    GivenUp,
}

impl Why {
    /// As status and lists name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Alone => "alone",
            Self::GivenUp => "givenUp",
        }
    }
}
