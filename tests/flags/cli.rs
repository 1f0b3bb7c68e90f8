//! `serin flags` and `serin check --flags`, as people type them.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::serin::command;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/flags.yaml")
}

fn flags(args: &[&str]) -> Output {
    let example = example();
    let example = example.to_str().unwrap();
    command(&[&["flags"], args, &["--flags", example]].concat())
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complaint(output: &Output) -> String {
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_example_is_valid_and_listed() {
    let checked = command(&["check", "--flags", example().to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(out(&checked).ends_with("config/flags.yaml: valid: 4 flags\n"));
    let listed = out(&flags(&["list"]));
    let columns: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(columns[0], ["FLAG", "STATE", "TYPE", "DEFAULT", "VARIANTS", "RULE", "CHANGED"]);
    assert_eq!(columns[1], ["banner", "ENABLED", "boolean", "off", "on,off", "no", "unknown"]);
    assert_eq!(columns[3], ["checkout-version", "ENABLED", "string", "none", "old,new", "yes", "unknown"]);
    let json: Value = serde_json::from_str(&out(&flags(&["list", "--json"]))).unwrap();
    assert_eq!(json["flags"][1]["key"], "new-checkout");
    assert_eq!(json["flags"][1]["metadata"]["flagSetId"], "shop");
}

#[test]
fn an_evaluation_says_value_variant_and_reason() {
    let context = r#"{"targetingKey":"user-7","email":"ann@shop.example"}"#;
    let told = out(&flags(&["eval", "new-checkout", "--context", context]));
    assert_eq!(told, "flag     new-checkout\nvalue    true\nvariant  on\nreason   TARGETING_MATCH\n");
    let told: Value = serde_json::from_str(&out(&flags(&["eval", "theme", "--json"]))).unwrap();
    assert_eq!((&told["variant"], &told["value"]["radius"]), (&"light".into(), &4.into()));
    let none: Value = serde_json::from_str(&out(&flags(&["eval", "checkout-version", "--json"]))).unwrap();
    assert_eq!((&none["reason"], none.get("value"), none.get("variant")), (&"DEFAULT".into(), None, None));
}

#[test]
fn an_explanation_says_which_condition_and_which_bucket() {
    let told = out(&flags(&["eval", "new-checkout", "--context", r#"{"targetingKey":"user-7"}"#, "--explain"]));
    for line in [
        "no condition is met: else",
        "ends_with(email, \"@shop.example\")  is null",
        "email is not in the context",
        "bucketing key \"new-checkoutuser-7\", hash 0xe649bef9: bucket 89 of 100",
        "\"off\" has the buckets 10 to 99",
        "the rule gives the variant off",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    let told = out(&flags(&["eval", "banner", "--explain"]));
    assert!(told.contains("why: the flag has no rule: everybody gets the default variant"), "{told}");
}

#[test]
fn the_configuration_names_the_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("serin.yaml");
    std::fs::copy(example(), folder.path().join("my-flags.yaml")).unwrap();
    let eval = || command(&["flags", "eval", "banner", "--json", "--config", config.to_str().unwrap()]);
    let service = "services: { a: { versions: { x: { upstream: http://127.0.0.1:1 } } } }\nroutes: [{ service: a }]\n";
    let listener = "listeners: [{ address: 127.0.0.1:8080 }]\n";
    std::fs::write(&config, format!("{listener}files: {{ flags: my-flags.yaml }}\n{service}")).unwrap();
    let told: Value = serde_json::from_str(&out(&eval())).unwrap();
    assert_eq!(told["value"], false);
    std::fs::write(&config, format!("{listener}{service}")).unwrap();
    assert!(complaint(&eval()).contains("names no flag file"));
}

#[test]
fn mistakes_are_told_with_exit_code_two() {
    assert!(
        complaint(&flags(&["eval", "banne"])).contains("there is no flag `banne`; the file has: banner, new-checkout")
    );
    assert!(complaint(&flags(&["eval", "banner", "--context", "[1]"])).contains("the context is no JSON object"));
    assert!(complaint(&flags(&["eval", "banner", "--context", "{x"])).contains("the context is no JSON"));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(complaint(&flags(&["eval", "banner", "--context", &deep])).contains("recursion limit"));
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("context.json");
    std::fs::write(&large, format!("{{\"a\":\"{}\"}}", "x".repeat(10_000_000))).unwrap();
    let at = format!("@{}", large.display());
    assert!(complaint(&flags(&["eval", "banner", "--context", &at])).contains("at most 10000000 bytes"));
    assert!(complaint(&command(&["flags", "list", "--flags", "/nowhere/flags.yaml"])).contains("cannot be read"));
}
