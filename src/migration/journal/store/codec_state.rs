//! States and marks as bytes.

use super::{Mark, Stored};
use crate::migration::journal::Why;

/// Appends a state: a byte that says which, and for dead letters the tries and what was said.
pub(super) fn state(stored: &Stored, bytes: &mut Vec<u8>) {
    match stored {
        Stored::Begun => bytes.push(0),
        Stored::Applied => bytes.push(1),
        Stored::Dead { tries, why } => {
            bytes.push(2);
            bytes.extend_from_slice(&tries.to_le_bytes());
            bytes.extend_from_slice(why.as_bytes());
        }
    }
}

/// `None`: it is none.
pub(super) fn read_state(bytes: &[u8]) -> Option<Stored> {
    match bytes.split_first()? {
        (0, []) => Some(Stored::Begun),
        (1, []) => Some(Stored::Applied),
        (2, rest) => {
            let (tries, why) = rest.split_first_chunk()?;
            let why = std::str::from_utf8(why).ok()?.into();
            Some(Stored::Dead { tries: u32::from_le_bytes(*tries), why })
        }
        _ => None,
    }
}

/// Appends a mark: why, and since when.
pub(super) fn mark(mark: Mark, bytes: &mut Vec<u8>) {
    bytes.push(match mark.why {
        Why::Unknown => 0,
        Why::Alone => 1,
        Why::GivenUp => 2,
    });
    bytes.extend_from_slice(&mark.at.to_le_bytes());
}

/// `None`: it is none.
pub(super) fn read_mark(bytes: &[u8]) -> Option<Mark> {
    let (why, at) = bytes.split_first()?;
    let why = match why {
        0 => Why::Unknown,
        1 => Why::Alone,
        2 => Why::GivenUp,
        _ => return None,
    };
    Some(Mark { why, at: u64::from_le_bytes(at.try_into().ok()?) })
}
