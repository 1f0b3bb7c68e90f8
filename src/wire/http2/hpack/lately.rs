//! Literal fields that came lately: peers send the same ones in message after message, some of them (nginx) without ever
//! referring to a table.

use super::field::Entry;
use super::hash::hash;

/// Fields remembered; a power of two.
const SLOTS: usize = 32;
/// Most bytes of a field as it was sent: a bound on what a peer can have kept beside the table.
pub(super) const LONGEST: usize = 96;

/// What fields were made of, and what they are.
#[derive(Debug, Default)]
pub(super) struct Lately {
    /// By the lowest bits of a field's hash; empty until there is a field.
    slots: Vec<Slot>,
}

#[derive(Debug, Default, Clone)]
struct Slot {
    /// The rest of the hash of the last field that was not known here.
    mark: u32,
    known: Option<Box<Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    sent: Box<[u8]>,
    entry: Entry,
}

impl Lately {
    /// The field that these bytes stood for lately.
    pub(super) fn get(&self, sent: &[u8]) -> Option<&Entry> {
        let known = self.slots.get(place(sent).0)?.known.as_deref()?;
        (*known.sent == *sent).then_some(&known.entry)
    }

    /// A field that was not known is one now, if it comes for the second time: what may never come again (an id, a length)
    /// drives nothing out.
    pub(super) fn note(&mut self, sent: &[u8], entry: &Entry) {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
        }
        let (at, mark) = place(sent);
        let slot = &mut self.slots[at];
        if slot.mark == mark {
            slot.known = Some(Box::new(Known { sent: sent.into(), entry: entry.clone() }));
        }
        slot.mark = mark;
    }
}

fn place(sent: &[u8]) -> (usize, u32) {
    let hash = hash(0, b"", sent);
    ((hash as usize) & (SLOTS - 1), (hash >> 32) as u32)
}
