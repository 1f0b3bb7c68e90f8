//! Header blocks that come again byte for byte: the calls of one client to one method are alike, and so are their answers. What
//! such a block says is known without looking at each of its fields.

use super::head::Gathering;
use super::hpack::{Decoder, Effects, Undecodable, hash};

/// Blocks remembered; a power of two.
const SLOTS: usize = 4;
/// Most bytes of one: a bound on what a peer can have kept beside its table.
const LONGEST: usize = 512;

/// The blocks of one side of a connection that came last.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// By the lowest bits of a block's hash; empty until there is one.
    slots: Vec<Slot>,
    effects: Effects,
}

#[derive(Debug, Default)]
struct Slot {
    block: Vec<u8>,
    /// What it says and does, once it has come twice.
    known: Option<(Gathering, Effects)>,
}

impl Repeats {
    /// What a block says, which has room for `expected` fields and `room` bytes: see [`Gathering::new`].
    ///
    /// # Errors
    /// If the block is none.
    pub(super) fn gather(
        &mut self,
        block: &[u8],
        decoder: &mut Decoder,
        expected: usize,
        room: usize,
    ) -> Result<Gathering, Undecodable> {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        let slot = (block.len() <= LONGEST).then(|| &mut self.slots[hash(0, b"", block) as usize & (SLOTS - 1)]);
        let is_same = slot.as_ref().is_some_and(|slot| slot.block == block);
        if is_same
            && let Some(Slot { known: Some((said, effects)), .. }) = &slot
            && decoder.repeat(effects)
        {
            return Ok(said.again(expected));
        }
        let mut gathering = Gathering::new(expected, room);
        decoder.decode(block, &mut self.effects, |field, size| gathering.take(field, size))?;
        if let Some(slot) = slot {
            let is_known = is_same && self.effects.can_be_repeated() && !gathering.is_bad();
            slot.known = is_known.then(|| (gathering.again(0), self.effects.clone()));
            if !is_same {
                slot.block.clear();
                // What is secret is not kept, here or anywhere.
                if self.effects.can_be_repeated() {
                    slot.block.extend_from_slice(block);
                }
            }
        }
        Ok(gathering)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Some pieces of header blocks: what is in the table from the beginning, what a block enters, what refers to what was
    /// entered, what is only said, what is secret, and a new size of the table.
    const PIECES: [&[u8]; 9] = [
        &[0x82],
        &[0x84],
        b"\x40\x03x-a\x03one",
        b"\x40\x03x-b\x03two",
        b"\x7e\x01z",
        &[0xbe],
        &[0xbf],
        b"\x10\x03x-s\x01s",
        b"\x00\x03x-l\x01l",
    ];

    proptest! {
        /// A few blocks in any order, so that each comes again, in the same state of the table and in others.
        #[test]
        fn a_block_says_and_does_the_same_however_often_it_has_come(
            blocks in prop::collection::vec(prop::collection::vec(0..PIECES.len(), 1..4), 4),
            order in prop::collection::vec(0..4_usize, 1..40),
            resized in any::<bool>(),
        ) {
            let (mut repeats, mut known, mut plain) = (Repeats::default(), Decoder::default(), Decoder::default());
            let entering = [PIECES[2], PIECES[3]].concat();
            let mut blocks: Vec<Vec<u8>> =
                blocks.iter().map(|pieces| pieces.iter().flat_map(|piece| PIECES[*piece]).copied().collect()).collect();
            if resized {
                // To less than two fields, and to what it was.
                blocks[0].splice(..0, [0x3f, 0x21]);
                blocks[1].splice(..0, [0x3f, 0xe1, 0x1f]);
            }
            for block in std::iter::once(&entering).chain(order.iter().map(|at| &blocks[*at])) {
                let found = repeats.gather(block, &mut known, 8, 4096);
                let mut expected = Gathering::new(8, 4096);
                let decoded = plain.decode(block, &mut Effects::default(), |field, size| expected.take(field, size));
                prop_assert_eq!(found.is_ok(), decoded.is_ok());
                let Ok(found) = found else { return Ok(()) };
                prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
                prop_assert_eq!(known.size(), plain.size());
            }
        }
    }

    #[test]
    fn what_refers_to_the_table_says_something_else_when_that_has_changed() {
        let (mut repeats, mut decoder) = (Repeats::default(), Decoder::default());
        let mut said = |block: &[u8]| format!("{:?}", repeats.gather(block, &mut decoder, 8, 4096).expect("a block"));
        said(PIECES[2]);
        let first = said(PIECES[5]);
        assert_eq!([said(PIECES[5]), said(PIECES[5])], [first.clone(), first.clone()]);
        said(PIECES[3]);
        let second = said(PIECES[5]);
        assert!(first.contains("one") && second.contains("two"), "{first} {second}");
    }

    #[test]
    fn what_is_secret_is_not_kept() {
        let (mut repeats, mut decoder) = (Repeats::default(), Decoder::default());
        for _ in 0..3 {
            repeats.gather(PIECES[7], &mut decoder, 8, 4096).expect("a block");
        }
        assert!(repeats.slots.iter().all(|slot| slot.block.is_empty() && slot.known.is_none()));
    }
}
