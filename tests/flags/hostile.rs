//! Files and contexts that mean ill: an error or null, in bounded time and memory, on the small stack of a test's thread.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use serin::config::{self, Errors, LoadedFlags, Source};
use serin::flags::{ErrorCode, EvaluationError, Evaluators, FlagSet, FlagSpec, State, diff, evaluate, explain};

const NOW: u64 = 1_700_000_000;

fn load(name: &str, text: &str) -> Result<LoadedFlags, Errors> {
    config::flags(Source { name, text })
}

/// The first line of the first message.
fn refused(name: &str, text: &str) -> String {
    let errors = load(name, text).expect_err("it is refused").to_string();
    errors.lines().next().unwrap_or_default().to_owned()
}

fn set(rule: &Value) -> FlagSet {
    let spec = FlagSpec {
        key: "flag".to_owned(),
        state: State::Enabled,
        variants: vec![("on".to_owned(), json!(true)), ("off".to_owned(), json!(false))],
        default: Some(1),
        targeting: Some(rule.clone()),
        metadata: Map::new(),
    };
    FlagSet::new(vec![spec], &Evaluators::default(), Map::new())
}

fn repeated(times: usize, part: impl Fn(usize) -> String) -> String {
    (0..times).map(part).collect::<Vec<_>>().concat()
}

/// The variant that a rule gives, or the error.
fn variant(rule: &Value, context: &Value) -> Result<Option<String>, EvaluationError> {
    let set = set(rule);
    let id = set.get("flag").unwrap();
    let evaluated = evaluate(&set, id, context, NOW);
    assert_eq!(explain(&set, id, context, NOW).result, evaluated);
    evaluated.map(|evaluation| evaluation.variant.map(str::to_owned))
}

#[test]
fn nesting_without_end_is_refused() {
    for depth in [300, 10_000, 1_000_000] {
        let lists = format!("{{ \"flags\": {}{} }}", "[".repeat(depth), "]".repeat(depth));
        assert!(refused("flags.json", &lists).contains("nests deeper than 256 levels"));
        assert!(refused("flags.yaml", &lists).contains("flags.yaml:1:"));
        let rules = format!("{{ \"flags\": {{ \"a\": {}1{} }} }}", "{\"!\":".repeat(depth), "}".repeat(depth));
        assert!(refused("flags.json", &rules).contains("nests deeper than 256 levels"));
    }
    let open = "{\"a\":[".repeat(1_000_000);
    assert!(refused("flags.json", &open).contains("nests deeper"));
}

