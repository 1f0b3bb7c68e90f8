//! Side by side with npm's `@openfeature/flagd-core` 4.0.1. Skipped aloud without it; required where `CI=true`.
//!
//! The package runs a rule in one of two ways, compiled (its default) or interpreted, which do not always agree; and it
//! answers an error where an argument is bad, where serin's rule is that the operator gives null. So every pair of a
//! rule and a context is asked three times (`oracle.mjs`): both ways, and the interpreter with what is listed in
//! [`MENDED`] put right. serin has to say what the default way says. Where it does not, it has to say what the mended
//! interpreter says, and one of these has to be so: the default way answers an error; the two ways contradict each
//! other; or something in [`MENDED`] mattered. Nothing else may differ.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fastrand::Rng;
use serde_json::{Value, json};
use serin::flags::{ErrorCode, Evaluators, FlagSet, FlagSpec, Reason, State, evaluate};

use crate::corpus;

const RULES: usize = 2_500;
const CONTEXTS: usize = 8;
const SEED: u64 = 4_000_001;
const NOW: u64 = 1_700_000_000;

/// What serin does otherwise on purpose.
const MENDED: [&str; 8] = [
    // The package's interpreter, into which its default way falls back for some operators, keeps the null; flagd and the
    // default way otherwise do not.
    "a default for what is null",
    // The package runs it before there is a context, and so loses what it begins with.
    "a reduce over a written list",
    // There is nothing within "" or 0, but one of the package's ways takes these themselves for what is there.
    "a path into something empty",
    // The semantics of flagd: null from it is as if there were none.
    "a bucketing expression that gives null",
    // Likewise: it is null, not a bucket.
    "a bucketing expression that gives no text",
    // The package hashes UTF-16 units, flagd the bytes of UTF-8.
    "a key outside ASCII",
    // The package looks for its logger in the item and fails.
    "an operator within an iteration",
    // An operator gives null, where the package gives up on the flag; see `orNull`.
    "bad arguments of ",
];

/// The folder with the package: where `.ci/run` installs it.
fn package() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/flagd-oracle");
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = node.is_ok_and(|status| status.success())
        && folder.join("node_modules/@openfeature/flagd-core/package.json").exists();
    assert!(there || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has no Node with flagd-core");
    if !there {
        eprintln!("SKIPPED: no Node, or no @openfeature/flagd-core in target/flagd-oracle; .ci/run installs it");
    }
    there.then_some(folder)
}

fn set_of(rule: &Value) -> FlagSet {
    let spec = FlagSpec {
        key: "flag".to_owned(),
        state: State::Enabled,
        variants: vec![("the default".to_owned(), json!(0))],
        default: Some(0),
        targeting: Some(rule.clone()),
        metadata: serde_json::Map::new(),
    };
    FlagSet::new(vec![spec], &Evaluators::default(), serde_json::Map::new())
}

/// In the oracle's words: null, `{"is": …}` or `{"error": …}`; names as far as serin's messages tell them.
fn ours(set: &FlagSet, context: &Value) -> Value {
    let id = set.get("flag").unwrap();
    match evaluate(set, id, context, NOW) {
        Ok(evaluation) if evaluation.reason == Reason::TargetingMatch => json!({ "is": evaluation.variant }),
        Ok(evaluation) => {
            assert!(evaluation.reason == Reason::Default, "{evaluation:?}");
            Value::Null
        }
        Err(error) => {
            assert_eq!(error.code, ErrorCode::General, "{error}");
            let name = error.details.strip_prefix("the rule of flag `flag` gives `");
            let name = name.and_then(|rest| rest.strip_suffix("`, which is none of its variants"));
            json!({ "is": name.unwrap_or_else(|| panic!("{error}")) })
        }
    }
}

/// The oracle's answer with its name cut as serin's messages cut it.
fn cut(answer: &Value) -> Value {
    let Some(name) = answer["is"].as_str() else { return answer.clone() };
    let more = if name.chars().nth(60).is_some() { "…" } else { "" };
    json!({ "is": format!("{}{more}", name.chars().take(60).collect::<String>()) })
}

#[test]
fn rules_come_to_what_flagd_core_says() {
    let Some(folder) = package() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flags/oracle.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node was there a moment ago");
    let mut rng = Rng::with_seed(SEED);
    let pairs: Vec<(Value, Vec<Value>)> = (0..RULES)
        .map(|_| (corpus::rule(&mut rng), (0..CONTEXTS).map(|_| corpus::context(&mut rng)).collect()))
        .collect();
    let mut input = BufWriter::new(node.stdin.take().expect("stdin is piped"));
    let output = BufReader::new(node.stdout.take().expect("stdout is piped"));
    let (mut same, mut allowed, mut different) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    std::thread::scope(|scope| {
        let pairs = &pairs;
        scope.spawn(move || {
            for (rule, contexts) in pairs {
                let line = json!({ "rule": rule, "contexts": contexts });
                writeln!(input, "{line}").expect("the oracle reads on");
            }
        });
        for ((rule, contexts), line) in pairs.iter().zip(output.lines()) {
            let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let set = set_of(rule);
            for (context, said) in contexts.iter().zip(said["answers"].as_array().unwrap()) {
                let ours = ours(&set, context);
                if ours == cut(&said["default"]) {
                    same += 1;
                } else if let Some(reason) = excuse(said).filter(|_| ours == cut(&said["reference"])) {
                    *allowed.entry(reason).or_default() += 1;
                } else {
                    different.push(format!("rule {rule}\ncontext {context}\nserin {ours}\noracle {said}"));
                }
            }
        }
    });
    assert!(node.wait().unwrap().success());
    eprintln!("{same} answers are those of the package's default way; others on purpose: {allowed:#?}");
    let shown = different.iter().take(12).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(different.is_empty(), "{} pairs differ:\n{shown}", different.len());
    assert_eq!(same + allowed.values().sum::<usize>(), RULES * CONTEXTS);
    assert!(same * 10 >= RULES * CONTEXTS * 6, "too few pairs say anything: only {same} are plainly the same");
}

/// Why the default way need not be right here.
fn excuse(said: &Value) -> Option<String> {
    let mut why = said["why"].as_array().unwrap().iter().filter_map(Value::as_str);
    let mended = why.find_map(|why| MENDED.iter().find(|known| why.starts_with(**known)));
    if said["default"]["error"].is_string() {
        return Some(format!("the package answers an error: {}", said["default"]["error"]));
    }
    if said["default"] != said["interpreted"] {
        return Some("the package's two ways contradict each other".to_owned());
    }
    mended.map(|mended| (*mended).to_owned())
}
