//! `serin judge` from the outside.

use std::fmt::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// So many latencies, spread evenly from 10 to 30 ms times `factor`; every `fails`-th failed.
fn result(n: usize, factor: f64, fails: usize) -> String {
    (0..n).fold(String::new(), |mut text, i| {
        let milliseconds = (10.0 + 20.0 * (i * 7919 % n) as f64 / n as f64) * factor;
        let _ = writeln!(text, "{milliseconds:.4}{}", if (i + 1).is_multiple_of(fails) { ",fail" } else { "" });
        text
    })
}

fn judged(old: &str, new: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("old.txt", old), ("new.txt", new)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command.current_dir(folder.path()).args(["judge", "--old", "old.txt", "--new", "new.txt"]).args(more);
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn two_results_alike_are_healthy_and_one_twice_as_slow_is_regressed() {
    let old = result(20_000, 1.0, 2000);
    let healthy = json(&judged(&old, &result(20_000, 1.01, 2000), &["--json"]));
    assert_eq!(healthy["verdict"], "healthy", "{healthy}");
    let regressed = json(&judged(&old, &result(5000, 2.0, 5000), &["--json"]));
    assert_eq!(regressed["verdict"], "regressed");
    let names: Vec<_> =
        regressed["metrics"].as_array().expect("metrics").iter().map(|m| m["metric"].as_str()).collect();
    assert_eq!(names, [Some("failures"), Some("p50"), Some("p99")]);
    for arm in ["old", "new"] {
        let p50 = &regressed["metrics"][1][arm];
        let [estimate, low, high] = ["estimate", "low", "high"].map(|key| p50[key].as_f64().expect(key));
        assert!(low <= estimate && estimate <= high, "{p50}");
    }
    assert_eq!(regressed["metrics"][1]["new"]["n"], 5000);
    assert_eq!(regressed["inputs"]["new"]["precision"], "eachRequest");
}

#[test]
fn the_same_results_give_the_same_words() {
    let (old, new) = (result(3000, 1.0, 500), result(3000, 1.1, 400));
    assert_eq!(judged(&old, &new, &[]).stdout, judged(&old, &new, &[]).stdout);
}

#[test]
fn the_table_has_a_row_for_each_gate_and_the_sentence() {
    let output =
        judged(&result(2000, 1.0, 9999), &result(50, 1.0, 9999), &["--latency", "0.9:1.1", "--latency", "0.999:2:5ms"]);
    let text = String::from_utf8(output.stdout).expect("text");
    for words in
        ["old.txt: 2000 requests", "failures", "p90 ", "p99.9 ", "inconclusive: ", "what could be all the same: "]
    {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    assert!(!text.contains("p50"), "{text}");
}

#[test]
fn the_exit_code_is_the_verdicts_only_where_that_is_asked_for() {
    let (old, new) = (result(5000, 1.0, 5000), result(5000, 3.0, 5000));
    assert_eq!(judged(&old, &new, &[]).status.code(), Some(0));
    assert_eq!(judged(&old, &new, &["--exit-code"]).status.code(), Some(1));
    assert_eq!(judged(&old, &old, &["--exit-code"]).status.code(), Some(0));
}

#[test]
fn what_cannot_be_read_is_told_for_both_files_with_its_place() {
    let output = judged("1\n2\nx\n", "5,bad\n", &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("old.txt:3:1: found \"x\"; expected milliseconds"), "{said}");
    assert!(said.contains("new.txt:1:3: found \"bad\"; expected `fail`"), "{said}");
}

#[test]
fn gates_that_are_none_are_bad_usage() {
    for more in [["--latency", "1.5:2"], ["--alpha", "0"], ["--max-increase", "2"]] {
        let output = judged("1\n", "1\n", &more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("expected"), "{more:?}");
    }
}
