//! Literal fields that came lately: peers send the same ones in message after message, some of them (nginx) without ever
//! referring to a table.

use std::rc::Rc;

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
    /// The slots of those that stood in the last block of each kind, in order.
    stood: [[u8; STOOD]; 2],
}

/// Fields of a block whose slots are remembered.
const STOOD: usize = 16;

/// A literal of a block: which of them it is, and whether it is one of a head; the others are of trailers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nth {
    pub(super) of_head: bool,
    pub(super) at: usize,
}

#[derive(Debug, Default, Clone)]
struct Slot {
    /// The rest of the hash of the last field that was not known here.
    mark: u32,
    known: Option<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    sent: Box<[u8]>,
    entry: Rc<Entry>,
}

/// Where a field is remembered, if it is: its slot, and the rest of its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    slot: usize,
    mark: u32,
}

impl Lately {
    /// Where a field made of these bytes has its place.
    pub(super) fn place(sent: &[u8]) -> Place {
        let hash = hash(0, b"", sent);
        Place { slot: (hash as usize) & (SLOTS - 1), mark: (hash >> 32) as u32 }
    }

    /// The field that stood at this place lately, if the rest of the block begins with it, and its length as it was sent: messages of
    /// one peer are alike.
    pub(super) fn again(&self, nth: Nth, rest: &[u8]) -> Option<(&Rc<Entry>, usize)> {
        let slot = *self.stood[usize::from(nth.of_head)].get(nth.at)?;
        let known = self.slots.get(usize::from(slot))?.known.as_ref()?;
        rest.starts_with(&known.sent).then_some((&known.entry, known.sent.len()))
    }

    /// A field that is known stands at this place.
    pub(super) fn stands(&mut self, nth: Nth, place: Place) {
        if let Some(stood) = self.stood[usize::from(nth.of_head)].get_mut(nth.at) {
            *stood = place.slot as u8;
        }
    }

    /// The field that these bytes stood for lately.
    pub(super) fn get(&self, place: Place, sent: &[u8]) -> Option<&Rc<Entry>> {
        let known = self.slots.get(place.slot)?.known.as_ref()?;
        (*known.sent == *sent).then_some(&known.entry)
    }

    /// A field that was not known is one now, if it comes for the second time: what may never come again (an id, a length)
    /// drives nothing out.
    pub(super) fn note(&mut self, Place { slot, mark }: Place, sent: &[u8], entry: &Rc<Entry>) {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
        }
        let slot = &mut self.slots[slot];
        if slot.mark == mark {
            slot.known = Some(Known { sent: sent.into(), entry: Rc::clone(entry) });
        }
        slot.mark = mark;
    }
}
