//! Keys that were seen in writes, a bounded number of them: what is verified without anybody asking.

use std::collections::HashMap;
use std::sync::Arc;

use fastrand::Rng;

/// Different keys, at most so many. A new one takes the place of any other, so that what was written lately is likelier
/// to be there than what was written long ago: a biased reservoir (Aggarwal, "On biased reservoir sampling in the
/// presence of stream evolution", 2006).
#[derive(Debug)]
pub struct Reservoir {
    most: usize,
    keys: Vec<Arc<str>>,
    places: HashMap<Arc<str>, usize>,
}

impl Reservoir {
    /// One with room for `most` keys, at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), keys: Vec::new(), places: HashMap::new() }
    }

    /// Takes a key up, unless it is there already.
    pub fn offer(&mut self, key: &str, rng: &mut Rng) {
        if self.places.contains_key(key) {
            return;
        }
        let key: Arc<str> = key.into();
        if self.keys.len() < self.most {
            self.places.insert(Arc::clone(&key), self.keys.len());
            self.keys.push(key);
            return;
        }
        let place = rng.usize(0..self.keys.len());
        let former = std::mem::replace(&mut self.keys[place], Arc::clone(&key));
        self.places.remove(&former);
        self.places.insert(key, place);
    }

    /// Any of the keys; `None` where there is none.
    #[must_use]
    pub fn draw(&self, rng: &mut Rng) -> Option<Arc<str>> {
        (!self.keys.is_empty()).then(|| Arc::clone(&self.keys[rng.usize(0..self.keys.len())]))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_different_and_no_more_than_there_is_room_for() {
        let (mut rng, mut reservoir) = (Rng::with_seed(1), Reservoir::new(100));
        assert!(reservoir.is_empty() && reservoir.draw(&mut rng).is_none());
        for n in 0..10_000 {
            reservoir.offer(&format!("key {}", n % 700), &mut rng);
            assert!(reservoir.len() <= 100);
            assert_eq!(reservoir.places.len(), reservoir.keys.len());
        }
        let different: HashSet<_> = reservoir.keys.iter().collect();
        assert_eq!(different.len(), 100);
        assert!(reservoir.keys.iter().enumerate().all(|(place, key)| reservoir.places[key] == place));
    }

    #[test]
    fn every_key_is_drawn_and_the_latest_are_there() {
        let (mut rng, mut reservoir) = (Rng::with_seed(2), Reservoir::new(10));
        (0..1_000).for_each(|n| reservoir.offer(&n.to_string(), &mut rng));
        let drawn: HashSet<_> = (0..1_000).filter_map(|_| reservoir.draw(&mut rng)).collect();
        assert_eq!(drawn.len(), 10);
        assert!(reservoir.keys.iter().all(|key| key.parse::<u32>().unwrap() > 800), "{:?}", reservoir.keys);
    }
}
