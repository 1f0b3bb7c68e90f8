//! A run over many keys: which comes next, what was found so far, and all of that as it is kept for the next process. Pure.
//!
//! Every key is counted once. Keys in hand when a process dies are looked at again by the one that goes on, which counts
//! them then; what was already mended agrees there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::examine::{Mended, Outcome};
use super::look::{Disagreement, Kind};
use crate::plan::Share;

/// Most keys of one run.
pub const MAX_RUN_KEYS: usize = 1_000_000;
/// How often a key is looked at that is being written, or of which a side says nothing.
const TRIES: u32 = 6;
/// Most keys that wait to be looked at again; one more counts as it is.
const MAX_AGAIN: usize = 10_000;
/// Keys in a row of which a side says nothing: then it is down, and the run stops.
const MAX_STREAK: u32 = 100;
/// Most samples of a run, and most places of one.
const MAX_SAMPLES: usize = 50;
const MAX_PLACES_OF_SAMPLE: usize = 5;
/// Most places that are counted apart.
const MAX_PLACES: usize = 256;

/// What is asked of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Which keys.
    pub keys: Keys,
    /// Whether the other side is made to say what the authoritative one does.
    pub repair: bool,
    /// Keys a second, at most.
    pub per_second: f64,
    /// Who asks.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Where the keys of a run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Keys {
    /// Whoever asks names them.
    Given,
    /// Those that the journal and the verification have doubts about.
    Journal,
    /// This part of all that both sides list, in hundredths of a percent.
    Sample(u32),
}

/// A run over the keys from 0 to its total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What was asked for.
    pub asked: Asked,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// How many keys there are. `None`: they are being listed.
    pub total: Option<u64>,
    /// The first key that was never looked at.
    next: u64,
    /// Keys that are being looked at, with how often they were before.
    in_hand: BTreeMap<u64, u32>,
    /// Keys to be looked at again, with how often they were.
    again: BTreeMap<u64, u32>,
    /// When each of them is due. Not kept: the next process has another clock.
    #[serde(skip)]
    due: BTreeSet<(Duration, u64)>,
    #[serde(skip)]
    streak: u32,
    /// What was found.
    pub counts: Counts,
    /// Disagreements by place.
    pub places: BTreeMap<String, u64>,
    /// Some of them, the first ones.
    pub samples: Vec<Sample>,
    /// How it ended. `None`: it has not.
    pub end: Option<End>,
}

/// Keys by what was found of them; each is in one of the first six.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Both sides said the same.
    pub agreed: u64,
    /// Both had it, and not the same.
    pub differed: u64,
    /// Only the authoritative side had it.
    pub missing: u64,
    /// Only the other side had it.
    pub extra: u64,
    /// Written again and again, so that nothing could be said.
    pub unsettled: u64,
    /// A side did not answer, again and again.
    pub failed: u64,
    /// Of those that disagreed: both say the same since.
    pub repaired: u64,
    /// Of those that disagreed: a repair did not help.
    pub unrepaired: u64,
}

/// A disagreement as it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The key.
    pub key: String,
    /// In what way the sides disagreed.
    pub kind: Kind,
    /// Where, at most five places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<SamplePlace>,
    /// Whether it was mended; nothing where nobody asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<bool>,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// One place of a disagreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamplePlace {
    /// A path into the document, or what else of an answer differs.
    pub place: String,
    /// What the authoritative side says there, redacted and cut.
    pub authoritative: String,
    /// What the other side says.
    pub other: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// Every key was looked at.
    Done,
    /// Somebody cancelled it.
    Cancelled(String),
    /// It could not go on, for this reason.
    Stopped(String),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look at this key.
    Key(u64),
    /// Nothing before this time, or before a key in hand is done.
    Wait(Option<Duration>),
    /// Nothing any more.
    Over,
}

impl Run {
    /// One that has yet to look at its first key.
    #[must_use]
    pub fn new(asked: Asked, total: Option<u64>, began_ms: u64) -> Self {
        Self {
            asked,
            began_ms,
            total,
            next: 0,
            in_hand: BTreeMap::new(),
            again: BTreeMap::new(),
            due: BTreeSet::new(),
            streak: 0,
            counts: Counts::default(),
            places: BTreeMap::new(),
            samples: Vec::new(),
            end: None,
        }
    }

    /// Takes it up again: keys that were in hand are looked at anew.
    pub fn resume(&mut self) {
        self.again.append(&mut self.in_hand);
        self.due = self.again.keys().map(|key| (Duration::ZERO, *key)).collect();
        (self.streak, self.end) = (0, None);
    }

