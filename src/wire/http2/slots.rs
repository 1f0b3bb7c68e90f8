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

/// Streams that are open. Places are used again, with what they have allocated.
#[derive(Debug, Default)]
pub(super) struct Slots {
    streams: Vec<Stream>,
    free: Vec<u32>,
    by_id: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
}

impl Slots {
    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.streams.len() - self.free.len()
    }

    /// Makes a place for a stream; whoever asks for it begins it anew.
    pub(super) fn insert(&mut self, id: u32) -> (Key, &mut Stream) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.streams.push(Stream::default());
            (self.streams.len() - 1) as u32
        });
        self.by_id.insert(id, slot);
        let stream = &mut self.streams[slot as usize];
        stream.id = id;
        (Key { slot, id }, stream)
    }

    /// The stream with this number.
    pub(super) fn find(&mut self, id: u32) -> Option<(Key, &mut Stream)> {
        let slot = *self.by_id.get(&id)?;
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
        self.by_id.remove(&key.id);
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
