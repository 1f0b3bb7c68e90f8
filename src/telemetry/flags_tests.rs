use serde_json::{Map, Value, json};

use super::*;
use crate::flags::{ErrorCode, Evaluators, FlagSpec, State};
use crate::telemetry::{Registry, exposition};

fn flag(key: &str, variants: &[&str]) -> FlagSpec {
    FlagSpec {
        key: key.to_owned(),
        state: State::Enabled,
        variants: variants.iter().map(|name| ((*name).to_owned(), json!(true))).collect(),
        default: None,
        targeting: None,
        metadata: Map::new(),
    }
}

fn set(flags: Vec<FlagSpec>) -> Arc<FlagSet> {
    Arc::new(FlagSet::new(flags, &Evaluators::default(), Map::new()))
}

/// What [`FlagCells::evaluated`] takes.
type Outcome = Result<Evaluation<'static>, EvaluationError>;

#[allow(clippy::unnecessary_wraps, reason = "it is what is counted")]
fn result(index: Option<usize>, reason: Reason) -> Outcome {
    Ok(Evaluation { index, variant: None, value: None::<&Value>, reason })
}

#[allow(clippy::unnecessary_wraps, reason = "it is what is counted")]
fn error() -> Outcome {
    Err(EvaluationError { code: ErrorCode::General, details: String::new() })
}

fn count(registry: &Registry, flag: &str, variant: &str, because: Because) -> u64 {
    let counts = registry.flag_counts();
    let found = counts.iter().find(|c| &*c.flag == flag && &*c.variant == variant && c.because == because);
    found.map_or(0, |found| found.count)
}

#[test]
fn evaluations_of_all_threads_are_added_up() {
    let registry = Registry::new(2);
    let flags = set(vec![flag("a", &["on", "off"]), flag("b", &[])]);
    let (a, b) = (flags.get("a").unwrap(), flags.get("b").unwrap());
    for cells in [registry.flag_cells(0, &flags), registry.flag_cells(1, &flags), registry.ofrep_flag_cells(&flags)] {
        cells.evaluated(a, &result(Some(1), Reason::TargetingMatch));
        cells.evaluated(b, &error());
    }
    registry.flag_cells(0, &flags).evaluated(a, &result(None, Reason::Disabled));
    assert_eq!(count(&registry, "a", "off", Because::TargetingMatch), 3);
    assert_eq!(count(&registry, "a", "", Because::Disabled), 1);
    assert_eq!(count(&registry, "b", "", Because::Error), 3);
    assert_eq!(registry.flag_counts().len(), 3, "nothing that never happened");
}

#[test]
fn counts_survive_other_flags_and_other_variants() {
    let registry = Registry::new(1);
    let before = set(vec![flag("a", &["on", "off"])]);
    registry.flag_cells(0, &before).evaluated(before.get("a").unwrap(), &result(Some(1), Reason::Static));
    let between = set(vec![flag("x", &[])]);
    registry.flag_cells(0, &between).evaluated(between.get("x").unwrap(), &error());
    assert_eq!(count(&registry, "a", "off", Because::Static), 1, "it does not go backwards");
    // The same names at other places.
    let after = set(vec![flag("x", &[]), flag("a", &["new", "off", "on"])]);
    registry.flag_cells(0, &after).evaluated(after.get("a").unwrap(), &result(Some(1), Reason::Static));
    assert_eq!(count(&registry, "a", "off", Because::Static), 2);
}

#[test]
fn the_number_of_series_is_bounded() {
    let registry = Registry::new(1);
    let keys = |from: usize| (from..from + 1_500).map(|n| flag(&format!("flag-{n}"), &["on"])).collect::<Vec<_>>();
    for from in [0, 1_500, 3_000] {
        let flags = set(keys(from));
        let cells = registry.flag_cells(0, &flags);
        flags.iter().for_each(|(id, _)| cells.evaluated(id, &result(Some(0), Reason::Static)));
    }
    let counts = registry.flag_counts();
    assert_eq!(counts.len(), MAX_FLAGS + 1);
    assert_eq!(count(&registry, OTHER, OTHER, Because::Static), 4_500 - MAX_FLAGS as u64);
    let names: Vec<String> = (0..100).map(|n| format!("v{n}")).collect();
    let many = set(vec![flag("flag-0", &names.iter().map(String::as_str).collect::<Vec<_>>())]);
    let cells = registry.flag_cells(0, &many);
    (0..100).for_each(|n| cells.evaluated(many.get("flag-0").unwrap(), &result(Some(n), Reason::Static)));
    let of_flag = registry.flag_counts().into_iter().filter(|count| &*count.flag == "flag-0");
    assert!(of_flag.count() <= MAX_VARIANTS + 1);
    // "on" and "" were known before.
    assert_eq!(count(&registry, "flag-0", OTHER, Because::Static), 100 - (MAX_VARIANTS as u64 - 2));
}

#[test]
fn counters_are_resolved_once_for_a_set() {
    let registry = Registry::new(1);
    let flags = set(vec![flag("a", &["on"])]);
    assert!(Arc::ptr_eq(&registry.flag_cells(0, &flags), &registry.flag_cells(0, &flags)));
}

#[test]
fn they_are_exported_with_their_labels() {
    let registry = Registry::new(1);
    let flags = set(vec![flag("new \"checkout\"", &["on"])]);
    let cells = registry.flag_cells(0, &flags);
    cells.evaluated(flags.get("new \"checkout\"").unwrap(), &result(Some(0), Reason::TargetingMatch));
    let text = exposition::text(&registry);
    let line = r#"serin_flag_evaluations_total{flag="new \"checkout\"",variant="on",reason="TARGETING_MATCH"} 1"#;
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("serin_ofrep"), "there is no flag API");
    registry.ofrep().answered(crate::telemetry::OfrepKind::Bulk, 304);
    registry.ofrep().answered(crate::telemetry::OfrepKind::Bulk, 599);
    let text = exposition::text(&registry);
    assert!(text.contains(r#"serin_ofrep_requests_total{kind="bulk",code="304"} 1"#), "{text}");
    assert!(text.contains(r#"serin_ofrep_requests_total{kind="bulk",code="500"} 1"#), "{text}");
}
