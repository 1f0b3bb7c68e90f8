//! The streams of one connection, by place and by number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::stream::Stream;

/// One stream: its place, and its number, by which it is told from others that had the place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its place among the connection's streams: as low as there is one free.
    pub slot: u32,
    /// Its number on the wire.
    pub id: u32,
}

/// Streams in a row, of one side, of which each is found without a search; a power of two.
const NEAR: usize = 128;

/// Streams that are open. Places are used again, with what they have allocated.
#[derive(Debug, Default)]
pub(super) struct Slots {
    streams: Vec<Stream>,
    free: Vec<u32>,
    /// The place of a stream by the lowest bits of its number, where no older stream that is open has the same; what stands here of a
    /// stream that has ended is overwritten. Empty until there is a stream.
    near: Vec<u32>,
    /// The other streams.
    far: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
}

impl Slots {
    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.streams.len() - self.free.len()
    }

    /// Makes a place for a stream; whoever asks for it begins it anew.
    pub(super) fn insert(&mut self, id: u32) -> (Key, &mut Stream) {
        if self.near.is_empty() {
            self.near = vec![u32::MAX; NEAR];
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.streams.push(Stream::default());
            (self.streams.len() - 1) as u32
        });
        let at = nth(id);
        let is_taken =
            self.streams.get(self.near[at] as usize).is_some_and(|other| other.id != 0 && nth(other.id) == at);
        if is_taken {
            self.far.insert(id, slot);
        } else {
            self.near[at] = slot;
        }
        let stream = &mut self.streams[slot as usize];
        stream.id = id;
        (Key { slot, id }, stream)
    }

    /// The stream with this number.
    pub(super) fn find(&mut self, id: u32) -> Option<(Key, &mut Stream)> {
        let near = self.near.get(nth(id)).copied()?;
        let is_it = |slot: u32| self.streams.get(slot as usize).is_some_and(|stream| stream.id == id && id != 0);
        let slot = if is_it(near) { near } else { *self.far.get(&id)? };
        Some((Key { slot, id }, &mut self.streams[slot as usize]))
    }

    pub(super) fn get(&self, key: Key) -> Option<&Stream> {
        self.streams.get(key.slot as usize).filter(|stream| stream.id == key.id)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Stream> {
        self.streams.get_mut(key.slot as usize).filter(|stream| stream.id == key.id)
    }

    /// The stream ends; gives it for the last time.
    pub(super) fn remove(&mut self, key: Key) -> Option<&mut Stream> {
        self.get(key)?;
        if !self.far.is_empty() {
            self.far.remove(&key.id);
        }
        self.free.push(key.slot);
        let stream = &mut self.streams[key.slot as usize];
        stream.id = 0;
        Some(stream)
    }

    /// Every open stream.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Stream)> {
        let numbered = self.streams.iter_mut().enumerate().filter(|(_, stream)| stream.id != 0);
        numbered.map(|(slot, stream)| (Key { slot: slot as u32, id: stream.id }, stream))
    }
}

/// Where a stream stands among those near to it. All streams that one side opens are odd, or all are even.
fn nth(id: u32) -> usize {
    (id >> 1) as usize % NEAR
}

/// Spreads stream numbers, which ascend, over all bits. Who chooses them to collide finds few to do it with: as many as may be open.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        let product = u128::from(self.0 ^ u64::from(number)) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product ^ (product >> 64)) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As a plain map from numbers to places does, whichever streams stay open for how long.
        #[test]
        fn every_open_stream_is_found_and_no_other(steps in prop::collection::vec((any::<u16>(), any::<u8>()), 1..200)) {
            let (mut slots, mut open, mut all) = (Slots::default(), HashMap::new(), vec![0]);
            let mut last = 1;
            for (draw, kind) in steps {
                let opens = kind < 160 || open.is_empty();
                if opens {
                    // Most are near to the one before; some meet one that is open already.
                    last += 2 * if kind < 120 { 1 } else { u32::from(draw) % 400 + 1 };
                    let (key, stream) = slots.insert(last);
                    prop_assert_eq!(stream.id, last);
                    prop_assert!(open.values().all(|other: &Key| other.slot != key.slot));
                    open.insert(last, key);
                    all.push(last);
                } else {
                    let mut ids: Vec<u32> = open.keys().copied().collect();
                    ids.sort_unstable();
                    let key = open.remove(&ids[usize::from(draw) % ids.len()]).unwrap();
                    prop_assert!(slots.remove(key).is_some() && slots.remove(key).is_none());
                }
                prop_assert_eq!(slots.len(), open.len());
                for id in &all {
                    prop_assert_eq!(slots.find(*id).map(|(key, _)| key), open.get(id).copied());
                }
            }
        }
    }
}
