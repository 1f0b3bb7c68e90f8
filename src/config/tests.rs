//! The whole room through its public face.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::node::{Kind, Node};
use super::*;
use crate::plan::{Address, KeySource};

const FULL: &str = include_str!("../../config/full.yaml");
const EXAMPLE: &str = include_str!("../../config/serin.yaml");
const WEIGHTS: &str = include_str!("../../config/weights.yaml");
const LEAST: &str = "\
listeners: [{ address: 127.0.0.1:0 }]
services: { shop: { versions: { a: { upstream: http://x }, b: { upstream: http://y }, c: { upstream: http://z } } } }
routes: [{ service: shop }]
";

fn named<'a>(name: &'a str, text: &'a str) -> Source<'a> {
    Source { name, text }
}

fn serin(text: &str) -> Result<Loaded, Errors> {
    load(named("serin.yaml", text), None)
}

fn both(text: &str, weights: &str) -> Result<Loaded, Errors> {
    load(named("serin.yaml", text), Some(named("weights.yaml", weights)))
}

fn thousandths(weights: &[Weight]) -> Vec<u64> {
    weights.iter().map(|weight| weight.thousandths()).collect()
}

fn in_force(loaded: &Loaded) -> Vec<u64> {
    thousandths(loaded.plan.services[0].split.weights())
}

#[test]
fn the_examples_are_valid_together_with_their_weight_file() {
    let loaded = both(EXAMPLE, WEIGHTS).unwrap();
    assert_eq!(loaded.settings.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(loaded.settings.admin.as_ref().unwrap().address.to_string(), "127.0.0.1:9901");
    assert_eq!(in_force(&loaded), [95_000, 5_000]);
    assert_eq!(loaded.warnings, []);
    assert_eq!(weights_path(named("serin.yaml", EXAMPLE)), Some("weights.yaml".into()));
}

#[test]
fn the_limits_shown_in_the_example_are_the_defaults() {
    let shown: String = EXAMPLE
        .lines()
        .skip_while(|line| !line.starts_with("# limits:"))
        .filter(|line| !line.contains("bodyBytes") && !line.contains("workers"))
        .map(|line| line.trim_start_matches("# ").to_owned() + "\n")
        .map(|line| if line.starts_with("limits") || line.starts_with("drain") { line } else { format!("  {line}") })
        .collect();
    let loaded = both(&format!("{EXAMPLE}\n{shown}"), WEIGHTS).unwrap();
    assert_eq!(loaded.plan.limits, crate::plan::Limits::default());
    assert_eq!(loaded.settings.drain_timeout, Duration::from_secs(30));
    assert_eq!(loaded.settings, both(EXAMPLE, WEIGHTS).unwrap().settings);
}

#[test]
fn the_reference_file_is_valid_and_warns_of_what_has_no_effect() {
    let loaded = both(FULL, WEIGHTS).unwrap();
    let warned: Vec<&str> = loaded.warnings.iter().map(|warning| &*warning.key).collect();
    let mut expected: Vec<&str> = vec![];
    if !cfg!(feature = "otlp") {
        expected.push("tracing");
    }
    assert_eq!(warned, expected);
    let upstream = crate::plan::UpstreamSettings { connections: Some(200), ..crate::plan::UpstreamSettings::default() };
    assert_eq!(loaded.plan.upstream, upstream);
    assert_eq!(loaded.plan.trusted.len(), 3);
    let checkout = &loaded.plan.services[0];
    let overload = checkout.overload.clone().unwrap();
    assert_eq!(overload.priority_header.as_ref().map(|header| header.name.as_str()), Some("x-priority"));
    let shown = crate::plan::Overload { priority_header: None, ..overload };
    assert_eq!(shown, crate::plan::Overload::default());
    assert_eq!(checkout.sticky.len(), 5);
    assert_eq!(checkout.sticky[3], KeySource::ClientIp);
    assert_eq!(checkout.versions[1].upstream.addresses[1], Address::Name("checkout-new.internal".into(), 9002));
    assert_eq!(loaded.plan.routes.routes().len(), 6);
}

#[test]
fn the_reference_file_has_every_key_of_the_schema() {
    let mut problems = Problems::of(named("full.yaml", FULL));
    let root = node::parse(named("full.yaml", FULL), &mut problems).unwrap();
    let (mut written, mut described) = (BTreeSet::new(), BTreeSet::new());
    keys_of_tree(&root, &mut written);
    keys_of_schema(&schema(), &mut described);
    let missing: Vec<&String> = described.difference(&written).collect();
    assert!(missing.is_empty(), "not in full.yaml: {missing:?}");
    assert!(described.len() > 60, "{}", described.len());
}

fn keys_of_tree(node: &Node, keys: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Map(map) => map.iter().for_each(|(key, value)| {
            keys.insert(key.text.clone());
            keys_of_tree(value, keys);
        }),
        Kind::List(items) => items.iter().for_each(|item| keys_of_tree(item, keys)),
        _ => {}
    }
}

fn keys_of_schema(schema: &Value, keys: &mut BTreeSet<String>) {
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        // What nothing can be written under has no place in the reference.
        if inner.get("not").is_none() {
            keys.insert(key.clone());
            keys_of_schema(inner, keys);
        }
    }
    for inner in [&schema["items"], &schema["additionalProperties"]] {
        if inner.is_object() {
            keys_of_schema(inner, keys);
        }
    }
    for alternative in schema["oneOf"].as_array().into_iter().flatten() {
        keys_of_schema(alternative, keys);
    }
}

#[test]
fn the_schema_describes_every_key_and_allows_no_other() {
    fn check(schema: &Value, path: &str) {
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], json!(false), "{path}");
            for (key, inner) in properties {
                assert!(inner["description"].as_str().is_some_and(|text| text.len() > 10), "{path}.{key}");
                check(inner, &format!("{path}.{key}"));
            }
        }
        for inner in [&schema["items"], &schema["additionalProperties"]] {
            if inner.is_object() {
                check(inner, path);
            }
        }
        for alternative in schema["oneOf"].as_array().into_iter().flatten() {
            check(alternative, path);
        }
    }
    check(&schema(), "");
}

