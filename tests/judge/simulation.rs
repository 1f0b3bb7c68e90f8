//! Two versions, simulated: how often the judge is wrong, and how soon it is right. Seeded.

use serin::judge::{Arm, Gates, LatencyGate, Outcome, judge};
use serin::stats::{Alpha, QuantileTest, Rate, Scale5, Snapshot};

/// Orders of the quantiles compared; with the failures four metrics.
pub const ORDERS: [f64; 3] = [0.5, 0.9, 0.99];
/// Values of which a shape is made, each as likely as the others.
const VALUES: usize = 1 << 14;

/// A distribution of latencies.
#[derive(Debug, Clone)]
pub struct Shape {
    nanos: Vec<u64>,
    /// The same as places in `buckets`.
    places: Vec<u16>,
    /// Bucket indexes in rising order.
    buckets: Vec<i32>,
}

/// How one version behaves.
#[derive(Debug, Clone)]
pub struct Version {
    pub shape: Shape,
    pub failure_rate: f64,
}

impl Shape {
    /// Median 20 ms; σ = 0.5.
    pub fn log_normal() -> Self {
        Self::with_quantiles(|u| 20.0 * (0.5 * normal(u)).exp())
    }

    /// Four of five from a cache in 3 ms, the rest in 40 ms.
    pub fn bimodal() -> Self {
        let around = |milliseconds: f64, u: f64| milliseconds * (0.2 * normal(u)).exp();
        Self::with_quantiles(|u| if u < 0.8 { around(3.0, u / 0.8) } else { around(40.0, (u - 0.8) / 0.2) })
    }

    /// A Pareto tail that has no variance: 5 ms at least, exponent 1.5.
    pub fn heavy_tail() -> Self {
        Self::with_quantiles(|u| 5.0 * (1.0 - u).powf(-1.0 / 1.5))
    }

    /// Values that lie as evenly as can be among the quantiles that `milliseconds` gives.
    fn with_quantiles(milliseconds: impl Fn(f64) -> f64) -> Self {
        let value = |i: usize| milliseconds((i as f64 + 0.5) / VALUES as f64) * 1e6;
        Self::of((0..VALUES).map(|i| value(i) as u64).collect())
    }

    fn of(nanos: Vec<u64>) -> Self {
        let index = |nanos: u64| Scale5::index_of_nanos(nanos).expect("longer than a microsecond");
        let mut buckets: Vec<i32> = nanos.iter().map(|nanos| index(*nanos)).collect();
        buckets.sort_unstable();
        buckets.dedup();
        let place = |nanos: &u64| buckets.binary_search(&index(*nanos)).expect("it is among them") as u16;
        Self { places: nanos.iter().map(place).collect(), nanos, buckets }
    }

    /// All latencies times `factor`.
    pub fn times(&self, factor: f64) -> Self {
        Self::of(self.nanos.iter().map(|nanos| (*nanos as f64 * factor) as u64).collect())
    }

    /// One in so many latencies times `factor`.
    pub fn one_in(&self, n: usize, factor: f64) -> Self {
        let slow = |(i, nanos): (usize, &u64)| if i % n == 0 { (*nanos as f64 * factor) as u64 } else { *nanos };
        Self::of(self.nanos.iter().enumerate().map(slow).collect())
    }
}

/// The standard normal distribution's quantile of order `u`, by halving.
fn normal(u: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if libm::erfc(-middle / std::f64::consts::SQRT_2) / 2.0 < u { low = middle } else { high = middle }
    }
    low
}

/// The gates of the simulation: one ratio for all quantiles, no slack but for failures.
pub fn gates(max_increase: f64, ratio: f64) -> Gates {
    let latency = ORDERS.map(|order| LatencyGate::new(order, ratio, std::time::Duration::ZERO).expect("a gate"));
    Gates::new(Some(max_increase), latency.to_vec(), Alpha::DEFAULT).expect("gates")
}

