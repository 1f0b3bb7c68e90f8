//! The semantics of flags, one sentence a test.

use serde_json::{Map, Value, json};

use super::*;

const NOW: u64 = 1_700_000_000;

/// A set with one flag `flag`: variants `on` and `off`, the default `off`.
fn set(targeting: Value) -> FlagSet {
    set_with(targeting, &Evaluators::default())
}

fn set_with(targeting: Value, evaluators: &Evaluators) -> FlagSet {
    FlagSet::new(vec![spec("flag", Some(targeting))], evaluators, Map::new())
}

fn spec(key: &str, targeting: Option<Value>) -> FlagSpec {
    FlagSpec {
        key: key.to_owned(),
        state: State::Enabled,
        variants: vec![("on".to_owned(), json!(true)), ("off".to_owned(), json!(false))],
        default: Some(1),
        targeting,
        metadata: Map::new(),
    }
}

fn ask<'a>(set: &'a FlagSet, context: &Value) -> Result<Evaluation<'a>, EvaluationError> {
    evaluate(set, set.get("flag").unwrap(), context, NOW)
}

/// The variant and the reason, or the code of the error.
fn told(targeting: Value, context: &Value) -> String {
    match ask(&set(targeting), context) {
        Ok(evaluation) => format!("{} {}", evaluation.variant.unwrap_or("none"), evaluation.reason),
        Err(error) => error.code.to_string(),
    }
}

/// Whether a condition is met.
fn met(condition: &Value, context: &Value) -> bool {
    match &*told(json!({ "if": [condition, "on", "off"] }), context) {
        "on TARGETING_MATCH" => true,
        "off TARGETING_MATCH" => false,
        other => panic!("{condition}: {other}"),
    }
}

#[test]
fn a_flag_without_a_rule_is_its_default() {
    for targeting in [Value::Null, json!({}), json!([])] {
        assert_eq!(told(targeting.clone(), &json!({})), "off STATIC");
        let set = set(targeting);
        let constant = set.flag(set.get("flag").unwrap()).constant().unwrap().unwrap();
        assert_eq!((constant.index, constant.variant, constant.value), (Some(1), Some("off"), Some(&json!(false))));
    }
}

#[test]
fn a_rule_that_gives_null_leaves_the_default() {
    assert_eq!(told(json!({ "if": [{ "var": "x" }, "on"] }), &json!({})), "off DEFAULT");
    assert_eq!(told(json!({ "if": [{ "var": "x" }, "on"] }), &json!({ "x": 1 })), "on TARGETING_MATCH");
}

#[test]
fn without_a_default_there_is_no_value() {
    let without = |targeting| {
        let mut spec = spec("flag", targeting);
        spec.default = None;
        let set = FlagSet::new(vec![spec], &Evaluators::default(), Map::new());
        let evaluation = ask(&set, &json!({})).unwrap();
        (evaluation.variant.map(str::to_owned), evaluation.value.cloned(), evaluation.reason)
    };
    assert_eq!(without(None), (None, None, Reason::Default));
    assert_eq!(without(Some(json!({ "var": "x" }))), (None, None, Reason::Default));
}

#[test]
fn a_disabled_flag_has_no_value_and_its_rule_does_not_run() {
    let mut spec = spec("flag", Some(json!({ "if": [true, "on"] })));
    spec.state = State::Disabled;
    let set = FlagSet::new(vec![spec], &Evaluators::default(), Map::new());
    assert_eq!(ask(&set, &json!({})).unwrap(), Evaluation::without_value(Reason::Disabled));
}

#[test]
fn an_unknown_variant_is_a_general_error_and_an_unknown_operator_a_parse_error_of_that_flag_alone() {
    assert_eq!(told(json!({ "if": [true, "nobody"] }), &json!({})), "GENERAL");
    assert_eq!(told(json!({ "frobnicate": [1] }), &json!({})), "PARSE_ERROR");
    assert_eq!(told(json!({ "if": [{ "$ref": "nobody" }, "on"] }), &json!({})), "PARSE_ERROR");
    assert_eq!(told(json!({ "==": [1, 1], "!": true }), &json!({})), "PARSE_ERROR");
    let specs = vec![spec("flag", None), spec("broken", Some(json!({ "x": 1 })))];
    let set = FlagSet::new(specs, &Evaluators::default(), Map::new());
    assert_eq!(ask(&set, &json!({})).unwrap().reason, Reason::Static);
    assert_eq!(set.flag(set.get("broken").unwrap()).broken().unwrap().to_string(), "unknown operator `x`");
}

