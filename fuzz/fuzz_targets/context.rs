//! Any JSON as a rule and a context: the first line the one, the rest the other.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use serin::flags::{Evaluators, FlagSet, FlagSpec, State, evaluate, explain};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let mut json = || serde_json::from_slice::<Value>(parts.next().unwrap_or_default()).ok();
    let (Some(rule), Some(context)) = (json(), json()) else { return };
    let spec = FlagSpec {
        key: "flag".to_owned(),
        state: State::Enabled,
        variants: vec![("on".to_owned(), Value::Bool(true)), ("off".to_owned(), Value::Bool(false))],
        default: Some(1),
        targeting: Some(rule),
        metadata: Map::new(),
    };
    let set = FlagSet::new(vec![spec], &Evaluators::default(), Map::new());
    let (id, _) = set.iter().next().expect("the set has one flag");
    let evaluated = evaluate(&set, id, &context, 1_700_000_000);
    assert_eq!(explain(&set, id, &context, 1_700_000_000).result, evaluated);
});
