//! Whole overloads, simulated: arrivals at random, a gate, and an upstream with so many slots and a line without end
//! before them (M/M/c and the like), as most services are. Seeded; time is virtual.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use super::{Bounds, Entry, Gate, Place};
use crate::plan::Priority;

const BOUNDS: Bounds = Bounds { initial: 100, min: 10, max: 1000, tolerance: 1.5 };
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const QUEUE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the upstream works on a request.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// Always so long.
    Constant(Duration),
    /// Exponentially distributed around this mean.
    Exponential(Duration),
    /// One in so many takes so many times as long.
    Tailed(Duration, u32, u32),
}

impl Work {
    fn draw(self, rng: &mut fastrand::Rng) -> Duration {
        match self {
            Self::Constant(time) => time,
            Self::Exponential(mean) => exponential(mean, rng),
            Self::Tailed(time, one_in, times) => {
                let time = time.mul_f64(0.8 + 0.4 * rng.f64());
                if rng.u32(..one_in) == 0 { times * time } else { time }
            }
        }
    }
}

fn exponential(mean: Duration, rng: &mut fastrand::Rng) -> Duration {
    mean.mul_f64(-(1.0 - rng.f64()).ln())
}

#[derive(Debug, Clone, Copy)]
struct Request {
    arrived: Duration,
    begun: Duration,
    worker: usize,
    /// Its client has left; the upstream does not know.
    left: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    /// The upstream has answered this request.
    Answer(usize),
    /// This request has waited at the gate as long as it may.
    Timeout(usize),
    /// This client leaves.
    Leave(usize),
}

/// What came of the requests that arrived within a time.
#[derive(Debug, Clone, Default)]
struct Result {
    /// From arrival to answer, of those answered while their client still waited.
    answered: Vec<Duration>,
    arrived: usize,
    seconds: f64,
}

impl Result {
    fn goodput(&self) -> f64 {
        self.answered.len() as f64 / self.seconds
    }

    fn quantile(&mut self, order: f64) -> Duration {
        self.answered.sort_unstable();
        self.answered[((self.answered.len() - 1) as f64 * order) as usize]
    }
}

struct World {
    rng: fastrand::Rng,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    sequence: u64,
    gates: Vec<Gate<usize>>,
    requests: Vec<Request>,
    places: BTreeMap<usize, Place>,
    /// Requests a second.
    rate: f64,
    work: Work,
    slots: usize,
    busy: usize,
    line: VecDeque<usize>,
    /// How long clients wait for their answer.
    patience: Duration,
    result: Result,
}

