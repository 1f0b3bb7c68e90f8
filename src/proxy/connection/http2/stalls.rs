//! Streams whose client does not let them send.

use std::collections::VecDeque;
use std::time::Instant;

use super::work::Work;
use crate::wire::http2::Key;

/// Streams that wait for their client to open a window, the one that has waited longest first.
#[derive(Debug, Default)]
pub(super) struct Stalls(VecDeque<(Key, Instant)>);

impl Stalls {
    /// A stream has sent what it may.
    pub(super) fn note(&mut self, work: &mut Work) {
        let now = Instant::now();
        work.stalled_since = Some(now);
        if !std::mem::replace(&mut work.is_noted, true) {
            self.0.push_back((work.key, now));
        }
    }

    /// Since when the first has waited.
    pub(super) fn first(&mut self, work: &[Option<Work>]) -> Option<Instant> {
        while let Some((key, since)) = self.0.front().copied() {
            let work = work.get(key.slot as usize).and_then(Option::as_ref).filter(|work| work.key == key);
            let stalled_since = work.and_then(|work| work.stalled_since);
            if stalled_since == Some(since) {
                return Some(since);
            }
            self.0.pop_front();
            // It has moved since it was noted: it comes after those that have not.
            if let Some(since) = stalled_since {
                let at = self.0.partition_point(|(_, other)| *other <= since);
                self.0.insert(at, (key, since));
            }
        }
        None
    }

    /// The first is not waited for any more.
    pub(super) fn take_first(&mut self) -> Option<Key> {
        self.0.pop_front().map(|(key, _)| key)
    }
}