/// How soon new is found out: requests to new until each run's first verdict of `wanted`, for one metric or over all;
/// `None` where there was none within `most`. Old gets 10 to 19 times as many; a look every `every` requests to new.
pub fn until(
    (wanted, metric): (Outcome, Option<&str>),
    (old, new): (&Version, &Version),
    gates: &Gates,
    (every, most): (u64, u64),
    seeds: std::ops::Range<u64>,
) -> Vec<Option<u64>> {
    let run = |seed: u64| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut before, mut now) = (Arm::default(), Arm::default());
        let times = 10 + seed % 10;
        (1..=most / every).map(|look| look * every).find(|_| {
            add(&mut before, old, every * times, &mut rng);
            add(&mut now, new, every, &mut rng);
            let verdict = judge(&before, &now, gates);
            let of_metric = |name| verdict.metrics.iter().find(|one| one.metric == name).expect("a metric").verdict;
            metric.map_or(verdict.verdict, of_metric) == wanted
        })
    };
    seeds.map(run).collect()
}

/// The median of what [`until`] gives; never counts as infinite.
pub fn median(found: &[Option<u64>]) -> Option<u64> {
    let mut found: Vec<u64> = found.iter().map(|found| found.unwrap_or(u64::MAX)).collect();
    found.sort_unstable();
    Some(found[found.len() / 2]).filter(|median| *median < u64::MAX)
}

fn add(arm: &mut Arm, version: &Version, requests: u64, rng: &mut fastrand::Rng) {
    arm.requests += requests;
    for _ in 0..requests {
        arm.failures += u64::from(rng.f64() < version.failure_rate);
        arm.durations.done.record_nanos(version.shape.nanos[rng.usize(..VALUES)]);
    }
}

/// What was said of two versions that are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarms {
    pub runs: u64,
    /// Runs in which the judge ever said "regressed".
    pub judge: u64,
    /// Runs in which Mann-Whitney's test ever gave p < 0.02.
    pub mann_whitney: u64,
}

/// Both arms the same, no tolerance at all, one request in ten to new, a look every 100 requests up to `most`.
///
/// The judge is asked wherever it might say "regressed", and now and then where it cannot; it is spared the looks at which
/// new's figures are not nearly bad enough, which is told by ranks worked out once for all runs.
pub fn alarms(version: &Version, most: u64, seeds: std::ops::Range<u64>) -> Alarms {
    let looks = Ranks::of(most / 100);
    let mut alarms = Alarms::default();
    for seed in seeds {
        let (judge, mann_whitney) = looks.run(version, &mut fastrand::Rng::with_seed(seed));
        alarms.runs += 1;
        alarms.judge += u64::from(judge);
        alarms.mann_whitney += u64::from(mann_whitney);
    }
    alarms
}

const TO_NEW: u64 = 10;
const TO_OLD: u64 = 90;
/// Looks between two at which the judge is asked although it cannot say "regressed".
const SPARED: usize = 4001;

/// By look and order: fewer of new's latencies than so many must be at most old's quantile, or new is not slower.
struct Ranks(Vec<[u64; ORDERS.len()]>);

impl Ranks {
    fn of(looks: u64) -> Self {
        let tests = ORDERS.map(QuantileTest::new);
        let new = |look: u64| look * TO_NEW;
        let ranks = |look| tests.map(|test| first(new(look) + 1, |k| !test.is_above(k, new(look) - k, direct())));
        Self((1..=looks).map(ranks).collect())
    }

