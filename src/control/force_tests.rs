use proptest::prelude::*;

use super::*;
use crate::config::{self, Source};

const SERIN: &str = "\
listeners: [ { address: 127.0.0.1:8080 } ]
services:
  shop: { versions: { old: { upstream: http://127.0.0.1:9001 }, new: { upstream: http://127.0.0.1:9002 } } }
  blog: { versions: { old: { upstream: http://127.0.0.1:9001 }, new: { upstream: http://127.0.0.1:9002 } }, weights: { old: 9, new: 1 } }
routes: [ { service: shop } ]
";

fn load(serin: &str, weights: &str) -> Loaded {
    let weights = Source { name: "weights.yaml", text: weights };
    config::load(Source { name: "serin.yaml", text: serin }, Some(weights)).expect("valid files")
}

fn weights(in_force: &InForce, service: &str) -> Vec<f64> {
    let (_, service) = in_force.plan().service_named(service).expect("a known service");
    service.split.weights().iter().map(|weight| weight.as_f64()).collect()
}

fn change(service: &str, weights: &[(&str, f64)]) -> Change {
    Change {
        actor: "a test".to_owned(),
        reason: String::new(),
        service: service.to_owned(),
        weights: weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect(),
        source: crate::ledger::Source::Admin,
        about: About::default(),
    }
}

fn both(old: f64, new: f64) -> Change {
    change("shop", &[("old", old), ("new", new)])
}

#[test]
fn a_change_holds_until_the_files_say_something_else_of_its_service() {
    let first = InForce::new(load(SERIN, "shop: { old: 8, new: 2 }"));
    let changed = first.with_change(&both(5.0, 5.0)).expect("a good change");
    assert_eq!(weights(&changed, "shop"), [5.0, 5.0]);
    assert_eq!(weights(&changed, "blog"), [9.0, 1.0]);
    let other = changed.with_files(load(SERIN, "shop: { old: 8, new: 2 }\nblog: { old: 1 }"));
    assert_eq!(weights(&other, "shop"), [5.0, 5.0], "the file says of it what it said before");
    assert_eq!(weights(&other, "blog"), [1.0, 0.0]);
    let edited = other.with_files(load(SERIN, "shop: { old: 7, new: 3 }\nblog: { old: 1 }"));
    assert_eq!(weights(&edited, "shop"), [7.0, 3.0]);
    let back = edited.with_change(&both(1.0, 0.0)).expect("a good change");
    let back = back.with_files(load(SERIN, "shop: { old: 8, new: 2 }\nblog: { old: 1 }"));
    assert_eq!(weights(&back, "shop"), [8.0, 2.0], "the first weights again are a change too");
}

#[test]
fn a_service_taken_out_of_the_weight_file_gets_the_weights_of_serin_yaml() {
    let first = InForce::new(load(SERIN, "blog: { old: 1, new: 1 }"));
    assert_eq!(weights(&first.with_files(load(SERIN, "{}")), "blog"), [9.0, 1.0]);
    let same = InForce::new(load(SERIN, "blog: { old: 9, new: 1 }")).with_change(&change("blog", &[("new", 1.0)]));
    let same = same.expect("a good change").with_files(load(SERIN, "{}"));
    assert_eq!(weights(&same, "blog"), [0.0, 1.0], "what the files say has not changed");
}

#[test]
fn a_change_does_not_outlive_the_versions_it_was_made_for() {
    let changed = InForce::new(load(SERIN, "{}")).with_change(&both(0.0, 1.0)).expect("a good change");
    let renamed = SERIN
        .replace("new: { upstream: http://127.0.0.1:9002 } } }\n", "newer: { upstream: http://127.0.0.1:9002 } } }\n");
    assert_eq!(weights(&changed.with_files(load(&renamed, "{}")), "shop"), [100.0, 0.0]);
    let moved = SERIN.replace("9002", "9003");
    assert_eq!(
        weights(&changed.with_files(load(&moved, "{}")), "shop"),
        [0.0, 1.0],
        "another address is the same version"
    );
}

#[test]
fn a_change_that_makes_no_sense_is_refused_with_what_would() {
    let in_force = InForce::new(load(SERIN, "{}"));
    let refused = |change: &Change| in_force.with_change(change).expect_err("refused").to_string();
    assert_eq!(refused(&change("ship", &[("old", 1.0)])), "there is no service `ship`; there are: shop, blog");
    assert_eq!(refused(&change("shop", &[("odl", 1.0)])), "service `shop` has no version `odl`; it has: old, new");
    assert!(refused(&both(-1.0, 1.0)).starts_with("the weights of service `shop`: "));
    assert!(refused(&both(f64::NAN, 1.0)).starts_with("the weights of service `shop`: "));
    assert!(refused(&both(0.1234, 1.0)).starts_with("the weights of service `shop`: "));
    assert!(refused(&both(0.0, 0.0)).starts_with("the weights of service `shop`: "));
    assert!(refused(&change("shop", &[])).starts_with("the weights of service `shop`: "));
}

#[test]
fn a_version_left_out_of_a_change_gets_nothing() {
    let changed = InForce::new(load(SERIN, "{}")).with_change(&change("shop", &[("new", 3.0)])).expect("a good change");
    assert_eq!(weights(&changed, "shop"), [0.0, 3.0]);
}

/// What happens to the weights of one of two services.
#[derive(Debug, Clone)]
enum Event {
    /// The weight file is edited: this service, these weights; the other as before.
    Edit(usize, u8),
    /// The admin API is called.
    Put(usize, u8),
    /// The files are read although nothing changed.
    Reread,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..2_usize, 0..=3_u8).prop_map(|(service, new)| Event::Edit(service, new)),
        (0..2_usize, 0..=3_u8).prop_map(|(service, new)| Event::Put(service, new)),
        Just(Event::Reread),
    ];
    prop::collection::vec(event, 0..12)
}

proptest! {
    /// The oracle: for each service the last call, or the last edit that said something else of it, whichever was later.
    #[test]
    fn the_last_change_wins_for_each_service(events in events()) {
        let names = ["shop", "blog"];
        let file = |said: [u8; 2]| {
            let line = |(name, new): (&str, u8)| format!("{name}: {{ old: {}, new: {new} }}\n", 10 - new);
            names.into_iter().zip(said).map(line).collect::<String>()
        };
        let mut said = [0, 0];
        let mut expected = [0, 0];
        let mut in_force = InForce::new(load(SERIN, &file(said)));
        for event in events {
            let generation = in_force.plan().generation;
            in_force = match event {
                Event::Edit(service, new) => {
                    if said[service] != new {
                        expected[service] = new;
                    }
                    said[service] = new;
                    in_force.with_files(load(SERIN, &file(said)))
                }
                Event::Put(service, new) => {
                    expected[service] = new;
                    let weights = [("old", f64::from(10 - new)), ("new", f64::from(new))];
                    in_force.with_change(&change(names[service], &weights)).expect("a good change")
                }
                Event::Reread => in_force.with_files(load(SERIN, &file(said))),
            };
            prop_assert_eq!(in_force.plan().generation, generation + 1);
            for (name, new) in names.into_iter().zip(expected) {
                prop_assert_eq!(weights(&in_force, name), [f64::from(10 - new), f64::from(new)]);
            }
        }
    }

    /// Keys move only as the weights say, however the weights came to be: the split itself stays the same.
    #[test]
    fn a_change_back_gives_every_key_its_version_back(new in 0..=10_u8, keys in prop::collection::vec("[a-z]{1,8}", 20)) {
        let first = InForce::new(load(SERIN, "shop: { old: 6, new: 4 }"));
        let there = first.with_change(&both(f64::from(11 - new), f64::from(new))).expect("a good change");
        let back = there.with_change(&both(6.0, 4.0)).expect("a good change");
        let pick = |in_force: &InForce, key: &str| {
            let (_, service) = in_force.plan().service_named("shop").expect("a known service");
            service.split.pick_key(key.as_bytes())
        };
        for key in &keys {
            prop_assert_eq!(pick(&first, key), pick(&back, key));
        }
    }
}