#[test]
fn an_error_says_where_in_the_rule_it_is() {
    let rule = json!({ "if": [true, { "and": [1, { "strats_with": [1, 2] }] }] });
    let set = set(rule);
    let error = set.flag(set.get("flag").unwrap()).broken().unwrap();
    assert_eq!(error.to_string(), "unknown operator `strats_with`, at `if[1].and[1]`");
}

#[test]
fn booleans_and_numbers_name_variants_too() {
    let mut spec = spec("flag", Some(json!({ "==": [{ "var": "x" }, 1] })));
    spec.variants =
        vec![("true".to_owned(), json!("t")), ("false".to_owned(), json!("f")), ("3".to_owned(), json!(3.0))];
    let set = FlagSet::new(vec![spec], &Evaluators::default(), Map::new());
    assert_eq!(ask(&set, &json!({ "x": 1 })).unwrap().value, Some(&json!("t")));
    assert_eq!(ask(&set, &json!({ "x": 2 })).unwrap().value, Some(&json!("f")));
}

#[test]
fn the_servers_flagd_properties_replace_those_of_the_context() {
    let context = json!({ "$flagd": { "flagKey": "forged", "timestamp": 1, "more": true } });
    assert!(met(&json!({ "===": [{ "var": "$flagd.flagKey" }, "flag"] }), &context));
    assert!(met(&json!({ "===": [{ "var": "$flagd.timestamp" }, NOW] }), &context));
    assert!(met(&json!({ "===": [{ "var": "$flagd.more" }, null] }), &context));
}

#[test]
fn paths_lead_into_lists_and_objects_and_have_defaults() {
    let context = json!({ "a": { "b": [10, { "c": "x" }] }, "nul": null, "dotted.name": 1 });
    for (path, value) in [("a.b.0", json!(10)), ("a.b.1.c", json!("x")), ("a.b.2", Value::Null), ("a.x.y", Value::Null)]
    {
        assert!(met(&json!({ "===": [{ "var": path }, value] }), &context), "{path}");
    }
    assert!(met(&json!({ "===": [{ "var": ["a.x", "else"] }, "else"] }), &context));
    assert!(met(&json!({ "===": [{ "var": ["nul", "else"] }, "else"] }), &context));
    assert!(met(&json!({ "===": [{ "var": "dotted\\.name" }, 1] }), &context));
}

#[test]
fn evaluators_are_put_in_their_places_also_as_arguments_and_within_each_other() {
    let evaluators = || {
        Evaluators::new([
            ("german".to_owned(), json!({ "in": [{ "var": "country" }, { "$ref": "countries" }] })),
            ("countries".to_owned(), json!(["de", "at", "ch"])),
            ("both".to_owned(), json!([{ "$ref": "german" }, { "var": "adult" }])),
        ])
        .unwrap()
    };
    for rule in [json!({ "if": [{ "$ref": "german" }, "on"] }), json!({ "if": [{ "and": { "$ref": "both" } }, "on"] })]
    {
        let set = set_with(rule, &evaluators());
        assert_eq!(ask(&set, &json!({ "country": "at", "adult": true })).unwrap().variant, Some("on"));
        assert_eq!(ask(&set, &json!({ "country": "fr", "adult": true })).unwrap().variant, Some("off"));
    }
}

#[test]
fn evaluators_in_a_circle_are_refused_and_the_circle_is_named() {
    let cycle = Evaluators::new([
        ("before".to_owned(), json!({ "$ref": "a" })),
        ("a".to_owned(), json!({ "!": { "$ref": "b" } })),
        ("b".to_owned(), json!([1, { "or": [{ "$ref": "a" }] }])),
    ]);
    assert_eq!(cycle.unwrap_err().names, ["a", "b"]);
    assert_eq!(Evaluators::new([("a".to_owned(), json!({ "$ref": "a" }))]).unwrap_err().names, ["a"]);
}

