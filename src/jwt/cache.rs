//! How tokens ended that were looked at before, so that a signature is verified once and not with every request.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::verify::seconds;
use super::{MAX_TOKEN, Refused, Rules, Verified, verify};

/// Most tokens of each kind that are remembered, give or take: twice this many.
const REMEMBERED: usize = 1024;

/// One worker's memory of tokens. Those that hold and those that do not are kept apart, so that a flood of rubbish puts no
/// good one out.
#[derive(Debug, Default)]
pub struct Cache {
    /// What they were held against; other rules forget everything.
    rules: Option<Arc<Rules>>,
    good: Recent<Rc<Verified>>,
    bad: Recent<Refused>,
}

/// What came of looking at a token.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// It holds; its signature was verified just now.
    Verified(Rc<Verified>),
    /// It holds; its signature was verified before.
    Remembered(Rc<Verified>),
    /// It does not hold.
    Refused(Refused),
}

type Fingerprint = [u8; 32];

impl Cache {
    /// What `token` says at `now`.
    pub fn look(&mut self, token: &[u8], now: SystemTime, rules: &Arc<Rules>) -> Looked {
        if token.len() > MAX_TOKEN {
            return Looked::Refused(Refused::TooLarge);
        }
        if !self.rules.as_ref().is_some_and(|known| Arc::ptr_eq(known, rules)) {
            *self = Self { rules: Some(Arc::clone(rules)), ..Self::default() };
        }
        // Of the whole token, and one that nobody finds a second token for: else one user could be taken for another.
        let fingerprint: Fingerprint = Sha256::digest(token).into();
        if let Some(known) = self.good.get(&fingerprint) {
            return if seconds(now) < known.until {
                Looked::Remembered(Rc::clone(known))
            } else {
                Looked::Refused(Refused::Expired)
            };
        }
        if let Some(refused) = self.bad.get(&fingerprint) {
            return Looked::Refused(*refused);
        }
        match verify(token, now, rules) {
            Ok(verified) => {
                let verified = Rc::new(verified);
                self.good.put(fingerprint, Rc::clone(&verified));
                Looked::Verified(verified)
            }
            Err(refused) => {
                // It will be.
                if refused != Refused::NotYet {
                    self.bad.put(fingerprint, refused);
                }
                Looked::Refused(refused)
            }
        }
    }
}

/// The latest entries: a full generation becomes the old one, and the old one goes. What is asked for in time stays.
#[derive(Debug)]
struct Recent<T> {
    young: HashMap<Fingerprint, T>,
    old: HashMap<Fingerprint, T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T> Recent<T> {
    fn get(&mut self, key: &Fingerprint) -> Option<&T> {
        if let Some(kept) = self.old.remove(key) {
            self.put(*key, kept);
        }
        self.young.get(key)
    }

    fn put(&mut self, key: Fingerprint, value: T) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Fingerprint {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes_in_time() {
        let mut recent = Recent::default();
        for number in 0..10 * REMEMBERED {
            recent.put(key(number), number);
            assert_eq!(recent.get(&key(7)).copied(), (number >= 7).then_some(7));
            assert!(recent.young.len() + recent.old.len() <= 2 * REMEMBERED);
        }
        assert_eq!(recent.get(&key(8)), None);
    }
}