#[test]
fn a_rule_as_deep_as_a_file_may_be_answers() {
    // Two levels of the file for each operator.
    let rule = (0..90).fold("{\"var\":\"x\"}".to_owned(), |inner, _| format!("{{\"!\":[{inner}]}}"));
    let flag = format!("{{\"state\":\"ENABLED\",\"variants\":{{\"true\":1,\"false\":2}},\"targeting\":{rule}}}");
    for name in ["flags.json", "flags.yaml"] {
        let loaded = load(name, &format!("{{\"flags\":{{\"a\":{flag}}}}}")).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let id = loaded.set.get("a").unwrap();
        assert_eq!(evaluate(&loaded.set, id, &json!({ "x": 1 }), NOW).unwrap().variant, Some("true"));
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_size_alone() {
    let text = format!("flags: {{}} # {}", "x".repeat(config::MAX_FLAG_FILE_BYTES));
    assert!(refused("flags.yaml", &text).contains("the file is too large"));
    let many = repeated(100_001, |i| format!("\"{i}\":{{}},"));
    assert!(
        refused("flags.json", &format!("{{\"flags\":{{{}}}}}", many.trim_end_matches(','))).contains("too many flags")
    );
    let zeros = "0,".repeat(3_000_000);
    assert!(refused("flags.json", &format!("{{\"flags\":[{zeros}0]}}")).contains("more than 2500000 values"));
}

#[test]
fn a_file_on_one_line_with_thousands_of_faults_is_refused_soon() {
    let flags = repeated(20_000, |i| format!("\"f{i}\":{{\"variants\":{{\"x\":[]}},\"stat\":1}},"));
    let text = format!("{{\"flags\":{{{}}}}}", flags.trim_end_matches(','));
    let loaded = load("flags.json", &text).unwrap();
    assert_eq!(loaded.warnings.len(), 3 * 20_000);
    assert!(loaded.warnings[30_000].to_string().lines().count() == 1, "only what is printed shows its line");
}

#[test]
fn alias_bombs_and_circles_are_refused() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\nflags: *f\n";
    assert!(refused("flags.yaml", bomb).contains("aliases make it too large"));
    let circle = r#"{"flags":{},"$evaluators":{"a":{"!":{"$ref":"b"}},"b":{"!":{"$ref":"a"}}}}"#;
    assert!(refused("flags.json", circle).contains("in a circle: a → b"));
    let chain = repeated(50_000, |i| format!("\"e{i}\":{{\"!\":{{\"$ref\":\"e{}\"}}}},", i + 1));
    let text = format!("{{\"flags\":{{}},\"$evaluators\":{{{}}}}}", chain.trim_end_matches(','));
    // Those that reach too deep cannot be used, and nothing overflows.
    assert!(load("flags.json", &text).is_ok());
}

#[test]
fn numbers_that_are_none_or_beyond_all_bounds() {
    assert!(refused("flags.yaml", "flags: { a: { variants: { x: .inf } } }").contains("not a number of JSON"));
    assert!(refused("flags.json", "{\"flags\":{\"a\":{\"variants\":{\"x\":NaN}}}}").contains("expected a value"));
    assert!(refused("flags.json", "{\"flags\":{\"a\":{\"variants\":{\"x\":1e999}}}}").contains("not a number of JSON"));
    let digits = "9".repeat(100_000);
    let loaded = load("flags.json", &format!("{{\"flags\":{{\"a\":{{\"variants\":{{\"x\":0.{digits}}}}}}}}}")).unwrap();
    assert_eq!(loaded.set.len(), 1);
    let huge = json!({ "n": f64::MAX, "m": -f64::MAX, "tiny": 5e-324 });
    for rule in [
        json!({ "*": [{ "var": "n" }, { "var": "n" }] }),
        json!({ "-": [{ "*": [{ "var": "n" }, 10] }, { "*": [{ "var": "n" }, 10] }] }),
        json!({ "%": [{ "var": "n" }, { "var": "tiny" }] }),
        json!({ "substr": ["abc", { "var": "m" }, { "var": "n" }] }),
        json!({ "fractional": [["on", { "var": "n" }]] }),
        json!({ "missing_some": [{ "var": "n" }, ["n"]] }),
        json!({ "var": { "var": "n" } }),
    ] {
        let ended = variant(&json!({ "if": [{ "===": [rule.clone(), "x"] }, "on", "off"] }), &huge);
        assert_eq!(ended.unwrap().as_deref(), Some("off"), "{rule}");
    }
}

#[test]
fn a_context_of_ten_megabytes_costs_what_is_asked_of_it() {
    let context = json!({
        "text": "a".repeat(5_000_000),
        "list": (0..500_000).map(Value::from).collect::<Vec<_>>(),
        "dots": ".".repeat(1_000_000),
    });
    let ends = |rule: Value| variant(&json!({ "if": [rule, "on", "off"] }), &context);
    assert_eq!(ends(json!({ "var": "text.x" })).unwrap().as_deref(), Some("off"));
    assert_eq!(ends(json!({ "in": ["aab", { "var": "text" }] })).unwrap().as_deref(), Some("off"));
    assert_eq!(ends(json!({ "in": [499_999, { "var": "list" }] })).unwrap().as_deref(), Some("on"));
    assert_eq!(ends(json!({ "missing": { "var": "dots" } })).unwrap().as_deref(), Some("on"));
    let too_much = [
        json!({ "map": [{ "var": "list" }, { "in": [{ "var": "" }, "x"] }] }),
        json!({ "cat": [{ "var": "text" }, { "var": "text" }, { "var": "text" }, { "var": "text" }, { "var": "text" },
            { "var": "text" }, { "var": "text" }, { "var": "text" }, { "var": "text" }, { "var": "text" }] }),
        // A text with much in common with the other, to be looked for from every place.
        json!({ "some": [{ "var": "list" }, { "in": [{ "cat": ["a", "b"] }, { "var": "" }] }] }),
    ];
    for rule in too_much {
        let ended = ends(rule.clone());
        let stopped = matches!(&ended, Err(EvaluationError { code: ErrorCode::General, .. }));
        assert!(stopped || ended.is_ok(), "{rule}: {ended:?}");
    }
}

#[test]
fn the_longest_search_of_texts_stays_in_bounds() {
    let hay = "a".repeat(1_000_000);
    let needle = format!("{}b", "a".repeat(500_000));
    let rule = json!({ "some": [{ "var": "tries" }, { "in": [{ "var": "needle" }, { "var": "hay" }] }] });
    let tries: Vec<Value> = (0..10_000).map(|_| json!({ "hay": hay[..1000], "needle": needle[499_000..] })).collect();
    let ended = variant(&json!({ "if": [rule, "on", "off"] }), &json!({ "tries": tries }));
    assert!(ended.is_ok() || ended.is_err_and(|error| error.code == ErrorCode::General));
    let whole = json!({ "if": [{ "in": [needle, { "var": "hay" }] }, "on", "off"] });
    assert_eq!(variant(&whole, &json!({ "hay": hay })).unwrap().as_deref(), Some("off"));
}

// ---- by chance

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// Any JSON, with the names that mean something to rules among the keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["a.b", "x", "", "list.0", "$flagd.flagKey", "1.2.3", ">=", "accumulator", "-3"])
            .prop_map(Value::from),
    ];
    let names = prop::sample::select(
        serin::flags::operators().chain(["x", "list", "flags", "targetingKey", "$evaluators"]).collect::<Vec<_>>(),
    );
    leaf.prop_recursive(6, 80, 4, move |inner| {
        prop_oneof![
            3 => (names.clone(), prop::collection::vec(inner.clone(), 0..4)).prop_map(|(name, args)| json!({ name: args })),
            1 => (names.clone(), inner.clone()).prop_map(|(name, arg)| json!({ name: arg })),
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            1 => prop::collection::btree_map(names.clone(), inner, 0..3)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

#[test]
fn any_rule_ends_for_any_context() {
    let pairs = (any_json(), any_json());
    let ended = runner(500).run(&pairs, |(rule, context)| {
        // That it ends, and that an explanation ends alike, is all there is to say.
        let _ = variant(&rule, &context);
        Ok(())
    });
    ended.unwrap();
}

#[test]
fn any_text_as_a_flag_file_is_taken_or_refused() {
    let ended = runner(400).run(&(".{0,200}", any::<bool>()), |(text, json)| {
        let _ = load(if json { "flags.json" } else { "flags.yaml" }, &text);
        Ok(())
    });
    ended.unwrap();
}

#[test]
fn a_damaged_flag_file_is_taken_or_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(folder.join("config/flags.yaml")).unwrap();
    let as_json = load("flags.yaml", &example).map(|_| include_str!("example.json")).unwrap();
    let files = [("flags.yaml", example.as_str()), ("flags.json", as_json)];
    let damage = (0..2_usize, prop::collection::vec((any::<prop::sample::Index>(), ".?"), 1..6));
    let ended = runner(250).run(&damage, |(which, damage)| {
        let (name, text) = files[which];
        let mut chars: Vec<String> = text.chars().map(String::from).collect();
        for (at, with) in damage {
            let at = at.index(chars.len());
            chars[at] = with;
        }
        if let Ok(loaded) = load(name, &chars.concat()) {
            prop_assert!(diff(&loaded.set, &loaded.set).is_empty());
            for (id, _) in loaded.set.iter() {
                let _ = evaluate(&loaded.set, id, &json!({ "targetingKey": "u", "country": "de" }), NOW);
            }
        }
        Ok(())
    });
    ended.unwrap();
}