#[test]
fn evaluators_that_double_and_double_cost_neither_memory_nor_time() {
    let doubling = |wrap: fn(Value) -> Value| {
        let mut rules = vec![("e0".to_owned(), json!({ "var": "x" }))];
        for i in 1..90 {
            let before = json!({ "$ref": format!("e{}", i - 1) });
            rules.push((format!("e{i}"), wrap(before)));
        }
        let evaluators = Evaluators::new(rules).unwrap();
        let set = set_with(json!({ "if": [{ "$ref": "e89" }, "on"] }), &evaluators);
        let id = set.get("flag").unwrap();
        (ask(&set, &json!({ "x": 1 })).map(|e| e.reason), explain(&set, id, &json!({ "x": 1 }), NOW).told.len())
    };
    // Shared, and stopped when it runs.
    let (result, told) = doubling(|before| json!({ "and": [before, before] }));
    assert!(matches!(result, Err(EvaluationError { code: ErrorCode::General, .. })), "{result:?}");
    assert!(told <= 200, "{told}");
    // Lists of arguments are copied, and stopped when they are compiled.
    let (result, _) = doubling(|before| json!([{ "and": before }, { "and": before }]));
    assert!(matches!(result, Err(EvaluationError { code: ErrorCode::ParseError, .. })), "{result:?}");
}

#[test]
fn fractional_gives_each_user_the_bucket_of_its_hash() {
    let rule = json!({ "fractional": [{ "var": "key" }, ["on", 50], ["off", 50]] });
    for (key, variant) in [("ejOoVL", "on"), ("bY9fO-", "on"), ("SI7p-", "on"), ("6LvT0", "off"), ("ceQdGm", "off")] {
        assert_eq!(told(rule.clone(), &json!({ "key": key })), format!("{variant} TARGETING_MATCH"), "{key}");
    }
}

#[test]
fn fractional_without_an_expression_or_with_null_from_it_takes_flag_key_and_targeting_key() {
    let bare = json!({ "fractional": [["on", 50], ["off", 50]] });
    let null = json!({ "fractional": [{ "var": "nobody" }, ["on", 50], ["off", 50]] });
    let explicit = json!({ "fractional": [{ "cat": ["flag", { "var": "targetingKey" }] }, ["on", 50], ["off", 50]] });
    for user in 0..100 {
        let context = json!({ "targetingKey": format!("user-{user}-ü") });
        assert_eq!(told(bare.clone(), &context), told(explicit.clone(), &context));
        assert_eq!(told(null.clone(), &context), told(explicit.clone(), &context));
    }
    for context in [json!({}), json!({ "targetingKey": "" }), json!({ "targetingKey": null })] {
        assert_eq!(told(bare.clone(), &context), "off DEFAULT");
    }
}

#[test]
fn weights_that_are_none_make_fractional_null() {
    let context = json!({ "targetingKey": "user-1", "weight": 3, "half": 0.5 });
    let of = |buckets: Value| told(json!({ "fractional": buckets }), &context);
    assert_eq!(of(json!([["on"]])), "on TARGETING_MATCH", "a missing weight is 1");
    assert_eq!(of(json!([["off", -5], ["on", 1.0]])), "on TARGETING_MATCH", "a negative weight is 0");
    assert_eq!(of(json!([["off", 0], ["on", { "var": "weight" }]])), "on TARGETING_MATCH", "a weight may be computed");
    assert_eq!(of(json!([["on", 2_147_483_647]])), "on TARGETING_MATCH");
    for bad in [
        json!([]),
        json!([["on", 0.5]]),
        json!([["on", { "var": "half" }]]),
        json!([["on", 0], ["off", -1]]),
        json!([["on", 2_147_483_647], ["off", 1]]),
        json!([["on", 1e300]]),
        json!([["on", "1"]]),
        json!([["on", 1, 1]]),
        json!([[]]),
        json!(["user-1"]),
        json!([5, ["on", 1]]),
        json!([["on", 1], "off"]),
        json!([[["on"], 1]]),
    ] {
        assert_eq!(of(bad.clone()), "off DEFAULT", "{bad}");
    }
}

