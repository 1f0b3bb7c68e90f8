//! Whole overloads, simulated: arrivals at random, a gate, and an upstream with so many slots and a line without end
//! before them (M/M/c and the like), as most services are. Seeded; time is virtual.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use super::{Bounds, Entry, Gate, Place};
use crate::plan::Priority;

const BOUNDS: Bounds = Bounds { initial: 100, min: 10, max: 1000, tolerance: 1.5 };
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

impl Work {
    fn slower(self, times: f64) -> Self {
        match self {
            Self::Constant(time) => Self::Constant(time.mul_f64(times)),
            Self::Exponential(mean) => Self::Exponential(mean.mul_f64(times)),
            Self::Tailed(time, one_in, longer) => Self::Tailed(time.mul_f64(times), one_in, longer),
        }
    }

    /// Hardly any takes longer.
    fn slowest(self) -> Duration {
        match self {
            Self::Constant(time) => time,
            Self::Exponential(mean) => 5 * mean,
            Self::Tailed(time, _, times) => 2 * times * time,
        }
    }
}

fn exponential(mean: Duration, rng: &mut fastrand::Rng) -> Duration {
    mean.mul_f64(-(1.0 - rng.f64()).ln())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the gate, or turned away.
    Outside,
    /// The upstream has it, and the client waits for its answer.
    Inside,
    /// The client has its answer, or has left; of that the upstream does not know.
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    arrived: Duration,
    begun: Duration,
    worker: usize,
    state: State,
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
    turned_away: usize,
}

