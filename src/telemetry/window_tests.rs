use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::stats::Alpha;
use crate::telemetry::{Outcome, Registry, Why};

/// Milliseconds between looks.
const WINDOW: u64 = 20_000;
const NOW: u64 = 40_000;

/// When a request begins and how long it takes, in microseconds, and its worker.
fn request() -> impl Strategy<Value = (u64, u64, usize)> {
    (0..NOW * 1000, (8u32..38, any::<u64>()), 0usize..2)
        .prop_map(|(began, (bits, fill), worker)| (began, fill & ((1 << bits) - 1), worker))
}

/// Plays the requests to a registry, with looks at [`WINDOW`] and [`NOW`], and gives the window between.
fn play(requests: &[(u64, u64, usize)]) -> Window {
    let registry = Registry::new(2);
    let cells = [0, 1].map(|worker| registry.version(worker, "shop", "new"));
    let at = |micros: u64| registry.made() + Duration::from_micros(micros);
    // Beginnings and ends in the order of time.
    let mut events: Vec<(u64, usize, bool)> = Vec::new();
    for (index, (began, took, _)) in requests.iter().enumerate() {
        events.push((*began, index, true));
        events.push((began + took, index, false));
    }
    events.sort_unstable_by_key(|(time, index, begins)| (*time, *index, !begins));
    let mut flying = vec![None; requests.len()];
    let mut earlier = None;
    for (time, index, begins) in events {
        if time >= WINDOW * 1000 && earlier.is_none() {
            earlier = Some(registry.snapshot_at(at(WINDOW * 1000)));
        }
        if time > NOW * 1000 {
            break;
        }
        let (_, took, worker) = requests[index];
        let cell = &cells[worker];
        if begins {
            cell.begin(Why::Draw);
            flying[index] = Some(cell.entered(at(time)));
        } else {
            cell.left(flying[index].take().unwrap());
            cell.end(Outcome::Status(2), took * 1000);
        }
    }
    let earlier = earlier.unwrap_or_else(|| registry.snapshot_at(at(WINDOW * 1000)));
    registry.snapshot_at(at(NOW * 1000)).window(&earlier, "shop", "new")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_window_never_claims_more_than_who_knows_every_beginning_and_end(requests in vec(request(), 0..400), order in prop::sample::select(vec![0.5, 0.9])) {
        let window = play(&requests);
        let alpha = Alpha::new(0.5).unwrap();
        let known = window.durations.ranked().quantile(order, alpha);
        let mut truth = Snapshot::default();
        let in_window = requests.iter().filter(|(began, ..)| *began >= WINDOW * 1000);
        in_window.clone().for_each(|(_, took, _)| truth.record_nanos(took * 1000));
        let truth = Durations::from(truth).ranked().quantile(order, alpha);
        prop_assert!(known.low <= truth.low && known.high >= truth.high, "{known:?} {truth:?}");
        let unfinished = in_window.filter(|(began, took, _)| began + took > NOW * 1000).count() as u64;
        prop_assert!(window.durations.waiting.count() <= unfinished);
        prop_assert!(window.durations.waiting.count() + window.durations.doubtful >= unfinished);
    }
}

#[test]
fn a_version_that_hangs_shows_in_its_window_by_the_age_of_its_requests() {
    let requests: Vec<_> = (0..100).map(|n| (WINDOW * 1000 + n * 1000, u64::MAX >> 20, 0)).collect();
    let window = play(&requests);
    // Those of the first ticks may have begun just before.
    assert_eq!((window.requests, window.durations.waiting.count() + window.durations.doubtful), (0, 100));
    assert!(window.durations.doubtful <= 17, "{}", window.durations.doubtful);
    let bounds = window.durations.ranked().quantile(0.5, Alpha::DEFAULT);
    assert!(bounds.low > 14.0 && bounds.high.is_infinite(), "{bounds:?}");
}

#[test]
fn what_was_in_flight_before_and_still_is_says_nothing_about_the_window() {
    let streams: Vec<_> = (0..100).map(|n| (n * 1000, u64::MAX >> 20, 0)).collect();
    let window = play(&streams);
    assert_eq!(
        window,
        Window {
            durations: Durations { carried: window.durations.carried.clone(), ..Durations::default() },
            ..Window::default()
        }
    );
    assert_eq!(window.durations.carried.count(), 100);
    assert_eq!(window.durations.ranked().quantile(0.5, Alpha::DEFAULT).low.to_bits(), 0);
}

#[test]
fn a_version_that_was_not_there_before_has_a_window_all_the_same() {
    let registry = Registry::new(1);
    let earlier = registry.snapshot();
    let cell = registry.version(0, "shop", "new");
    cell.begin(Why::Draw);
    cell.end(Outcome::Status(5), 1_000_000);
    let window = registry.snapshot().window(&earlier, "shop", "new");
    assert_eq!((window.requests, window.failures), (1, 1));
    assert_eq!(registry.snapshot().window(&earlier, "shop", "none"), Window::default());
}

#[test]
fn what_fails_for_people_fails_for_the_judge() {
    let registry = Registry::new(1);
    let cell = registry.version(0, "shop", "new");
    let earlier = registry.snapshot();
    for outcome in Outcome::all() {
        cell.begin(Why::Draw);
        cell.end(outcome, 1_000_000);
    }
    let now = registry.snapshot();
    let shown = now.version("shop", "new").unwrap().failures();
    assert_eq!(now.window(&earlier, "shop", "new").failures, shown);
    assert_eq!(shown, Outcome::all().filter(|outcome| outcome.is_failure()).count() as u64);
}