#[test]
fn variants_of_fractional_may_be_of_any_kind() {
    let mut spec = spec("flag", Some(json!({ "fractional": [[{ "var": "v" }, 1]] })));
    spec.variants = vec![("true".to_owned(), json!(1)), ("7".to_owned(), json!(2)), ("x".to_owned(), json!(3))];
    let set = FlagSet::new(vec![spec], &Evaluators::default(), Map::new());
    for (v, value) in [(json!(true), json!(1)), (json!(7.0), json!(2)), (json!("x"), json!(3))] {
        assert_eq!(ask(&set, &json!({ "targetingKey": "u", "v": v })).unwrap().value, Some(&value));
    }
    assert_eq!(ask(&set, &json!({ "targetingKey": "u" })).unwrap().reason, Reason::Default, "null is the default");
}

#[test]
fn bad_arguments_give_null_and_never_an_error() {
    let context = json!({ "text": "abc", "list": [1, "x", null], "object": { "a": 1 }, "n": 5 });
    for condition in [
        json!({ "<": ["abc", 5] }),
        json!({ "==": [{ "var": "list" }, 5] }),
        json!({ "+": ["abc", 1] }),
        json!({ "/": [1, 0] }),
        json!({ "%": [1] }),
        json!({ "max": [] }),
        json!({ "min": ["1", 2] }),
        json!({ "in": [1, 5] }),
        json!({ "substr": [5, 1] }),
        json!({ "map": [{ "var": "object" }, 1] }),
        json!({ "reduce": [[], { "var": "current" }] }),
        json!({ "starts_with": ["abc"] }),
        json!({ "ends_with": [{ "var": "n" }, "5"] }),
        json!({ "sem_ver": ["1.0.0", "=", "x"] }),
        json!({ "sem_ver": ["1.0.0", "==", "1.0.0"] }),
        json!({ "and": 5 }),
        json!({ "if": {} }),
    ] {
        assert!(met(&json!({ "===": [condition.clone(), null] }), &context), "{condition}");
    }
}

#[test]
fn a_rule_that_asks_for_too_much_work_is_stopped() {
    let list: Vec<u32> = (0..2_000).collect();
    let context = json!({ "list": list });
    let squared = json!({ "some": [{ "var": "list" }, { "<": [{ "var": "" }, 0] }] });
    assert_eq!(told(json!({ "if": [squared, "on", "off"] }), &context), "off TARGETING_MATCH");
    let bombs = [
        json!({ "reduce": [{ "var": "list" }, { "merge": [{ "var": "accumulator" }, { "var": "accumulator" }] }, [1]] }),
        json!({ "reduce": [{ "var": "list" }, { "cat": [{ "var": "accumulator" }, { "var": "accumulator" }] }, "x"] }),
        json!({ "map": [{ "var": "list" }, { "map": [[1, 2, 3], { "map": [[1, 2, 3], { "map": [[1, 2, 3],
            { "map": [[1, 2, 3], { "map": [[1, 2, 3], { "+": [{ "var": "" }, 1] }] }] }] }] }] }] }),
    ];
    for bomb in bombs {
        assert_eq!(told(json!({ "if": [bomb.clone(), "on", "off"] }), &context), "GENERAL", "{bomb}");
    }
}

#[test]
fn an_explanation_ends_where_the_evaluation_ends_and_tells_the_bucket() {
    let rule =
        json!({ "if": [{ "==": [{ "var": "country" }, "de"] }, { "fractional": [["on", 10], ["off", 90]] }, "off"] });
    let set = set(rule);
    let id = set.get("flag").unwrap();
    for country in ["de", "fr"] {
        for user in 0..50 {
            let context = json!({ "country": country, "targetingKey": format!("user-{user}") });
            let explanation = explain(&set, id, &context, NOW);
            assert_eq!(explanation.result, evaluate(&set, id, &context, NOW));
            let condition = &explanation.told[1];
            assert_eq!(condition.rule, "country == \"de\"");
            assert_eq!(condition.found, [("country".to_owned(), Some(format!("\"{country}\"")))]);
            let draw = explanation.told.iter().find_map(|told| told.draw.as_ref());
            assert_eq!(draw.is_some(), country == "de");
            if let Some(draw) = draw {
                assert_eq!((&*draw.key, draw.total), (&*format!("flaguser-{user}"), 100));
                assert!((draw.from..draw.to).contains(&draw.bucket));
            }
        }
    }
}

