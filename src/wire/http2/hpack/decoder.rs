//! Header blocks taken apart.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::field::{Entry, Field};
use super::lately::{LONGEST, Lately, Nth};
use super::statics::{COUNT, FIELDS};
use super::{TABLE_SIZE, huffman, integer};

/// A header block is not one; the connection is of no use after that, since the tables differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header block cannot be decoded")]
pub(crate) struct Undecodable;

/// The receiving side of one connection's header compression.
///
/// What comes is bounded by whoever hands in blocks: a field costs at least a byte of its block, and one that is referred to
/// is shared, not copied, so a block that refers to one long field again and again (CVE-2016-6581) takes no memory.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The newest first. Shared with what came lately: some peers (nginx) enter the same fields again with every message.
    table: VecDeque<Rc<Entry>>,
    size: usize,
    max: usize,
    lately: Lately,
    /// Changes of the table so far.
    edition: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { table: VecDeque::new(), size: 0, max: TABLE_SIZE, lately: Lately::default(), edition: 0 }
    }
}

/// What a block did and counted on beside the fields it said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    /// What it entered into the table, in order.
    entered: Vec<Rc<Entry>>,
    /// It referred to what others had entered.
    refers: bool,
    /// It has something secret in it, or resized the table.
    once: bool,
    /// The table's edition after it.
    edition: u32,
}

impl Effects {
    /// Whether the same bytes can be taken to say the same another time.
    pub(crate) fn can_be_repeated(&self) -> bool {
        // What it refers to moves by what it enters.
        !self.once && (!self.refers || self.entered.is_empty())
    }
}

impl Decoder {
    /// Decodes a whole block; each field is given to `take` with what it counts in a header list.
    ///
    /// # Errors
    /// If the block is none.
    pub(crate) fn decode(
        &mut self,
        mut block: &[u8],
        effects: &mut Effects,
        mut take: impl FnMut(&Field, usize),
    ) -> Result<(), Undecodable> {
        effects.entered.clear();
        (effects.refers, effects.once) = (false, false);
        let mut began = false;
        // A head begins with a pseudo-header field, and those that are sent most are in the table from the beginning.
        let mut nth = Nth { of_head: block.first().is_some_and(|first| *first >= 0x80), at: 0 };
        while let Some(first) = block.first() {
            match first {
                0x80.. => {
                    let number = integer::decode(&mut block, 7).ok_or(Undecodable)?;
                    effects.refers |= number > COUNT;
                    let entry = self.entry(number)?;
                    take(&entry.field, entry.size());
                }
                0x40.. => {
                    let entry = self.literal(&mut block, 6, &mut nth, effects)?;
                    take(&entry.field, entry.size());
                    effects.entered.push(Rc::clone(&entry));
                    self.insert(entry);
                }
                0x20.. => {
                    // Only before the first field (RFC 7541, section 4.2).
                    let max = integer::decode(&mut block, 5).filter(|max| *max <= TABLE_SIZE && !began);
                    self.resize(max.ok_or(Undecodable)?);
                    effects.once = true;
                    continue;
                }
                0x10.. => {
                    // What is never to be indexed is secret: it is not remembered.
                    let mut entry = self.new_literal(&mut block, 4, effects)?;
                    effects.once = true;
                    if let Field::Header(_, value) = &mut entry.field {
                        value.set_sensitive(true);
                    }
                    take(&entry.field, entry.size());
                }
                _ => {
                    let entry = self.literal(&mut block, 4, &mut nth, effects)?;
                    take(&entry.field, entry.size());
                }
            }
            began = true;
        }
        effects.edition = self.edition;
        Ok(())
    }

    /// Does what a block did that comes again and [can be repeated](Effects::can_be_repeated); `false` where it would not say the
    /// same now.
    pub(crate) fn repeat(&mut self, effects: &Effects) -> bool {
        if effects.refers && effects.edition != self.edition {
            return false;
        }
        for entry in &effects.entered {
            self.insert(Rc::clone(entry));
        }
        true
    }

    fn entry(&self, number: usize) -> Result<&Entry, Undecodable> {
        let at = number.checked_sub(1).ok_or(Undecodable)?;
        FIELDS.get(at).or_else(|| self.table.get(at - COUNT).map(Rc::as_ref)).ok_or(Undecodable)
    }

    fn literal(
        &mut self,
        block: &mut &[u8],
        bits: u32,
        next: &mut Nth,
        effects: &mut Effects,
    ) -> Result<Rc<Entry>, Undecodable> {
        let nth = *next;
        next.at += 1;
        if let Some((entry, length)) = self.lately.again(nth, block) {
            *block = &block[length..];
            return Ok(Rc::clone(entry));
        }
        let Some(length) = extent(block, bits).filter(|length| *length <= LONGEST) else {
            return self.new_literal(block, bits, effects).map(Rc::new);
        };
        let (sent, rest) = block.split_at(length);
        let place = Lately::place(sent);
        if let Some(entry) = self.lately.get(place, sent).map(Rc::clone) {
            *block = rest;
            self.lately.stands(nth, place);
            return Ok(entry);
        }
        let entry = Rc::new(self.new_literal(block, bits, effects)?);
        self.lately.note(place, sent, &entry);
        Ok(entry)
    }

    fn new_literal(&self, block: &mut &[u8], bits: u32, effects: &mut Effects) -> Result<Entry, Undecodable> {
        let number = integer::decode(block, bits).ok_or(Undecodable)?;
        effects.refers |= number > COUNT;
        if number == 0 {
            let name = string(block)?;
            return Ok(Entry::named(&name, string(block)?));
        }
        Ok(self.entry(number)?.with_value(string(block)?))
    }

    fn insert(&mut self, entry: Rc<Entry>) {
        self.edition = self.edition.wrapping_add(1);
        let size = entry.size();
        self.shrink(self.max.saturating_sub(size));
        // One that does not fit at all has emptied the table, and that is all (RFC 7541, section 4.4).
        if size <= self.max {
            self.size += size;
            self.table.push_front(entry);
        }
    }

    fn resize(&mut self, max: usize) {
        self.edition = self.edition.wrapping_add(1);
        self.max = max;
        self.shrink(max);
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to
            && let Some(entry) = self.table.pop_back()
        {
            self.size -= entry.size();
        }
    }

    /// What the table holds by the specification's count.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// Bytes of the literal at the front of `block`. `None`: its name is in the table, so the same bytes may mean something else
/// later; or it is not there whole.
fn extent(block: &[u8], bits: u32) -> Option<usize> {
    let mut rest = block;
    let number = integer::decode(&mut rest, bits).filter(|number| *number <= COUNT)?;
    for _ in 0..if number == 0 { 2 } else { 1 } {
        let length = integer::decode(&mut rest, 7)?;
        rest = rest.get(length..)?;
    }
    Some(block.len() - rest.len())
}

/// RFC 7541, section 5.2. Always copied, to its own length: what stays in the table must not keep more alive.
fn string(block: &mut &[u8]) -> Result<Bytes, Undecodable> {
    let is_coded = block.first().ok_or(Undecodable)? & 0x80 != 0;
    let length = integer::decode(block, 7).ok_or(Undecodable)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Undecodable)?;
    *block = rest;
    if !is_coded {
        return Ok(Bytes::copy_from_slice(text));
    }
    let mut decoded = Vec::new();
    if huffman::decode(text, &mut decoded) { Ok(decoded.into()) } else { Err(Undecodable) }
}
