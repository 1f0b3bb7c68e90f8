//! What flags cost: `cargo bench --bench flags`. The bars: a rule of 3 conditions and a fractional under 1 µs, 10,000 flags
//! read in under 300 ms and all evaluated in under 10 ms.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use serin::config::{self, Source};
use serin::flags::{Attribute, Context, FlagSet, evaluate};

/// As in the binary: a file's tree is some hundred thousand small pieces.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const NOW: u64 = 1_700_000_000;
const FLAGS: usize = 10_000;

/// As a request gives it: nothing is made of it but what is asked for.
struct Request;

impl Context for Request {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        match name {
            "country" => Some("de".into()),
            "age" => Some(Attribute::Number(42.0)),
            "email" => Some("ann@example.com".into()),
            "targetingKey" => Some("user-0123456789".into()),
            _ => None,
        }
    }
}

fn json_file() -> String {
    let flag = |i: usize| {
        json!({
            "state": "ENABLED",
            "variants": { "on": true, "off": false },
            "defaultVariant": "off",
            "targeting": { "if": [
                { "and": [
                    { "==": [{ "var": "country" }, "de"] },
                    { ">=": [{ "var": "age" }, 18] },
                    { "ends_with": [{ "var": "email" }, "@example.com"] },
                ] },
                { "fractional": [["on", 10 + i % 80], ["off", 90 - i % 80]] },
                null,
            ] },
        })
    };
    let flags: serde_json::Map<String, Value> = (0..FLAGS).map(|i| (format!("flag-{i}"), flag(i))).collect();
    json!({ "flags": flags }).to_string()
}

fn yaml_file() -> String {
    let mut text = "flags:\n".to_owned();
    for i in 0..FLAGS {
        let (on, off) = (10 + i % 80, 90 - i % 80);
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "  flag-{i}:\n    state: ENABLED\n    variants: {{ \"on\": true, \"off\": false }}\n    defaultVariant: \"off\"\n    \
             targeting:\n      if:\n        - and:\n            - ==: [ {{ var: country }}, de ]\n            \
             - \">=\": [ {{ var: age }}, 18 ]\n            - ends_with: [ {{ var: email }}, \"@example.com\" ]\n        \
             - fractional: [ [ \"on\", {on} ], [ \"off\", {off} ] ]\n        - null\n"
        );
    }
    text
}

fn read(name: &str, text: &str) -> FlagSet {
    let loaded = config::flags(Source { name, text }).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((loaded.set.len(), loaded.warnings.len()), (FLAGS, 0));
    loaded.set
}

fn flags(c: &mut Criterion) {
    let mut group = c.benchmark_group("flags");
    let (json, yaml) = (json_file(), yaml_file());
    let set = read("flags.json", &json);
    let id = set.get("flag-7").expect("it was made");
    let context = json!({ "country": "de", "age": 42, "email": "ann@example.com", "targetingKey": "user-0123456789" });
    assert!(evaluate(&set, id, &context, NOW) == evaluate(&set, id, &Request, NOW));
    group.bench_function("3 conditions and a fractional, of JSON", |b| {
        b.iter(|| evaluate(black_box(&set), id, black_box(&context), NOW));
    });
    group.bench_function("3 conditions and a fractional, of a request", |b| {
        b.iter(|| evaluate(black_box(&set), id, black_box(&Request), NOW));
    });
    group.sample_size(20);
    group.bench_function("10,000 flags in bulk", |b| {
        b.iter(|| set.iter().filter(|(id, _)| evaluate(&set, *id, black_box(&context), NOW).is_ok()).count());
    });
    group.sample_size(10);
    group.bench_function("10,000 flags read from JSON", |b| b.iter(|| read("flags.json", black_box(&json))));
    group.bench_function("10,000 flags read from YAML", |b| b.iter(|| read("flags.yaml", black_box(&yaml))));
    group.finish();
}

criterion_group!(benches, flags);
criterion_main!(benches);
