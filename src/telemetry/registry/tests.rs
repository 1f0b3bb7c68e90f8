use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::telemetry::{Connections, Failure, Outcome, Refusal, Why};

/// One exchange: worker, version, why, outcome, duration in nanoseconds.
type Exchange = (usize, usize, Why, Outcome, u64);

const VERSIONS: [&str; 3] = ["old", "new", "newest"];

fn exchange() -> impl Strategy<Value = Exchange> {
    let why = prop::sample::select(Why::ALL.to_vec());
    let outcome = prop::sample::select(Outcome::all().collect::<Vec<_>>());
    (0usize..4, 0..VERSIONS.len(), why, outcome, 0..100_000_000_000u64)
}

proptest! {
    #[test]
    fn sums_over_workers_versions_and_outcomes_equal_what_was_served(exchanges in vec(exchange(), 0..200)) {
        let registry = Registry::new(4);
        for (worker, version, why, outcome, nanos) in &exchanges {
            let cell = registry.version(*worker, "shop", VERSIONS[*version]);
            cell.begin(*why);
            cell.first_byte(*nanos);
            cell.end(*outcome, *nanos);
        }
        let snapshot = registry.snapshot();
        prop_assert_eq!(snapshot.versions.iter().map(VersionSnapshot::requests).sum::<u64>(), exchanges.len() as u64);
        for version in &snapshot.versions {
            let of_version: Vec<_> = exchanges.iter().filter(|e| VERSIONS[e.1] == &*version.version).collect();
            prop_assert_eq!(version.in_flight, 0);
            prop_assert_eq!(version.picks.iter().sum::<u64>(), of_version.len() as u64);
            prop_assert_eq!(version.durations().sum_nanos(), of_version.iter().map(|e| e.4).sum::<u64>());
            prop_assert_eq!(version.first_byte.count(), of_version.len() as u64);
            prop_assert_eq!(version.failures(), of_version.iter().filter(|e| e.3.is_failure()).count() as u64);
            for (outcome, durations) in &version.outcomes {
                prop_assert_eq!(durations.count(), of_version.iter().filter(|e| e.3 == *outcome).count() as u64);
            }
            for why in Why::ALL {
                let expected = of_version.iter().filter(|e| e.2 == why).count() as u64;
                prop_assert_eq!(version.picks[why as usize], expected);
            }
        }
    }

    #[test]
    fn a_window_holds_only_what_happened_in_it(before in vec(exchange(), 0..50), after in vec(exchange(), 0..50)) {
        let run = |registry: &Registry, exchanges: &[Exchange]| for (worker, _, why, outcome, nanos) in exchanges {
            let cell = registry.version(*worker, "shop", "new");
            cell.begin(*why);
            cell.end(*outcome, *nanos);
        };
        let (whole, alone) = (Registry::new(4), Registry::new(4));
        for registry in [&whole, &alone] {
            let _ = registry.version(0, "shop", "new");
        }
        run(&whole, &before);
        let earlier = whole.snapshot();
        run(&whole, &after);
        run(&alone, &after);
        let window = whole.snapshot().versions[0].since(&earlier.versions[0]);
        prop_assert_eq!(window, alone.snapshot().versions[0].clone());
    }
}

#[test]
fn the_same_names_give_the_same_cell_again() {
    let registry = Registry::new(2);
    let first = registry.version(1, "shop", "new");
    assert!(Arc::ptr_eq(&first, &registry.version(1, "shop", "new")));
    assert!(!Arc::ptr_eq(&first, &registry.version(0, "shop", "new")));
    assert!(!Arc::ptr_eq(&first, &registry.version(1, "shop", "old")));
}

#[test]
fn a_request_is_in_flight_between_begin_and_end() {
    let registry = Registry::new(1);
    let cell = registry.version(0, "shop", "new");
    cell.begin(Why::Key);
    cell.begin(Why::Draw);
    assert_eq!(registry.snapshot().versions[0].in_flight, 2);
    assert_eq!(registry.snapshot().versions[0].requests(), 0);
    cell.end(Outcome::Status(2), 1);
    assert_eq!(registry.snapshot().versions[0].in_flight, 1);
    assert_eq!(registry.snapshot().versions[0].requests(), 1);
}

#[test]
fn upstream_connections_are_active_or_idle_and_then_gone() {
    let registry = Registry::new(2);
    let (a, b) = (registry.version(0, "shop", "new"), registry.version(1, "shop", "new"));
    let now = || registry.snapshot().versions[0].connections;
    a.connection_opened();
    b.connection_opened();
    assert_eq!(now(), Connections { active: 2, idle: 0 });
    a.connection_idle(1);
    assert_eq!(now(), Connections { active: 1, idle: 1 });
    a.connection_idle(-1);
    b.connection_closed();
    assert_eq!(now(), Connections { active: 1, idle: 0 });
    a.connection_idle(1);
    a.connection_idle(-1);
    a.connection_closed();
    assert_eq!(now(), Connections::default());
}

#[test]
fn failures_and_refusals_are_counted_by_kind_over_all_workers() {
    let registry = Registry::new(2);
    registry.version(0, "shop", "new").upstream_failure(Failure::Reset);
    registry.version(1, "shop", "new").upstream_failure(Failure::Reset);
    registry.worker(0).refused(Refusal::NoRoute);
    registry.worker(1).refused(Refusal::NoRoute);
    registry.worker(1).refused(Refusal::Malformed);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.versions[0].upstream_failures[Failure::Reset as usize], 2);
    assert_eq!(snapshot.versions[0].upstream_failures.iter().sum::<u64>(), 2);
    assert_eq!(snapshot.refused(Refusal::NoRoute), 2);
    assert_eq!(snapshot.refused(Refusal::Malformed), 1);
    assert_eq!(snapshot.refused(Refusal::Misdirected), 0);
}

#[test]
fn client_connections_are_known_per_worker() {
    let registry = Registry::new(2);
    let busy = registry.worker(1);
    busy.connection_opened();
    busy.connection_opened();
    busy.connection_closed();
    let workers = registry.snapshot().workers;
    assert_eq!((workers[0].connections, workers[0].accepted), (0, 0));
    assert_eq!((workers[1].connections, workers[1].accepted), (1, 2));
}

#[test]
fn versions_come_in_the_order_of_their_names() {
    let registry = Registry::new(1);
    for (service, version) in [("b", "x"), ("a", "new"), ("b", "a"), ("a", "old")] {
        let _ = registry.version(0, service, version);
    }
    let snapshot = registry.snapshot();
    let names: Vec<_> = snapshot.versions.iter().map(|v| format!("{}/{}", v.service, v.version)).collect();
    assert_eq!(names, ["a/new", "a/old", "b/a", "b/x"]);
    assert!(snapshot.version("b", "a").is_some());
    assert!(snapshot.version("b", "old").is_none());
}