#[test]
fn a_misspelt_key_is_named_with_its_line() {
    let mut known = BTreeSet::new();
    keys_of_schema(&schema(), &mut known);
    let mut tried = 0;
    for (index, line) in FULL.lines().enumerate() {
        let Some((before, after)) = line.split_once(':') else { continue };
        let key = before.trim_start_matches([' ', '-']);
        // Entries of the reference that are names chosen by the operator are no keys.
        if !known.contains(key) || before.contains('#') {
            continue;
        }
        let (start, swapped) = (&before[..before.len() - key.len()], format!("{}{}", &key[1..], &key[..1]));
        // In turns: the whole reference is read each time.
        let ways = [format!("{key}s"), format!("x{key}"), key[1..].to_owned(), swapped, key.to_uppercase()];
        let is_none = |misspelt: &&String| !known.contains(*misspelt) && !misspelt.is_empty();
        let Some(misspelt) = ways.iter().cycle().skip(index % ways.len()).take(ways.len()).find(is_none) else {
            continue;
        };
        let text: String = FULL
            .lines()
            .enumerate()
            .map(|(i, old)| if i == index { format!("{start}{misspelt}:{after}\n") } else { format!("{old}\n") })
            .collect();
        let Errors(errors) = both(&text, WEIGHTS).unwrap_err();
        let named = errors.iter().any(|problem| {
            problem.line as usize == index + 1
                && problem.message == "unknown key"
                && problem.key.rsplit('.').next() == Some(misspelt)
        });
        assert!(named, "line {}: {misspelt}\n{}", index + 1, Errors(errors));
        tried += 1;
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn without_any_weights_all_requests_go_to_the_oldest_version() {
    assert_eq!(in_force(&serin(LEAST).unwrap()), [100_000, 0, 0]);
}

#[test]
fn the_weight_file_wins_where_it_names_the_service_and_leaves_out_means_zero() {
    let own = LEAST.replace("} } }", "} }, weights: { a: 1, b: 2, c: 3 } }");
    assert_eq!(in_force(&serin(&own).unwrap()), [1_000, 2_000, 3_000]);
    let loaded = both(&own, "shop: { b: 0.5, a: 9 }").unwrap();
    assert_eq!(in_force(&loaded), [9_000, 500, 0]);
    assert_eq!(thousandths(&loaded.own_weights[0]), [1_000, 2_000, 3_000]);
    assert_eq!(in_force(&both(&own, "{}").unwrap()), [1_000, 2_000, 3_000]);
}

#[test]
fn the_weight_file_alone_is_read_against_a_plan() {
    let plan = serin(LEAST).unwrap().plan;
    let read = weights(named("weights.yaml", "shop: { c: 1 }"), &plan).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].0, thousandths(&read[0].1)), (ServiceId::from_index(0), vec![0, 0, 1_000]));
    let Errors(errors) = weights(named("weights.yaml", "shop: { d: -1 }\nshp: {}\n"), &plan).unwrap_err();
    let places: Vec<(u32, u32)> = errors.iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(places, [(1, 9), (1, 12), (2, 1), (2, 6)]);
}

#[test]
fn errors_of_both_files_are_reported_together() {
    let Errors(errors) = both(&LEAST.replace("listeners", "listner"), "shop: { a: -1 }").unwrap_err();
    let files: Vec<&str> = errors.iter().map(|problem| &*problem.file).collect();
    assert_eq!(files, ["serin.yaml", "weights.yaml"]);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let windows = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    let weights = format!("\u{feff}{}", WEIGHTS.replace('\n', "\r\n"));
    assert_eq!(both(&windows, &weights).unwrap().settings, both(FULL, WEIGHTS).unwrap().settings);
    let Errors(errors) = serin(&format!("\u{feff}workers: 0\r\n{}", LEAST.replace('\n', "\r\n"))).unwrap_err();
    let expected = "serin.yaml:1:10: workers: out of range\n  |\n1 | workers: 0\n  |          ^ found the number 0\n  = expected: a whole number from 1 to 1024";
    assert_eq!(Errors(errors).to_string(), expected);
}