#[test]
fn metadata_of_a_flag_lies_over_that_of_the_set() {
    let of_set = json!({ "owner": "shop", "version": 3 }).as_object().unwrap().clone();
    let mut spec = spec("flag", None);
    spec.metadata = json!({ "owner": "payments" }).as_object().unwrap().clone();
    let set = FlagSet::new(vec![spec], &Evaluators::default(), of_set);
    assert_eq!(json!(set.flag(set.get("flag").unwrap()).metadata()), json!({ "owner": "payments", "version": 3 }));
}

#[test]
fn a_diff_tells_what_changed_and_nothing_else() {
    let old = FlagSet::new(
        vec![
            spec("same", None),
            spec("flag", Some(json!({ "if": [{ "var": "x" }, "on", "off"] }))),
            spec("gone", None),
        ],
        &Evaluators::default(),
        Map::new(),
    );
    assert_eq!(diff(&old, &old), []);
    let mut changed = spec("flag", Some(json!({ "if": [{ "var": "y" }, "on", "off"] })));
    changed.state = State::Disabled;
    changed.default = Some(0);
    changed.variants = vec![("on".to_owned(), json!(1)), ("new".to_owned(), json!("n"))];
    let new = FlagSet::new(vec![spec("same", None), changed, spec("added", None)], &Evaluators::default(), Map::new());
    let lines: Vec<String> = diff(&old, &new)
        .into_iter()
        .flat_map(|c| c.lines.into_iter().map(move |l| format!("{}: {l}", c.key)))
        .collect();
    assert_eq!(
        lines,
        [
            "flag: state: ENABLED → DISABLED",
            "flag: default: off → on",
            "flag: variant on: true → 1",
            "flag: variant new added: \"n\"",
            "flag: variant off removed: was false",
            "flag: rule.if[0].var: \"x\" → \"y\"",
            "added: added: ENABLED, default off, variants on, off",
            "gone: removed: ENABLED, default off, variants on, off",
        ]
    );
}

#[test]
fn a_definition_is_the_same_while_requests_get_the_same_whatever_the_metadata() {
    let one = |change: &dyn Fn(&mut FlagSpec)| {
        let mut spec = spec("flag", Some(json!({ "if": [{ "var": "x" }, "on", "off"] })));
        change(&mut spec);
        FlagSet::new(vec![spec], &Evaluators::default(), Map::new())
    };
    let before = one(&|_| {});
    let is_same = |after: FlagSet| {
        let id = before.get("flag").unwrap();
        has_same_definition(before.flag(id), after.flag(after.get("flag").unwrap()))
    };
    assert!(is_same(one(&|spec| spec.metadata = json!({ "owner": "shop" }).as_object().unwrap().clone())));
    assert!(!is_same(one(&|spec| spec.state = State::Disabled)));
    assert!(!is_same(one(&|spec| spec.default = None)));
    assert!(!is_same(one(&|spec| spec.variants[0].1 = json!("else"))));
    assert!(!is_same(one(&|spec| spec.targeting = Some(json!({ "if": [{ "var": "y" }, "on", "off"] })))));
}

#[test]
fn a_changed_evaluator_is_a_change_of_the_flags_that_use_it() {
    let with = |value: Value| {
        let evaluators =
            Evaluators::new([("inner".to_owned(), value), ("outer".to_owned(), json!({ "!": { "$ref": "inner" } }))]);
        let specs = vec![spec("flag", Some(json!({ "if": [{ "$ref": "outer" }, "on"] }))), spec("other", None)];
        FlagSet::new(specs, &evaluators.unwrap(), Map::new())
    };
    assert_eq!(diff(&with(json!(true)), &with(json!(true))), []);
    let changes = diff(&with(json!(true)), &with(json!(false)));
    assert_eq!(
        changes,
        [FlagChange { key: "flag".to_owned(), lines: vec!["rule: an evaluator that it uses changed".to_owned()] }]
    );
}

#[test]
fn a_rule_at_the_deepest_nesting_runs_on_a_small_stack_and_one_deeper_is_refused() {
    let nested = |depth: usize| (0..depth).fold(json!({ "var": "x" }), |inner, _| json!({ "!": [inner] }));
    let run = |rule: Value| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn(move || told(json!({ "if": [rule, "on", "off"] }), &json!({}))).unwrap().join().unwrap()
    };
    assert_eq!(run(nested(98)), "off TARGETING_MATCH");
    assert_eq!(run(nested(120)), "PARSE_ERROR");
}