    /// Whether the judge, and Mann-Whitney's test, ever raised an alarm.
    fn run(&self, version: &Version, rng: &mut fastrand::Rng) -> (bool, bool) {
        let gates = gates(0.0, 1.0);
        let shape = &version.shape;
        let [mut old, mut new] = [const { Vec::new() }; 2].map(|_: Vec<u64>| vec![0u64; shape.buckets.len()]);
        let [mut old_failures, mut new_failures] = [0, 0];
        let (mut judged, mut by_mann_whitney) = (false, false);
        for (look, ranks) in self.0.iter().enumerate() {
            old_failures += draw(&mut old, TO_OLD, version, rng);
            new_failures += draw(&mut new, TO_NEW, version, rng);
            let n = look as u64 + 1;
            if !judged {
                let [before, now] = [Rate::new(old_failures, n * TO_OLD), Rate::new(new_failures, n * TO_NEW)];
                let possible = may_be_slower(&old, &new, n * TO_OLD, ranks) || may_fail_more(&before, &now);
                if possible || look % SPARED == SPARED - 1 {
                    let verdict = judge(&arm(&old, old_failures, shape), &arm(&new, new_failures, shape), &gates);
                    judged = verdict.verdict == Outcome::Regressed;
                    assert!(possible || !judged, "look {look}: {verdict:?}");
                }
            }
            by_mann_whitney = by_mann_whitney || mann_whitney(&old, &new) < 0.02;
            if judged && by_mann_whitney {
                break;
            }
        }
        (judged, by_mann_whitney)
    }
}

/// The first of 0..`end` for which `holds`, from which on it holds; `end` where there is none.
fn first(end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = u64::midpoint(low, high);
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Draws latencies into `counts`; gives how many requests failed.
fn draw(counts: &mut [u64], requests: u64, version: &Version, rng: &mut fastrand::Rng) -> u64 {
    let threshold = (version.failure_rate * 2f64.powi(32)) as u64;
    let mut failures = 0;
    for _ in 0..requests {
        let random = rng.u64(..);
        failures += u64::from((random >> 32) < threshold);
        counts[usize::from(version.shape.places[random as usize % VALUES])] += 1;
    }
    failures
}

/// The level of each metric's direct comparison.
fn direct() -> Alpha {
    Alpha::DEFAULT.split(ORDERS.len() + 1).split(2)
}

/// Whether enough of new's latencies are above one of old's quantiles for the judge to find new slower.
fn may_be_slower(old: &[u64], new: &[u64], of_old: u64, ranks: &[u64; ORDERS.len()]) -> bool {
    ORDERS.iter().zip(ranks).any(|(order, rank)| {
        let quantile = place(old, (order * of_old as f64).ceil() as u64);
        quantile.is_some_and(|place| new[..=place].iter().sum::<u64>() < *rank)
    })
}

fn may_fail_more(old: &Rate, new: &Rate) -> bool {
    let (Some(before), Some(now)) = (old.estimate(), new.estimate()) else { return false };
    now > before && (old.is_exceeded_by(new, 0.0, direct()) || new.interval(direct().split(2)).low > before)
}

/// The bucket that holds the `rank`-th value.
fn place(counts: &[u64], rank: u64) -> Option<usize> {
    let mut sum = 0;
    counts.iter().position(|count| {
        sum += count;
        sum >= rank
    })
}

fn arm(counts: &[u64], failures: u64, shape: &Shape) -> Arm {
    let mut durations = Snapshot::default();
    for (index, count) in shape.buckets.iter().zip(counts) {
        let mut one = Snapshot::default();
        one.record_nanos((Scale5::upper(*index) * 1e9 * 0.999) as u64);
        durations.merge(&one.times(*count));
    }
    Arm::finished(failures, durations)
}

/// Mann and Whitney's test of whether two arms come from one distribution: its p, two-sided, by the normal
/// approximation with the correction for ties, on bucketed values.
pub fn mann_whitney(old: &[u64], new: &[u64]) -> f64 {
    let (mut below, mut u, mut ties) = (0.0, 0.0, 0.0);
    let (mut n_old, mut n_new) = (0.0, 0.0);
    for (old, new) in old.iter().zip(new) {
        let (old, new) = (*old as f64, *new as f64);
        u += new * (below + old / 2.0);
        below += old;
        n_old += old;
        n_new += new;
        let here = old + new;
        ties += here * here * here - here;
    }
    let all = n_old + n_new;
    let variance = n_old * n_new / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (u - n_old * n_new / 2.0).abs() / variance.sqrt();
    libm::erfc(z / std::f64::consts::SQRT_2)
}
