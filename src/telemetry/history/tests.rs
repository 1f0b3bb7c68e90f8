use std::time::Duration;

use super::*;
use crate::config::{self, Source};
use crate::telemetry::{Outcome, Registry};

const BEGIN: u64 = 1_700_000_000_000;

/// A plan with these services, each with the versions `old` and `new` at 3 to 1.
fn plan(services: &[String]) -> Plan {
    let mut text = "listeners: [ { name: web, address: 127.0.0.1:0 } ]\nservices:\n".to_owned();
    let upstream = "{ upstream: \"http://127.0.0.1:1\" }";
    for service in services {
        text.extend(["  ", service, ":\n    versions: { old: ", upstream, ", new: ", upstream, " }\n"]);
        text.push_str("    weights: { old: 3, new: 1 }\n");
    }
    text.extend(["routes: [ { service: ", &services[0], " } ]\n"]);
    config::load(Source { name: "serin.yaml", text: &text }, None).expect("valid").plan
}

/// A history, the figures it is of, and a clock.
struct House {
    registry: Registry,
    history: History,
    plan: Plan,
    seconds: u64,
}

impl House {
    fn new(services: &[String]) -> Self {
        let house = Self { registry: Registry::new(1), history: History::default(), plan: plan(services), seconds: 0 };
        house.cells();
        house
    }

    /// As the workers do when a plan comes in force.
    fn cells(&self) {
        for service in &self.plan.services {
            for version in &service.versions {
                let _ = self.registry.version(0, &service.name, &version.name);
            }
        }
    }

    fn look(&mut self) {
        self.look_at(&self.registry.snapshot());
    }

    fn look_at(&mut self, figures: &RegistrySnapshot) {
        let snapshot = RegistrySnapshot { at: Duration::from_secs(self.seconds), ..figures.clone() };
        self.history.note(BEGIN + self.seconds * 1000, &self.plan, &Arc::new(snapshot));
        self.seconds += 1;
    }

    fn answer(&self, version: &str, outcome: Outcome, millis: u64) {
        self.registry.version(0, "shop", version).end(outcome, millis * 1_000_000);
    }
}

fn shop() -> House {
    House::new(&["shop".to_owned()])
}

#[test]
fn a_row_says_what_happened_in_its_second_and_nothing_else() {
    let mut house = shop();
    house.look();
    house.answer("old", Outcome::Status(2), 10);
    house.answer("old", Outcome::Status(5), 10);
    house.look();
    house.look();
    let rows = house.history.rows(Step::Second, "shop", 0);
    assert_eq!(rows.moments.iter().map(|moment| moment.at - BEGIN).collect::<Vec<_>>(), [1000, 2000]);
    let of = |name: &str| rows.versions.iter().find(|(known, _)| &**known == name).expect("a version").1.clone();
    let [Some(busy), Some(quiet)] = of("old")[..] else { panic!("two rows: {rows:?}") };
    assert_eq!((busy.requests, busy.failures, busy.share.to_bits()), (2, 1, 0.75_f32.to_bits()));
    assert!((busy.latency[0] / 0.01 - 1.0).abs() < 0.03, "{busy:?}");
    assert_eq!((quiet.requests, quiet.latency[3].is_nan()), (0, true));
    let [Some(new), _] = of("new")[..] else { panic!("two rows: {rows:?}") };
    assert_eq!((new.requests, new.share.to_bits()), (0, 0.25_f32.to_bits()));
}

#[test]
fn an_hour_is_kept_by_the_second_and_a_day_by_the_minute() {
    let mut house = shop();
    let figures = house.registry.snapshot();
    for _ in 0..90_000 {
        house.look_at(&figures);
    }
    let seconds = house.history.rows(Step::Second, "shop", 0);
    assert_eq!(seconds.moments.len(), 3600);
    let last = BEGIN + 89_999 * 1000;
    assert_eq!(seconds.moments.first().map(|moment| moment.at), Some(last - 3_599_000));
    assert_eq!(seconds.moments.last().map(|moment| moment.at), Some(last));
    let minutes = house.history.rows(Step::Minute, "shop", 0);
    assert_eq!(minutes.moments.len(), 1440);
    assert!(minutes.moments.windows(2).all(|pair| pair[1].at - pair[0].at == 60_000));
    let recent = house.history.rows(Step::Second, "shop", last - 5000);
    assert_eq!((recent.moments.len(), recent.versions[0].1.len()), (5, 5));
}

#[test]
fn a_clock_that_is_set_back_turns_no_rows_around() {
    let mut ring = Ring::new(4);
    for at in [10, 20, 5, 7, 30] {
        ring.begin(Moment { at, seconds: 1.0 });
    }
    assert_eq!(ring.moments(0).map(|moment| moment.at).collect::<Vec<_>>(), [20, 21, 22, 30]);
}

#[test]
fn more_versions_than_there_are_places_for_get_one_when_others_leave_the_plan() {
    let names = |from: usize| (from..from + 50).map(|index| format!("s{index}")).collect::<Vec<_>>();
    let mut house = House::new(&names(0));
    house.look();
    house.look();
    assert_eq!(house.history.without(), 4, "of 100");
    assert_eq!(house.history.rows(Step::Second, "s47", 0).versions.len(), 2);
    assert!(house.history.rows(Step::Second, "s49", 0).versions.is_empty());
    house.plan = plan(&names(1));
    house.cells();
    house.look();
    house.look();
    assert_eq!(house.history.without(), 4, "s0 made room for two of the four that waited and the two of s50");
    assert_eq!(house.history.rows(Step::Second, "s48", 0).versions.len(), 2);
    assert!(house.history.rows(Step::Second, "s0", 0).versions.is_empty());
    assert!(MAX_VERSIONS * (BYTES_PER_VERSION + 64) + 5040 * size_of::<Moment>() <= 16_000_000);
}