impl World {
    fn new(seed: u64, workers: u32, old: Duration, slots: usize, work: Work) -> Self {
        let part = |number: u32| number / workers;
        let bounds = Bounds { initial: part(BOUNDS.initial), min: part(BOUNDS.min), max: part(BOUNDS.max), ..BOUNDS };
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
            patience: Duration::from_hours(1),
            result: Result::default(),
            turned_away: 0,
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
            Work::Tailed(time, one_in, times) => time.as_secs_f64() * (1.0 + f64::from(times - 1) / f64::from(one_in)),
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
        Result { seconds: until.saturating_sub(start).as_secs_f64(), ..std::mem::take(&mut self.result) }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => {
                let gap = exponential(Duration::from_secs_f64(1.0 / self.rate), &mut self.rng);
                self.at(self.now + gap, Event::Arrival);
                self.arrive();
            }
            Event::Answer(id) => self.answer(id),
            Event::Timeout(id) => self.turned_away += usize::from(self.give_up(id)),
            Event::Leave(id) => {
                self.give_up(id);
                if self.requests[id].state == State::Inside {
                    self.end(id, false);
                }
            }
        }
        let waiting: usize = self.gates.iter().map(Gate::waiting).sum();
        assert!(waiting <= 100 && waiting == self.places.len());
    }

    fn give_up(&mut self, id: usize) -> bool {
        let Some(place) = self.places.remove(&id) else { return false };
        assert_eq!(self.gates[self.requests[id].worker].give_up(place), Some(id));
        true
    }

    fn arrive(&mut self) {
        let (id, worker) = (self.requests.len(), self.rng.usize(..self.gates.len()));
        self.requests.push(Request { arrived: self.now, begun: self.now, worker, state: State::Outside });
        self.result.arrived += 1;
        match self.gates[worker].enter(Priority::Normal, self.now, || id) {
            Entry::Admitted => self.begin(id),
            Entry::Waits(place, sent_away) => {
                assert_eq!(sent_away, None, "all matter as much");
                self.places.insert(id, place);
                self.at(self.now + QUEUE_TIMEOUT, Event::Timeout(id));
                self.at(self.now + self.patience, Event::Leave(id));
            }
            Entry::Full => self.turned_away += 1,
        }
    }

    fn begin(&mut self, id: usize) {
        (self.requests[id].begun, self.requests[id].state) = (self.now, State::Inside);
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
        if self.requests[id].state == State::Inside {
            let latency = self.now.saturating_sub(self.requests[id].arrived);
            self.result.answered.push(latency);
            self.end(id, true);
        }
    }

    /// A request is over for the gate.
    fn end(&mut self, id: usize, answered: bool) {
        self.requests[id].state = State::Over;
        let Request { begun, worker, .. } = self.requests[id];
        let gate = &mut self.gates[worker];
        gate.answered(begun, self.now.saturating_sub(begun), answered, self.now);
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

/// One worker before 20 slots.
fn alone(seed: u64, work: Work) -> World {
    World::new(seed, 1, QUEUE_TIMEOUT / 4, 20, work)
}

const USUAL: Duration = Duration::from_millis(40);
const STEADY: Work = Work::Constant(USUAL);
const RANDOM: Work = Work::Exponential(USUAL);
/// A twentieth takes ten times as long.
const TAILED: Work = Work::Tailed(USUAL, 20, 10);

/// That the upstream is kept busy, and that what is more than it can do waits before the gate, not behind it.
fn assert_settled(world: &mut World, load: f64, what: &str) {
    let capacity = world.capacity();
    let mut result = world.run(10, load);
    let (goodput, limit) = (result.goodput() / capacity, world.limit());
    assert!(goodput > 0.9, "{what}: {goodput:.2} of the capacity, limit {limit}");
    let most = (5 * world.slots) as u32;
    assert!(limit < most, "{what}: limit {limit} for {} slots", world.slots);
    // All of the line and all behind the gate, and a slow one.
    let slow = world.work.slowest() + Duration::from_secs_f64(f64::from(100 + most) / capacity);
    let p99 = result.quantile(0.99);
    assert!(p99 < slow, "{what}: {p99:?} of at most {slow:?}");
}

#[test]
fn under_five_times_its_capacity_a_version_answers_as_many_as_at_its_best_for_as_long_as_it_lasts() {
    for work in [STEADY, RANDOM, TAILED] {
        for seed in 0..2 {
            let mut world = alone(seed, work);
            world.run(20, 5.0);
            assert_settled(&mut world, 5.0, &format!("{work:?}, seed {seed}"));
        }
    }
    let mut world = alone(0, RANDOM);
    world.run(120, 2.0);
    assert_settled(&mut world, 5.0, "after minutes of overload");
}

#[test]
fn the_limiters_of_several_workers_settle_together() {
    for work in [STEADY, RANDOM, TAILED] {
        let mut world = World::new(1, 4, QUEUE_TIMEOUT / 4, 20, work);
        world.run(60, 3.0);
        let goodput = world.run(20, 3.0).goodput() / world.capacity();
        // Each of them has few samples, so together they are less exact.
        assert!(goodput > 0.9 && world.limit() < 200, "{work:?}: {goodput:.2}, limit {}", world.limit());
    }
}

#[test]
fn the_limit_follows_slots_that_are_taken_away_and_given_back() {
    for seed in 0..2 {
        let mut world = alone(seed, RANDOM);
        for slots in [60, 15, 60] {
            world.slots = slots;
            world.run(30, 3.0);
            assert_settled(&mut world, 3.0, &format!("{slots} slots, seed {seed}"));
        }
    }
}

#[test]
fn a_version_that_becomes_slower_by_itself_is_not_throttled_for_that() {
    for seed in 0..3 {
        let mut world = alone(seed, STEADY);
        world.run(20, 3.0);
        world.work = Work::Constant(Duration::from_millis(120));
        world.run(30, 3.0);
        assert_settled(&mut world, 3.0, &format!("seed {seed}"));
    }
}

#[test]
fn a_version_that_can_do_what_it_is_asked_for_sheds_nothing_however_slow_or_uneven_it_is() {
    for (work, slots, load) in [
        (Work::Exponential(SECOND), 60, 0.3),
        (Work::Exponential(SECOND), 20, 0.1),
        (Work::Tailed(USUAL, 20, 25), 60, 0.5),
        (RANDOM, 60, 0.7),
    ] {
        for seed in 0..3 {
            let mut world = World::new(seed, 1, QUEUE_TIMEOUT / 4, slots, work);
            world.run(30, load);
            // To get to know a version that is in use from the first moment may cost a few.
            let (before, first) = (world.requests.len(), std::mem::take(&mut world.turned_away));
            assert!(first * 200 <= before, "{work:?}, seed {seed}: {first} of the first {before}");
            let result = world.run(100, load);
            let waited = world.requests[before..].iter().filter(|request| request.begun > request.arrived).count();
            assert_eq!(world.turned_away, 0, "{work:?}, seed {seed}, limit {}", world.limit());
            assert!(waited * 100 <= result.arrived, "{work:?}, seed {seed}: {waited} of {}", result.arrived);
        }
    }
}

#[test]
fn clients_that_leave_what_the_upstream_works_on_do_not_keep_it_busy_for_nothing() {
    for (workers, work) in [(1, STEADY), (2, STEADY), (2, RANDOM), (4, RANDOM)] {
        for seed in 0..2 {
            let mut world = World::new(seed, workers, QUEUE_TIMEOUT / 4, 10, work.slower(2.5));
            world.patience = SECOND;
            world.run(20, 5.0);
            let goodput = world.run(20, 5.0).goodput() / world.capacity();
            assert!(goodput > 0.85, "{workers}, {work:?}, seed {seed}: {goodput:.2}, limit {}", world.limit());
        }
    }
}

#[test]
fn serving_the_newest_once_the_oldest_are_old_saves_the_goodput_when_clients_do_not_wait() {
    let goodput = |old: Duration| {
        let mut world = World::new(1, 1, old, 20, Work::Exponential(Duration::from_millis(100)));
        world.patience = Duration::from_millis(400);
        world.run(10, 5.0);
        world.run(20, 5.0).goodput() / world.capacity()
    };
    let (fifo, adaptive) = (goodput(Duration::MAX), goodput(QUEUE_TIMEOUT / 4));
    assert!(fifo < 0.3 && adaptive > 0.9, "first come first served {fifo:.2}, adaptive {adaptive:.2}");
}
