//! One life: clients that write, two versions, a journal, and what befalls them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::oneshot;

use super::disk::SimDisk;
use super::side::Side;
use crate::migration::journal::book::{Book, Granted, Job, Millis, Said};
use crate::migration::journal::store::Redb;
use crate::migration::journal::writer::{Step, lock, step};
use crate::migration::journal::{Begun, Outcome, Write};
use crate::plan::{Backoff, JournalRules, OnFull};

const SERVICE: &str = "shop";
const KEYS: usize = 50;
const NAMES: [&str; 2] = ["old", "new"];
/// How long somebody waits for an answer.
const PATIENCE: Millis = 50;

pub(super) struct World {
    random: fastrand::Rng,
    now: Millis,
    rules: Arc<JournalRules>,
    book: Mutex<Book>,
    store: Option<Redb<SimDisk>>,
    disk: SimDisk,
    sides: [Side; 2],
    /// Which side is authoritative now.
    first: usize,
    waiting: HashMap<u32, (Arc<Write>, u64, oneshot::Receiver<Granted>)>,
    events: BTreeMap<(Millis, u64), Event>,
    next_event: u64,
    /// Crashes so far: what was begun before one is answered to nobody.
    life: u32,
    /// Acknowledged writes of each key, with when they were begun and acknowledged.
    acknowledged: HashMap<Arc<str>, Vec<(u32, u64, u64)>>,
    begun_at: HashMap<u32, u64>,
    /// Keys of which a write went to one side alone without a disk to list them on.
    alone: HashSet<Arc<str>>,
    moment: u64,
    pub(super) facts: Facts,
}

/// What happened in a life.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) begun: u32,
    pub(super) acknowledged: u32,
    pub(super) refused: u32,
    pub(super) alone: u32,
    pub(super) crashes: u32,
    pub(super) resent: u32,
    pub(super) delivered_again: u32,
    pub(super) rewrites: u32,
}

enum Event {
    Arrives { side: usize, write: Arc<Write>, asker: Option<(u32, Asker)> },
    Answered { asker: Asker, life: u32, answer: Answer },
}

#[derive(Clone)]
enum Asker {
    Client(u32, u64),
    Job(Box<Job>),
}