    /// Whether it can be taken up again: it is not over, or was stopped or cancelled.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.end != Some(End::Done)
    }

    /// Whether what was read from a disk can be a run over so many keys.
    #[must_use]
    pub fn fits(&self, keys: u64) -> bool {
        let known = |index: &u64| *index < keys;
        let looked = self.counts.looked() + self.again.len() as u64 + self.in_hand.len() as u64;
        self.total == Some(keys)
            && self.next <= keys
            && looked == self.next
            && self.again.keys().chain(self.in_hand.keys()).all(known)
    }

    /// What to do at `now`: keys that are due again come first.
    pub fn next(&mut self, now: Duration) -> Next {
        let Some(total) = self.total.filter(|_| self.end.is_none()) else { return Next::Over };
        let first = self.due.first().copied();
        if let Some((at, key)) = first
            && at <= now
        {
            self.due.pop_first();
            let tries = self.again.remove(&key).unwrap_or_default();
            self.in_hand.insert(key, tries);
            return Next::Key(key);
        }
        if self.next < total {
            self.in_hand.insert(self.next, 0);
            self.next += 1;
            return Next::Key(self.next - 1);
        }
        if first.is_none() && self.in_hand.is_empty() {
            self.end = Some(End::Done);
            return Next::Over;
        }
        Next::Wait(first.map(|(at, _)| at))
    }

    /// Takes note of what a look found. A key that is not in hand is none of ours.
    pub fn put(&mut self, key: u64, name: &str, outcome: Outcome, now: Duration) {
        let Some(tries) = self.in_hand.remove(&key) else { return };
        if let Outcome::Failed(why) = &outcome {
            self.streak += 1;
            if self.streak >= MAX_STREAK && self.end.is_none() {
                self.end = Some(End::Stopped(format!("{MAX_STREAK} keys in a row could not be read: {why}")));
            }
        } else {
            self.streak = 0;
        }
        match outcome {
            Outcome::Agreed => self.counts.agreed += 1,
            Outcome::Busy | Outcome::Failed(_) | Outcome::Disagreed(_, Mended::Later(_))
                if tries + 1 < TRIES && self.again.len() < MAX_AGAIN =>
            {
                self.again.insert(key, tries + 1);
                // 0.2 s, 0.8 s, 3.2 s, and then every 5 s.
                let wait = Duration::from_millis(200) * 4_u32.pow(tries.min(3));
                self.due.insert((now + wait.min(Duration::from_secs(5)), key));
            }
            Outcome::Disagreed(found, mended) => self.disagreed(name, found, mended),
            Outcome::Busy => self.counts.unsettled += 1,
            Outcome::Failed(_) => self.counts.failed += 1,
        }
    }

    fn disagreed(&mut self, name: &str, found: Disagreement, mended: Mended) {
        let counts = &mut self.counts;
        match found.kind {
            Kind::Differs => counts.differed += 1,
            Kind::Missing => counts.missing += 1,
            Kind::Extra => counts.extra += 1,
        }
        let (repaired, why) = match mended {
            Mended::NotAsked => (None, None),
            Mended::Done => (Some(true), None),
            Mended::Not(why) | Mended::Later(why) => (Some(false), Some(why)),
        };
        counts.repaired += u64::from(repaired == Some(true));
        counts.unrepaired += u64::from(repaired == Some(false));
        for difference in &found.differences {
            if self.places.len() < MAX_PLACES || self.places.contains_key(&difference.place) {
                *self.places.entry(difference.place.clone()).or_default() += 1;
            }
        }
        if self.samples.len() < MAX_SAMPLES {
            let places = found.differences.into_iter().take(MAX_PLACES_OF_SAMPLE);
            let places =
                places.map(|one| SamplePlace { place: one.place, authoritative: one.old, other: one.new }).collect();
            self.samples.push(Sample { key: name.to_owned(), kind: found.kind, places, repaired, why });
        }
    }

    /// Stops it, unless it is over.
    pub fn stop(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// Whether it showed that all keys of both sides are the same now.
    #[must_use]
    pub fn shows_all_the_same(&self) -> bool {
        let Counts { unsettled, failed, .. } = self.counts;
        self.asked.keys == Keys::Sample(Share::ALL.hundredths())
            && self.end == Some(End::Done)
            && unsettled + failed == 0
            && self.counts.disagreed() == self.counts.repaired
    }
}

impl Counts {
    /// Keys that are done with.
    #[must_use]
    pub fn looked(&self) -> u64 {
        self.agreed + self.disagreed() + self.unsettled + self.failed
    }

