//! The judge's promises in full: how often it is wrong, how soon it is right, what it costs.
//!
//!     cargo bench --bench judge [-- --runs 1000]
//!
//! Seeded: the same figures every time, but for those of time. Prints a table in Markdown.

#[allow(unreachable_pub, reason = "a test uses it, too")]
#[path = "../tests/judge/simulation.rs"]
mod simulation;

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use serin::judge::{Arm, Gates, LatencyGate, Outcome, judge};
use serin::stats::{Alpha, Snapshot};
use serin::telemetry::{Outcome as Ended, Registry, Why};
use simulation::{Alarms, Shape, Version, alarms, gates, median, until};

const THREADS: u64 = 2;
/// Requests of a run in which both versions are the same.
const MOST: u64 = 1_000_000;

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--runs").skip(1);
    let runs = arguments.next().and_then(|runs| runs.parse().ok()).unwrap_or(1000);
    let began = Instant::now();
    same(runs);
    found(runs);
    missed(runs);
    cost();
    eprintln!("took {:.0} s", began.elapsed().as_secs_f64());
}

fn version(shape: Shape, failure_rate: f64) -> Version {
    Version { shape, failure_rate }
}

/// Both arms the same.
fn same(runs: u64) {
    println!(
        "| both versions the same, a look every 100 of {MOST} requests | runs | ever \"regressed\" | Mann-Whitney ever p < 0.02 |"
    );
    println!("|---|---|---|---|");
    let cases = [
        ("log-normal", Shape::log_normal(), 0.0),
        ("bimodal", Shape::bimodal(), 0.001),
        ("heavy tail", Shape::heavy_tail(), 0.05),
    ];
    for (name, shape, rate) in cases {
        let version = version(shape, rate);
        let parts = on_threads(runs, |seeds| alarms(&version, MOST, seeds));
        let sum = parts.into_iter().fold(Alarms::default(), |sum, part| Alarms {
            runs: sum.runs + part.runs,
            judge: sum.judge + part.judge,
            mann_whitney: sum.mann_whitney + part.mann_whitney,
        });
        println!("| {name}, failures {} % | {} | {} | {} |", rate * 100.0, sum.runs, sum.judge, sum.mann_whitney);
    }
    println!();
}

/// New is worse.
fn found(runs: u64) {
    println!("| new is worse | bar | requests to new, median | nine of ten runs |");
    println!("|---|---|---|---|");
    let normal = Shape::log_normal;
    let cases = [
        ("failures 0.1 % → 1 %, slack 0.1 point", "failures", (0.001, 0.01), normal(), 1.1, 2000, 50),
        ("failures 0.1 % → 0.5 %, slack 0.1 point", "failures", (0.001, 0.005), normal(), 1.1, 10_000, 250),
        ("p50 × 1.2, tolerance 1.05", "p50", (0.0, 0.0), normal().times(1.2), 1.05, 1000, 50),
        ("p99 × 1.5, tolerance 1.1", "p99", (0.0, 0.0), normal().times(1.5), 1.1, 2000, 50),
        ("3 % of requests × 3, at p99, tolerance 1.1", "p99", (0.0, 0.0), normal().one_in(33, 3.0), 1.1, 10_000, 250),
    ];
    for (name, metric, (before, now), shape, ratio, bar, every) in cases {
        let (old, new) = (version(normal(), before), version(shape, now));
        let gates = gates(0.001, ratio);
        let until = |seeds: Range<u64>| {
            until((Outcome::Regressed, Some(metric)), (&old, &new), &gates, (every, bar * 3), seeds)
        };
        let mut found: Vec<Option<u64>> = on_threads(runs.div_ceil(4), until).into_iter().flatten().collect();
        found.sort_unstable_by_key(|found| found.unwrap_or(u64::MAX));
        let told = |found: Option<u64>| found.map_or_else(|| "never".to_owned(), |n| n.to_string());
        println!("| {name} | {bar} | {} | {} |", told(median(&found)), told(found[found.len() * 9 / 10]));
    }
    println!();
}

/// New is worse than allowed, and must not pass.
fn missed(runs: u64) {
    println!(
        "| new is worse than allowed by a little, a look every 250 of 25,000 requests | runs | ever \"healthy\" |"
    );
    println!("|---|---|---|");
    let old = version(Shape::log_normal(), 0.01);
    let cases = [
        ("failures 1 % → 1.3 %, slack 0.2 points", "failures", version(Shape::log_normal(), 0.013), gates(0.002, 1.1)),
        ("p99 × 1.25, tolerance 1.2", "p99", version(Shape::log_normal().times(1.25), 0.01), gates(0.002, 1.2)),
    ];
    for (name, metric, new, gates) in cases {
        let until =
            |seeds: Range<u64>| until((Outcome::Healthy, Some(metric)), (&old, &new), &gates, (250, 25_000), seeds);
        let runs: Vec<Option<u64>> = on_threads(runs.div_ceil(5), until).into_iter().flatten().collect();
        println!("| {name} | {} | {} |", runs.len(), runs.iter().flatten().count());
    }
    println!();
}

/// What a verdict costs, and what it costs a request to be known by its age.
fn cost() {
    let gate = |order| LatencyGate::new(order, 1.2, Duration::from_millis(10)).expect("a gate");
    let orders = [0.5, 0.9, 0.95, 0.99, 0.999];
    let gates = Gates::new(Some(0.002), orders.map(gate).to_vec(), Alpha::DEFAULT).expect("gates");
    let arm = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut durations = Snapshot::default();
        (0..100_000).for_each(|_| durations.record_nanos((5e6 * (1.0 - rng.f64()).powf(-1.0 / 1.5)) as u64));
        Arm::finished(150, durations)
    };
    let (old, new) = (arm(1), arm(2));
    let verdict = per_turn(5, || drop(black_box(judge(black_box(&old), &new, &gates))));
    let registry = Registry::new(1);
    let cell = registry.version(0, "shop", "new");
    let now = Instant::now();
    cell.begin(Why::Draw);
    let mut turn = 0u32;
    let request = per_turn(20_000, || {
        turn = turn.wrapping_add(1);
        // Ten requests a tick.
        let began = cell.entered(now + Duration::from_micros(100) * turn);
        cell.left(black_box(began));
    });
    cell.end(Ended::Status(2), 1);
    println!("A verdict over 6 metrics: {:.1} µs. An age in flight: {:.1} ns a request.", verdict * 1e6, request * 1e9);
}

/// Seconds a turn takes, in the best of many short batches: what else the machine does is not what is asked.
fn per_turn(turns: u32, mut turn: impl FnMut()) -> f64 {
    let mut batch = || {
        let began = Instant::now();
        (0..turns).for_each(|_| turn());
        began.elapsed().as_secs_f64() / f64::from(turns)
    };
    (0..500).map(|_| batch()).fold(f64::INFINITY, f64::min)
}

/// Runs with seeds from 0 to `runs`, in parts.
fn on_threads<T: Send>(runs: u64, part: impl Fn(Range<u64>) -> T + Sync) -> Vec<T> {
    let part = &part;
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || part(runs * thread / THREADS..runs * (thread + 1) / THREADS)))
            .collect();
        parts.into_iter().map(|part| part.join().expect("no run panics")).collect()
    })
}