#[test]
fn anchors_aliases_and_merge_keys_are_understood() {
    let text = "\
listeners: [{ address: 127.0.0.1:0 }]
services:
  one: &one
    versions: { a: { upstream: http://x } }
    sticky: [{ header: x-id }]
  two: *one
  three:
    <<: *one
    sticky: [{ clientIp: true }]
routes: [{ service: one }, { service: two }, { service: three }]
";
    let loaded = serin(text).unwrap();
    let sticky: Vec<&KeySource> = loaded.plan.services.iter().map(|service| &service.sticky[0]).collect();
    assert_eq!(sticky[0], sticky[1]);
    assert_eq!(sticky[2], &KeySource::ClientIp);
}

#[test]
fn a_service_that_no_route_leads_to_is_warned_of() {
    let text = LEAST.replace("services: {", "services: { spare: { versions: { v: { upstream: http://x } } },");
    let warnings = serin(&text).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!((&*warnings[0].key, warnings[0].line), ("services.spare", 2));
}

#[test]
fn regular_expressions_match_whole_values() {
    use crate::plan::PathMatch;
    let whole = |pattern: &str| {
        let text = format!("{LEAST}  # ").replace(
            "{ service: shop }",
            &format!("{{ service: shop, matches: [{{ path: {{ type: RegularExpression, value: '{pattern}' }} }}] }}"),
        );
        let loaded = serin(&text).unwrap();
        match &loaded.plan.routes.routes()[0].matches[0].path {
            PathMatch::Regex(regex) => regex.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert!(whole("/a|/ab").is_match("/ab"));
    assert!(!whole("/a").is_match("/ab"));
    assert!(!whole("/a").is_match("/a\n"));
    assert!(whole("(?x) /a # comment").is_match("/a"));
    assert!(!whole("(?m)^/a$").is_match("/a\n/b"));
}

#[test]
fn a_file_above_the_bound_is_refused_unread() {
    let Errors(errors) = serin(&format!("{LEAST}#{}", "x".repeat(MAX_BYTES))).unwrap_err();
    assert_eq!((errors.len(), &*errors[0].message), (1, "the file is too large"));
}

#[test]
fn thousands_of_errors_are_counted_and_the_first_of_them_shown() {
    let errors = serin(&"x: 1\n".repeat(20_000)).unwrap_err();
    assert!(errors.0.len() >= 20_000);
    let text = errors.to_string();
    assert!(text.len() < 100_000 && text.contains("more"), "{}", text.len());
}

/// What breaks files in practice, and what YAML makes much of.
fn pieces() -> impl Strategy<Value = String> {
    let words =
        ["\n", "\t", "  ", ": ", "- ", "[", "]", "{", "}", "\"", "'", "&a", "*a", "<<: *a", "|\n", ">", "#", "!x"];
    let more = ["---\n", "0", "-1", ".nan", "1e9", "~", "\u{feff}", "\u{0}", "é", "\r", "%", "versions:", "weights: "];
    prop::sample::select(words.into_iter().chain(more).map(str::to_owned).collect::<Vec<_>>())
}

fn must_not_panic(text: &str) {
    let source = named("x.yaml", text);
    let results = [
        load(source, None).err(),
        load(named("serin.yaml", LEAST), Some(source)).err(),
        check_weights_alone(source).err(),
    ];
    for errors in results.into_iter().flatten() {
        assert!(!errors.0.is_empty());
        assert!(errors.to_string().starts_with("x.yaml:"), "{errors}");
    }
    let _ = weights_path(source);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_text_is_refused_or_accepted_but_never_panics(text in any::<String>()) {
        must_not_panic(&text);
    }

    #[test]
    fn text_made_of_yaml_never_panics(pieces in prop::collection::vec(pieces(), 0..40)) {
        must_not_panic(&pieces.concat());
    }

    #[test]
    fn a_valid_file_with_damage_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, pieces()), 1..6),
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, length, piece) in damage {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        must_not_panic(&text.into_iter().collect::<String>());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = text("x.yaml", &bytes) {
            must_not_panic(text);
        }
    }
}

#[test]
fn bounds_of_an_overload_that_are_left_out_agree_with_those_that_are_not() {
    let bounds = |written: &str| {
        let text = EXAMPLE.replacen("    versions:", &format!("    overload: {{ {written} }}\n    versions:"), 1);
        let overload = both(&text, WEIGHTS).unwrap().plan.services[0].overload.clone().unwrap();
        (overload.min, overload.initial, overload.max)
    };
    assert_eq!(bounds(""), (10, 100, 1000));
    assert_eq!(bounds("max: 50"), (10, 50, 50));
    assert_eq!(bounds("max: 5"), (5, 5, 5));
    assert_eq!(bounds("min: 2000"), (2000, 2000, 2000));
    assert_eq!(bounds("initial: 4"), (4, 4, 1000));
    assert_eq!(bounds("initial: 5000"), (10, 5000, 5000));
    assert_eq!(bounds("min: 7, max: 7"), (7, 7, 7));
}