    /// Keys that disagreed when they were looked at.
    #[must_use]
    pub fn disagreed(&self) -> u64 {
        self.differed + self.missing + self.extra
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn asked(keys: Keys, repair: bool) -> Asked {
        Asked { keys, repair, per_second: 50.0, actor: "a".to_owned(), reason: String::new() }
    }

    fn found(kind: Kind) -> Disagreement {
        Disagreement { kind, differences: Vec::new() }
    }

    /// Whatever happens, and wherever the process dies, each key is counted just once.
    #[test]
    fn every_key_is_counted_once_wherever_the_process_dies() {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let total = rng.u64(0..300);
            let mut run = Run::new(asked(Keys::Given, true), Some(total), 0);
            let (mut now, mut hands, mut kept) = (Duration::ZERO, Vec::new(), run.clone());
            let mut looks = 0;
            loop {
                match run.next(now) {
                    Next::Over => break,
                    Next::Key(key) => hands.push(key),
                    Next::Wait(until) => {
                        assert!(until.is_some() || !hands.is_empty(), "seed {seed}: it waits for nothing");
                        now = now.max(until.unwrap_or(now));
                    }
                }
                if hands.len() > 8 || (!hands.is_empty() && rng.bool()) {
                    let key = hands.swap_remove(rng.usize(0..hands.len()));
                    looks += 1;
                    let outcome = match rng.u32(0..10) {
                        0..4 => Outcome::Agreed,
                        4 => Outcome::Disagreed(found(Kind::Missing), Mended::Done),
                        5 => Outcome::Disagreed(found(Kind::Differs), Mended::Not("no".to_owned())),
                        6 => Outcome::Disagreed(found(Kind::Extra), Mended::NotAsked),
                        7 => Outcome::Failed("down".to_owned()),
                        _ => Outcome::Busy,
                    };
                    run.put(key, &key.to_string(), outcome, now);
                }
                if rng.u32(0..20) == 0 {
                    kept = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
                    assert!(kept.fits(total), "seed {seed}: {kept:?}");
                }
                if rng.u32(0..200) == 0 {
                    // Died: what was in hand, and whatever happened since it was last kept, is gone.
                    run = kept.clone();
                    run.resume();
                    hands.clear();
                }
            }
            assert_eq!(run.end, Some(End::Done), "seed {seed}");
            assert_eq!(run.counts.looked(), total, "seed {seed}: {:?}", run.counts);
            assert!(looks >= total);
        }
    }

    #[test]
    fn a_key_that_is_always_being_written_is_given_up_on_in_the_end() {
        let mut run = Run::new(asked(Keys::Given, false), Some(1), 0);
        let (mut now, mut looks) = (Duration::ZERO, 0);
        loop {
            match run.next(now) {
                Next::Key(key) => {
                    looks += 1;
                    run.put(key, "k", Outcome::Busy, now);
                }
                Next::Wait(until) => now = until.expect("nothing is in hand"),
                Next::Over => break,
            }
        }
        assert_eq!((looks, run.counts.unsettled), (TRIES, 1));
        assert!((5..30).contains(&now.as_secs()), "{now:?}");
    }

    #[test]
    fn a_run_stops_where_a_side_is_down_and_goes_on_from_there() {
        let mut run = Run::new(asked(Keys::Given, false), Some(1_000), 0);
        while let Next::Key(key) = run.next(Duration::ZERO) {
            run.put(key, "k", Outcome::Failed("connection refused".to_owned()), Duration::ZERO);
        }
        let stopped = "100 keys in a row could not be read: connection refused".to_owned();
        assert_eq!(run.end, Some(End::Stopped(stopped)));
        assert_eq!(run.counts.looked(), 0, "nothing is known of them");
        assert!(run.is_resumable());
        run.resume();
        while let Next::Key(key) = run.next(Duration::ZERO) {
            run.put(key, "k", Outcome::Agreed, Duration::ZERO);
        }
        assert_eq!((run.counts.agreed, &run.end), (1_000, &Some(End::Done)));
        assert!(!run.is_resumable());
    }

    #[test]
    fn only_a_look_at_all_keys_that_left_none_different_shows_that_all_are_the_same() {
        let run = |keys, repair, outcome: Outcome| {
            let mut run = Run::new(asked(keys, repair), Some(1), 0);
            let Next::Key(key) = run.next(Duration::ZERO) else { panic!("there is one") };
            run.put(key, "k", outcome, Duration::ZERO);
            assert_eq!(run.next(Duration::ZERO), Next::Over);
            run.shows_all_the_same()
        };
        let all = Keys::Sample(10_000);
        assert!(run(all, false, Outcome::Agreed));
        assert!(run(all, true, Outcome::Disagreed(found(Kind::Differs), Mended::Done)));
        assert!(!run(all, true, Outcome::Disagreed(found(Kind::Differs), Mended::Not("no".to_owned()))));
        assert!(!run(all, false, Outcome::Disagreed(found(Kind::Differs), Mended::NotAsked)));
        assert!(!run(Keys::Sample(9_999), false, Outcome::Agreed));
        assert!(!run(Keys::Given, false, Outcome::Agreed));
    }

    #[test]
    fn samples_and_places_are_bounded() {
        let mut run = Run::new(asked(Keys::Given, false), Some(1_000), 0);
        while let Next::Key(key) = run.next(Duration::ZERO) {
            let difference = |n: u64| crate::diff::Difference {
                place: format!("$.{}", key * 10 + n),
                change: crate::diff::Change::Value,
                old: "1".to_owned(),
                new: "2".to_owned(),
            };
            let found = Disagreement { kind: Kind::Differs, differences: (0..10).map(difference).collect() };
            run.put(key, "k", Outcome::Disagreed(found, Mended::NotAsked), Duration::ZERO);
        }
        assert_eq!((run.samples.len(), run.samples[0].places.len()), (MAX_SAMPLES, MAX_PLACES_OF_SAMPLE));
        assert_eq!((run.places.len(), run.counts.differed), (MAX_PLACES, 1_000));
    }
}