#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    None,
    NotReached,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let rules = JournalRules {
            max_entries: if random.bool() { 40 } else { 100_000 },
            on_full: if seed % 3 == 2 { OnFull::OldOnly } else { OnFull::Refuse },
            tries: if seed.is_multiple_of(2) { 3 } else { u32::MAX },
            backoff: Backoff { initial: Duration::from_millis(5), max: Duration::from_millis(100) },
            idempotent: NAMES.map(Arc::from).into(),
            ..JournalRules::default()
        };
        let disk = SimDisk::new(random.u64(..));
        let mut world = Self {
            now: 1_000_000,
            rules: Arc::new(rules),
            book: Mutex::new(Book::new(true)),
            store: None,
            disk,
            sides: Default::default(),
            first: 0,
            waiting: HashMap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            life: 0,
            acknowledged: HashMap::new(),
            begun_at: HashMap::new(),
            alone: HashSet::new(),
            moment: 0,
            facts: Facts::default(),
            random,
        };
        // The second side does not take some writes, until somebody sees to it.
        world.sides[1].refuses = (1..).step_by(97).take(10).collect();
        world.start();
        world
    }

    /// Something happens.
    pub(super) fn step(&mut self) {
        self.now += self.random.u64(0..4);
        self.moment += 1;
        match self.random.u32(0..1000) {
            0..350 => self.begin(),
            350..600 => self.write(),
            600..980 => self.deliver(),
            980..985 => self.crash(),
            985..990 => {
                let side = self.random.usize(0..2);
                self.sides[side].dead = self.random.u32(..3) == 0;
                self.sides[side].busy = self.random.u32(..3) == 0;
            }
            990 => self.disk.set_full(true),
            991 => self.disk.set_no_sync(true),
            992..998 => self.disk_works(),
            _ => self.first = self.random.usize(0..2),
        }
        self.pass();
    }

    /// Everything works again, somebody sees to the dead letters, and all is delivered.
    pub(super) fn heal(&mut self) {
        for side in &mut self.sides {
            (side.dead, side.busy) = (false, false);
            side.refuses.clear();
        }
        self.disk_works();
        for turn in 0..100_000 {
            self.now += 10;
            self.pass();
            self.write();
            self.deliver();
            if turn % 10 == 0 {
                let now = self.now;
                let mut book = lock(&self.book);
                for letter in book.dead_letters(SERVICE, 0, 10, now) {
                    assert!(book.retry(SERVICE, letter.number, now), "a dead letter can be tried again");
                }
            }
            let book = lock(&self.book);
            if book.status(SERVICE, self.now).entries == 0 && !book.has_work() && self.waiting.is_empty() {
                return;
            }
        }
        panic!("not delivered: {:?}", lock(&self.book).status(SERVICE, self.now));
    }

    /// What must be true in the end.
    pub(super) fn check(&mut self) {
        let listed: HashSet<_> = {
            let book = lock(&self.book);
            book.to_reconcile(SERVICE, None, usize::MAX, self.now).into_iter().map(|listed| listed.key).collect()
        };
        if self.rules.on_full == OnFull::Refuse {
            assert!(self.alone.is_empty(), "nothing goes alone where that is not wanted");
        }
        for key in keys() {
            let [old, new] = [0, 1].map(|side| self.sides[side].done.get(&key).cloned().unwrap_or_default());
            let acknowledged = self.acknowledged.get(&key).cloned().unwrap_or_default();
            let excused = listed.contains(&key) || self.alone.contains(&key);
            if !excused {
                assert_eq!(old, new, "{key}: both sides have the same writes in the same order");
            }
            for (number, ..) in &acknowledged {
                let has = |side: &[u32]| side.contains(number);
                assert!(has(&old) || has(&new), "{key}: write {number} was acknowledged and is nowhere");
                assert!(excused || (has(&old) && has(&new)), "{key}: write {number} was acknowledged and is missing");
            }
            let place = |number: u32| old.iter().position(|done| *done == number);
            for (before, _, acknowledged_at) in &acknowledged {
                for (after, begun_at, _) in &acknowledged {
                    if acknowledged_at < begun_at && !excused {
                        assert!(place(*before) < place(*after), "{key}: {before} was done before {after} was begun");
                    }
                }
            }
        }
        // Nothing is left for the next life but the list.
        self.crash();
        let book = lock(&self.book);
        assert_eq!(book.status(SERVICE, self.now).entries, 0, "what is done is not done again");
        let again = book.to_reconcile(SERVICE, None, usize::MAX, self.now);
        assert_eq!(
            again.into_iter().map(|listed| listed.key).collect::<HashSet<_>>(),
            listed,
            "the list outlives a crash"
        );
    }

    fn begin(&mut self) {
        if self.waiting.len() > 20 {
            return;
        }
        self.facts.begun += 1;
        let id = self.facts.begun;
        // Half of all writes are to a few keys, so that many wait for each other.
        let among = if self.random.bool() { 4 } else { KEYS };
        let write = Write {
            service: SERVICE.into(),
            key: keys().nth(self.random.usize(..among)).expect("one of them"),
            method: Method::PUT,
            target: format!("/items/{id}"),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(&id.to_le_bytes()),
            idempotency: (HeaderName::from_static("idempotency-key"), HeaderValue::from(id)),
            authoritative: NAMES[self.first].into(),
            other: NAMES[1 - self.first].into(),
        };
        self.begun_at.insert(id, self.moment);
        match lock(&self.book).begin(write.clone(), self.now) {
            Ok((number, granted)) => _ = self.waiting.insert(id, (Arc::new(write), number, granted)),
            Err(_) => self.facts.refused += 1,
        }
    }

    /// The writer's turn.
    fn write(&mut self) {
        let Some(store) = &mut self.store else { return };
        let gone = lock(&self.book).is_disk_gone();
        let now = self.now;
        if let Step::Wrote(_) = step(&self.book, store, || now) {
            self.facts.rewrites += u32::from(gone);
        }
    }

    fn deliver(&mut self) {
        while let Some(job) = { lock(&self.book).take_job(self.now) } {
            let side = NAMES.iter().position(|name| **name == **job.version()).expect("one of them");
            let write = Arc::clone(&job.write);
            self.facts.resent += u32::from(*job.version() == write.authoritative);
            self.send(side, write, Asker::Job(Box::new(job)));
        }
    }

    /// Sends something, with all that can become of it.
    fn send(&mut self, side: usize, write: Arc<Write>, asker: Asker) {
        if self.sides[side].dead {
            return self.at(1, Event::Answered { asker, life: self.life, answer: Answer::NotReached });
        }
        let late = self.random.u32(..20) == 0;
        let lost = self.random.u32(..20) == 0;
        if late || lost {
            let answered = Event::Answered { asker, life: self.life, answer: Answer::None };
            self.at(PATIENCE, answered);
            if late {
                let after = self.random.u64(1..400);
                self.at(after, Event::Arrives { side, write, asker: None });
            }
            return;
        }
        let after = self.random.u64(1..20);
        self.at(after, Event::Arrives { side, write, asker: Some((self.life, asker)) });
    }

    fn at(&mut self, after: Millis, event: Event) {
        self.next_event += 1;
        self.events.insert((self.now + after, self.next_event), event);
    }

    /// What is due happens, and clients hear whose turn it is.
    fn pass(&mut self) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Event::Arrives { side, write, asker } => {
                    let answer = self.sides[side].take(&write);
                    let broken = self.random.u32(..20) == 0;
                    let answer = answer.filter(|_| !broken).map_or(Answer::None, Answer::Status);
                    if let Some((life, asker)) = asker {
                        let after = self.random.u64(1..10);
                        self.at(after, Event::Answered { asker, life, answer });
                    }
                }
                Event::Answered { asker, life, answer } if life == self.life => self.answered(asker, answer),
                Event::Answered { .. } => {}
            }
        }
        self.grants();
    }

    fn grants(&mut self) {
        let mut ids: Vec<_> = self.waiting.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let (write, number, granted) = self.waiting.get_mut(&id).expect("one of them");
            let (write, number) = (Arc::clone(write), *number);
            match granted.try_recv() {
                Ok(Granted::Go(begun)) => {
                    self.waiting.remove(&id);
                    if begun == Begun::Alone {
                        self.facts.alone += 1;
                        // Where there was a disk, no crash forgets that the key is listed.
                        if lock(&self.book).is_disk_gone() {
                            self.alone.insert(Arc::clone(&write.key));
                        }
                    }
                    let side = NAMES.iter().position(|name| **name == *write.authoritative).expect("one of them");
                    self.send(side, write, Asker::Client(id, number));
                }
                Ok(Granted::Not(_)) => {
                    self.facts.refused += 1;
                    self.waiting.remove(&id);
                }
                Err(oneshot::error::TryRecvError::Empty) => {
                    // Some do not wait for ever.
                    if self.random.u32(..500) == 0 {
                        self.waiting.remove(&id);
                        lock(&self.book).cancel(SERVICE, number, self.now);
                    }
                }
                Err(oneshot::error::TryRecvError::Closed) => panic!("nobody is left without a word"),
            }
        }
    }

    fn answered(&mut self, asker: Asker, answer: Answer) {
        let (now, draw) = (self.now, self.random.f64());
        let book = &mut *lock(&self.book);
        match asker {
            Asker::Client(id, number) => {
                let outcome = match answer {
                    Answer::Status(200) => Outcome::Applied,
                    Answer::Status(422) | Answer::NotReached => Outcome::Refused,
                    Answer::Status(_) | Answer::None => Outcome::Unknown,
                };
                if outcome == Outcome::Applied {
                    self.facts.acknowledged += 1;
                    let key = keys().find(|key| {
                        self.sides.iter().any(|side| side.done.get(key).is_some_and(|done| done.contains(&id)))
                    });
                    let times = (id, self.begun_at[&id], self.moment);
                    self.acknowledged.entry(key.expect("it was done")).or_default().push(times);
                }
                book.settle(SERVICE, number, outcome, now);
            }
            Asker::Job(job) => {
                let said = match answer {
                    Answer::Status(200) => Said::Done,
                    Answer::Status(422) => Said::Never("status 422".to_owned()),
                    Answer::Status(status) => Said::Later(format!("status {status}")),
                    Answer::None => Said::Later("no answer".to_owned()),
                    Answer::NotReached => Said::Nothing("refused".to_owned()),
                };
                self.facts.delivered_again += u32::from(said != Said::Done);
                book.report(&job, said, now, draw);
            }
        }
    }

    fn crash(&mut self) {
        self.facts.crashes += 1;
        if lock(&self.book).is_disk_gone() && self.rules.on_full == OnFull::OldOnly {
            // Without a disk the list is in memory alone.
            let listed = lock(&self.book).to_reconcile(SERVICE, None, usize::MAX, self.now);
            self.alone.extend(listed.into_iter().map(|listed| listed.key));
        }
        self.life += 1;
        self.disk.cut_off();
        self.store = None;
        self.disk.crash();
        // Whoever waited hears nothing more; of what was sent, some arrives all the same.
        self.waiting.clear();
        let sent = std::mem::take(&mut self.events);
        for (at, event) in sent {
            if matches!(event, Event::Arrives { .. }) && self.random.bool() {
                self.events.insert(at, event);
            }
        }
        self.disk_works();
        self.start();
    }

    fn start(&mut self) {
        let (store, loaded) = Redb::open(self.disk.clone()).expect("what was committed can be read");
        let mut book = Book::new(true);
        book.restore(loaded);
        book.configure([(Arc::from(SERVICE), Arc::clone(&self.rules))], self.now);
        (self.book, self.store) = (Mutex::new(book), Some(store));
    }

    fn disk_works(&mut self) {
        self.disk.set_full(false);
        self.disk.set_no_sync(false);
    }
}

impl Facts {
    pub(super) fn add(&mut self, other: &Self) {
        self.begun += other.begun;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.alone += other.alone;
        self.crashes += other.crashes;
        self.resent += other.resent;
        self.delivered_again += other.delivered_again;
        self.rewrites += other.rewrites;
    }
}

fn keys() -> impl Iterator<Item = Arc<str>> {
    (0..KEYS).map(|key| format!("item-{key}").into())
}
