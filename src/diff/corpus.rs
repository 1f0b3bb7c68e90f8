//! Pairs of answers with known truths: what was put in is found, and nothing else is.

use fastrand::Rng;
use serde_json::{Value, json};
use std::time::SystemTime;

use super::{Answer, Pair, Patterns, Rules, Tally, Verdict};
use crate::stats::Alpha;

/// One request in ten is also sent to old a second time.
const NOISE: f64 = 0.1;

fn rules() -> Rules {
    let patterns = |paths: &[&str]| {
        let mut patterns = Patterns::default();
        for path in paths {
            patterns.add(path).expect("a path");
        }
        patterns
    };
    Rules {
        ignore: patterns(&["$.requestId"]),
        unordered: patterns(&["$.tags"]),
        tolerance: 1e-9,
        headers: vec!["content-type".to_owned()],
        ..Rules::default()
    }
}

/// An order as an honest service tells it: an id of the request, a time, an order of tags that means nothing, a number of
/// people looking at it that changes between two looks, a total added up in any order.
fn honest(rng: &mut Rng, order: u64) -> Value {
    let mut of_order = Rng::with_seed(order);
    let items: Vec<Value> = (0..of_order.usize(1..6))
        .map(|n| json!({ "sku": format!("s{n}"), "price": f64::from(of_order.u32(100..9999)) / 100.0, "qty": of_order.u32(1..4) }))
        .collect();
    let mut total: f64 = items.iter().map(|item| item["price"].as_f64().unwrap_or_default()).sum();
    total *= 1.0 + f64::from(rng.i32(-4..=4)) * f64::EPSILON;
    let mut tags = vec!["a", "b", "c", "d"];
    rng.shuffle(&mut tags);
    json!({
        "id": order, "requestId": rng.u64(..), "servedAt": rng.u32(..), "tags": tags, "items": items, "total": total,
        // Not every look differs.
        "watching": if rng.f64() < 0.3 { rng.u32(1..5) } else { 7 },
        "customer": { "name": format!("c{}", of_order.u32(..100)), "vip": of_order.bool(), "since": of_order.u32(1990..2026) },
    })
}

/// What a new version may do wrong: the place where it shows, and what it does.
type Wrong = (&'static str, fn(&mut Rng, &mut Value));

const WRONGS: [Wrong; 7] = [
    ("$.customer.since", |_, order| {
        drop(order["customer"].as_object_mut().and_then(|customer| customer.remove("since")))
    }),
    ("$.customer.vip", |_, order| order["customer"]["vip"] = json!(order["customer"]["vip"].to_string())),
    ("$.items[*].sku", |_, order| {
        if let Some(items) = order["items"].as_array_mut() {
            items.reverse();
        }
    }),
    ("$.total", |_, order| order["total"] = json!(order["total"].as_f64().unwrap_or_default() + 0.01)),
    ("$.currency", |_, order| order["currency"] = json!("EUR")),
    ("$.watching", |rng, order| order["watching"] = json!(rng.u32(10..20))),
    ("$.customer.name", |rng, order| {
        if rng.f64() < 0.2 {
            order["customer"]["name"] = json!("");
        }
    }),
];

fn answer(body: &Value) -> Answer {
    Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: Some(body.to_string().into_bytes()),
    }
}

/// Compares `pairs` requests; the places called different.
fn different(seed: u64, pairs: u64, wrong: impl Fn(&mut Rng, &mut Value)) -> Vec<String> {
    let (rules, mut rng, mut tally) = (rules(), Rng::with_seed(seed), Tally::new(Alpha::DEFAULT, true));
    for order in 0..pairs {
        let old = answer(&honest(&mut rng, order));
        let mut body = honest(&mut rng, order);
        wrong(&mut rng, &mut body);
        tally.count("orders", Pair::OldAndNew, rules.compare(&old, &answer(&body)), SystemTime::UNIX_EPOCH);
        if rng.f64() < NOISE {
            let again = answer(&honest(&mut rng, order));
            tally.count("orders", Pair::OldTwice, rules.compare(&old, &again), SystemTime::UNIX_EPOCH);
        }
    }
    let places = tally.report().into_iter().flat_map(|route| route.places);
    places.filter(|place| place.verdict == Verdict::Different).map(|place| place.place).collect()
}

#[test]
fn whatever_is_put_in_is_found_within_a_thousand_requests_and_nothing_else() {
    for (number, (place, wrong)) in WRONGS.into_iter().enumerate() {
        let found = different(number as u64, 1_000, wrong);
        assert!(found.iter().any(|found| found == place), "{place} is not among {found:?}");
        // An order of items that is another moves their prices and quantities as well.
        let others = found.iter().filter(|found| *found != place && !found.starts_with("$.items[*]"));
        assert_eq!(others.count(), 0, "{place}: {found:?}");
    }
}

#[test]
fn nothing_is_found_where_there_is_only_noise() {
    // `SERIN_DIFF_PAIRS=100000` for the whole of what is promised.
    let pairs = std::env::var("SERIN_DIFF_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(4_000);
    assert_eq!(different(1, pairs, |_, _| {}), Vec::<String>::new());
}