impl World {
    fn new(seed: u64, workers: u32, old: Duration, slots: usize, work: Work) -> Self {
        let part = |number: u32| number / workers;
        let bounds =
            Bounds { initial: part(BOUNDS.initial), min: part(BOUNDS.min), max: part(BOUNDS.max), ..BOUNDS };
        let gates = (0..workers).map(|_| Gate::new(bounds, part(100) as usize, old, Duration::ZERO));
        let mut world = Self {
            rng: fastrand::Rng::with_seed(seed),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            sequence: 0,
            gates: gates.collect(),
            requests: Vec::new(),
            places: BTreeMap::new(),
            rate: 1.0,
            work,
            slots,
            busy: 0,
            line: VecDeque::new(),
            patience: Duration::from_secs(3600),
            result: Result::default(),
        };
        world.at(Duration::ZERO, Event::Arrival);
        world
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((time, self.sequence, event)));
    }

    /// The capacity in requests a second.
    fn capacity(&self) -> f64 {
        let mean = match self.work {
            Work::Constant(time) | Work::Exponential(time) => time.as_secs_f64(),
            Work::Tailed(time, one_in, times) => {
                time.as_secs_f64() * (1.0 + f64::from(times - 1) / f64::from(one_in))
            }
        };
        self.slots as f64 / mean
    }

    /// Lets so much time pass with so many times the capacity asked for.
    fn run(&mut self, seconds: u32, load: f64) -> Result {
        self.rate = load * self.capacity();
        self.result = Result::default();
        let (start, until) = (self.now, self.now + seconds * SECOND);
        while let Some(&Reverse((time, _, event))) = self.events.peek()
            && time < until
        {
            self.events.pop();
            self.now = time;
            self.happen(event);
        }
        self.now = until;
        Result { seconds: (until - start).as_secs_f64(), ..std::mem::take(&mut self.result) }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => {
                let gap = exponential(Duration::from_secs_f64(1.0 / self.rate), &mut self.rng);
                self.at(self.now + gap, Event::Arrival);
                self.arrive();
            }
            Event::Answer(id) => self.answer(id),
            Event::Timeout(id) => self.give_up(id),
            Event::Leave(id) => {
                self.give_up(id);
                self.requests[id].left = true;
            }
        }
        let waiting: usize = self.gates.iter().map(Gate::waiting).sum();
        assert!(waiting <= 100 && waiting == self.places.len());
    }

    fn give_up(&mut self, id: usize) {
        if let Some(place) = self.places.remove(&id) {
            assert_eq!(self.gates[self.requests[id].worker].give_up(place), Some(id));
        }
    }

    fn arrive(&mut self) {
        let (id, worker) = (self.requests.len(), self.rng.usize(..self.gates.len()));
        self.requests.push(Request { arrived: self.now, begun: self.now, worker, left: false });
        self.result.arrived += 1;
        match self.gates[worker].enter(Priority::Normal, self.now, || id) {
            Entry::Admitted => self.begin(id),
            Entry::Waits(place, sent_away) => {
                assert_eq!(sent_away, None, "all matter as much");
                self.places.insert(id, place);
                self.at(self.now + QUEUE_TIMEOUT, Event::Timeout(id));
                self.at(self.now + self.patience, Event::Leave(id));
            }
            Entry::Full => {}
        }
    }

    fn begin(&mut self, id: usize) {
        self.requests[id].begun = self.now;
        let leaves = self.requests[id].arrived + self.patience;
        self.at(leaves.max(self.now), Event::Leave(id));
        if self.busy < self.slots {
            self.work_on(id);
        } else {
            self.line.push_back(id);
        }
    }

    fn work_on(&mut self, id: usize) {
        self.busy += 1;
        let time = self.work.draw(&mut self.rng);
        self.at(self.now + time, Event::Answer(id));
    }

    fn answer(&mut self, id: usize) {
        self.busy -= 1;
        while self.busy < self.slots
            && let Some(next) = self.line.pop_front()
        {
            self.work_on(next);
        }
        let Request { arrived, begun, worker, left } = self.requests[id];
        if !left {
            self.result.answered.push(self.now - arrived);
        }
        let gate = &mut self.gates[worker];
        gate.answered(begun, self.now - begun, true, self.now);
        gate.leave();
        while let Some(next) = self.gates[worker].call(self.now) {
            self.places.remove(&next);
            self.begin(next);
        }
    }

    /// The limits of all gates together.
    fn limit(&self) -> u32 {
        self.gates.iter().map(|gate| gate.limiter().limit()).sum()
    }
}

const SEEDS: u64 = 8;

fn adaptive(seed: u64, slots: usize, work: Work) -> World {
    World::new(seed, 1, QUEUE_TIMEOUT / 2, slots, work)
}

#[test]
#[ignore = "figures"]
fn figures() {
    for (name, work) in [
        ("constant", Work::Constant(20 * MS)),
        ("exponential", Work::Exponential(20 * MS)),
        ("tailed", Work::Tailed(20 * MS, 20, 10)),
        ("slow", Work::Exponential(SECOND)),
    ] {
        for workers in [1, 4] {
                let mut world = World::new(1, workers, QUEUE_TIMEOUT / 4, 20, work);
                print!("{name} slots {workers} workers cap {:.0}: ", world.capacity());
                for load in [1.0, 3.0, 3.0, 3.0, 0.9] {
                    let mut r = world.run(20, load);
                    print!(
                        " x{load}: {:.2}/{:.0}ms L{}/{:.0}ms",
                        r.goodput() / world.capacity(),
                        r.quantile(0.99).as_secs_f64() * 1e3,
                        world.limit(),
                        world.gates[0].limiter().baseline().unwrap_or_default().as_secs_f64() * 1e3
                    );
                }
                println!();
        }
    }
    for old in [Duration::MAX, QUEUE_TIMEOUT / 4] {
        for patience in [60 * MS, 100 * MS, 200 * MS, 300 * MS, 600 * MS, 2000 * MS] {
            let mut world = World::new(1, 1, old, 10, Work::Exponential(50 * MS));
            world.patience = patience;
            print!("old {old:?} patience {patience:?} ");
            for load in [0.8, 1.2, 2.0, 5.0] {
                let mut r = world.run(40, load);
                print!(" x{load}: {:.2}/{:.0}ms", r.goodput() / world.capacity(), r.quantile(0.99).as_secs_f64() * 1e3);
            }
            println!();
        }
    }
}
