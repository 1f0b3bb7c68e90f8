use serde_json::{Map, json};

use super::*;
use crate::config::{Source, load};
use crate::flags::{Evaluators, FlagSpec, NoContext, State};

/// A plan of three versions with these flags, `more` of the service and `route` of its one route.
fn plan(flags: Vec<FlagSpec>, more: &str, route: &str, kill: &str) -> Plan {
    let text = format!(
        "listeners: [{{ address: 127.0.0.1:0 }}]\nservices:\n  shop:\n    versions: {{ old: {{ upstream: http://x }}, mid: \
         {{ upstream: http://y }}, new: {{ upstream: http://z{kill} }} }}\n    weights: {{ old: 50, mid: 30, new: 20 }}\n\
         {more}\nroutes: [{{ service: shop{route} }}]\n"
    );
    let loaded = load(Source { name: "serin.yaml", text: &text }, None).unwrap_or_else(|errors| panic!("{errors}"));
    Plan { flags: Arc::new(FlagSet::new(flags, &Evaluators::default(), Map::new())), ..loaded.plan }
}

fn flag(key: &str, variants: &[(&str, Value)], default: Option<usize>) -> FlagSpec {
    FlagSpec {
        key: key.to_owned(),
        state: State::Enabled,
        variants: variants.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        default,
        targeting: None,
        metadata: Map::new(),
    }
}

/// The answers of the plan's only route, and how many evaluations that took.
fn ask(plan: &Plan) -> Option<(Arc<Attached>, Answers, usize)> {
    let steering = Steering::new(plan);
    let attached = Arc::clone(steering.of_route(0)?);
    let mut evaluations = 0;
    let mut answers = attached.ask_steering(&NoContext, 0, &mut |_, _| evaluations += 1);
    attached.ask_others(&mut answers, &NoContext, 0, &mut |_, _| evaluations += 1);
    Some((attached, answers, evaluations))
}

fn told(attached: &Attached, answers: &Answers) -> Vec<String> {
    let mut headers = HeaderMap::new();
    attached.tell(answers, &mut headers);
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

#[test]
fn a_flag_with_many_uses_is_asked_once_and_all_of_them_agree() {
    let variants = [("mid", json!("the middle")), ("new", json!("the new one"))];
    let plan = plan(
        vec![flag("version", &variants, Some(1)), flag("off", &[("on", json!(true))], Some(0))],
        "    versionFrom: { flag: version }\n    measureBy: version",
        ", flags: [version, off]",
        ", killSwitch: { flag: off }",
    );
    let (attached, answers, evaluations) = ask(&plan).unwrap();
    assert_eq!(evaluations, 2);
    let service = &plan.services[0];
    assert_eq!(attached.version(&answers), service.version_named("new"));
    assert_eq!(attached.alive(&answers), VersionSet::ALL.without(service.version_named("new").unwrap()));
    assert_eq!(attached.measured(&answers), Some(MeasuredBy(Some(1))));
    assert_eq!(told(&attached, &answers), ["x-serin-flag-version: the new one", "x-serin-flag-off: true"]);
    assert!(!attached.has_rules());
}

#[test]
fn flags_without_a_value_are_not_sent_and_decide_nothing() {
    let mut disabled = flag("disabled", &[("new", json!(true))], Some(0));
    disabled.state = State::Disabled;
    let mut broken = flag("broken", &[("new", json!(true))], Some(0));
    broken.targeting = Some(json!({ "no-such-operator": [] }));
    let nothing = flag("nothing", &[("new", json!(true))], None);
    let plan = plan(
        vec![disabled, broken, nothing],
        "    versionFrom: { flag: broken }\n    measureBy: nothing",
        ", flags: [disabled, broken, nothing, missing]",
        ", killSwitch: { flag: disabled }",
    );
    let (attached, answers, evaluations) = ask(&plan).unwrap();
    assert_eq!(evaluations, 3);
    assert_eq!(told(&attached, &answers), [""; 0]);
    assert_eq!(attached.version(&answers), None);
    assert_eq!(attached.alive(&answers), VersionSet::ALL);
    assert_eq!(attached.measured(&answers), Some(MeasuredBy(None)));
}

#[test]
fn a_version_is_named_by_the_variant_or_else_by_its_value() {
    for (variants, expected) in [
        ([("new", json!("old")), ("x", json!(1))], Some("new")),
        ([("treatment", json!("new")), ("x", json!(1))], Some("new")),
        ([("treatment", json!("newest")), ("x", json!(1))], None),
        ([("treatment", json!({ "version": "new" })), ("x", json!(1))], None),
    ] {
        let plan = plan(vec![flag("f", &variants, Some(0))], "    versionFrom: { flag: f }", "", "");
        let (attached, answers, _) = ask(&plan).unwrap();
        let service = &plan.services[0];
        assert_eq!(attached.version(&answers), expected.and_then(|name| service.version_named(name)), "{variants:?}");
    }
}

#[test]
fn a_route_without_flags_costs_nothing() {
    assert!(ask(&plan(vec![flag("f", &[("a", json!(1))], Some(0))], "", "", "")).is_none());
    assert!(ask(&plan(Vec::new(), "    versionFrom: { flag: f }", ", flags: [f]", "")).is_none(), "no such flag");
}

#[test]
fn a_kill_switch_moves_those_of_its_version_and_nobody_else() {
    let plan = plan(Vec::new(), "", "", "");
    let split = &plan.services[0].split;
    let new = VersionId::from_index(2);
    let alive = VersionSet::ALL.without(new);
    let mut moved = 0;
    for user in 0..5_000 {
        let key = format!("user-{user}");
        let before = weigh(split, Lot::Key(key.as_bytes()), VersionSet::ALL, VersionSet::ALL);
        assert_eq!(before, split.pick_key(key.as_bytes()));
        let after = weigh(split, Lot::Key(key.as_bytes()), VersionSet::ALL, alive);
        assert_ne!(after, new);
        if before == new {
            moved += 1;
        } else {
            assert_eq!(before, after, "{key}");
        }
        let draw = user * (u64::MAX / 5_000);
        assert_ne!(weigh(split, Lot::Draw(draw), VersionSet::ALL, alive), new);
    }
    assert!((800..1_200).contains(&moved), "{moved} of 5,000 at 20 %");
}

#[test]
fn a_version_that_is_killed_gets_nothing_whatever_state_the_others_are_in() {
    let plan = plan(Vec::new(), "", "", "");
    let weights = |weights: [f64; 3]| {
        let weights = weights.map(|weight| crate::plan::Weight::from_f64(weight).unwrap());
        plan.services[0].split.with_weights(weights.into()).unwrap()
    };
    let [old, mid, new] = [0, 1, 2].map(VersionId::from_index);
    let all = VersionSet::ALL;
    let all_new = weights([0.0, 0.0, 1.0]);
    let pick = |split: &Split, up, alive| {
        let by_key = weigh(split, Lot::Key(b"user"), up, alive);
        assert_eq!(weigh(split, Lot::Draw(7), up, alive), by_key);
        by_key
    };
    assert_eq!(pick(&all_new, all, all.without(new)), old, "the oldest, where the others have no weight");
    assert_eq!(pick(&all_new, all, all.without(new).without(old)), mid);
    assert_eq!(
        pick(&all_new, all, all.without(new).without(old).without(mid)),
        old,
        "the oldest, where all are killed"
    );
    let both = weights([0.0, 1.0, 1.0]);
    assert_eq!(pick(&both, all.without(mid), all.without(new)), mid, "one that is down before one that is killed");
    assert_eq!(pick(&both, all.without(mid), all), new);
}
