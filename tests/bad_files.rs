//! Every bad file under `tests/bad` is refused with exactly the message beside it.
//!
//! Files named `weights-*.yaml` are weight files for [`SERIN`], `tokens-*.yaml` tokens files, those named `flags-*.yaml`
//! flag files, for which also what is only warned of is said; all others are a `serin.yaml`. After a deliberate change
//! of a message, `SERIN_BLESS=1 cargo test --test bad_files` writes the messages anew: read each of them as an operator
//! would before it is committed.

use std::fs;
use std::path::{Path, PathBuf};

use serin::config::{self, Source};

/// What the weight files under `tests/bad` are for.
const SERIN: &str = "\
listeners: [{ address: 127.0.0.1:8080 }]
services:
  checkout: { versions: { old: { upstream: http://127.0.0.1:9001 }, new: { upstream: http://127.0.0.1:9002 } } }
  search: { versions: { v1: { upstream: http://127.0.0.1:9003 } } }
  orders:
    versions: { old: { upstream: http://127.0.0.1:9004 }, new: { upstream: http://127.0.0.1:9005 } }
    migration: { from: old, to: new, key: [{ pathSegment: 2 }] }
routes: [{ service: checkout }, { service: search }, { service: orders }]
";

fn bad_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// The whole message about a file, or "valid".
fn message(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = fs::read(path).unwrap();
    if name.starts_with("flags-") {
        return flags_message(name, &bytes);
    }
    let loaded = config::text(name, &bytes).and_then(|text| {
        let bad = Source { name, text };
        if name.starts_with("weights-") {
            config::load(Source { name: "serin.yaml", text: SERIN }, Some(bad)).map(drop)
        } else if name.starts_with("tokens-") {
            config::tokens(bad).map(drop)
        } else {
            config::load(bad, None).map(drop)
        }
    });
    loaded.map_or_else(|errors| errors.to_string(), |()| "valid".to_owned())
}

fn flags_message(name: &str, bytes: &[u8]) -> String {
    match config::text(name, bytes).and_then(|text| config::flags(Source { name, text })) {
        Err(errors) => errors.to_string(),
        Ok(flags) if flags.warnings.is_empty() => "valid".to_owned(),
        Ok(flags) => flags
            .warnings
            .iter()
            .flat_map(|warning| ["warning: ".to_owned(), warning.to_string(), "\n".to_owned()])
            .collect(),
    }
}

#[test]
fn every_bad_file_is_refused_with_its_message() {
    let files = bad_files();
    assert!(files.len() >= 30, "only {} bad files found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let (message, beside) = (message(&file) + "\n", file.with_extension("txt"));
        assert_ne!(message, "valid\n", "{} is not refused", file.display());
        if std::env::var_os("SERIN_BLESS").is_some() {
            fs::write(&beside, &message).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if message != expected {
            wrong.push(format!("=== {}\n--- expected\n{expected}--- is\n{message}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_configuration_that_the_bad_weight_files_are_for_is_valid() {
    let loaded = config::load(Source { name: "serin.yaml", text: SERIN }, None).unwrap();
    assert_eq!(loaded.plan.services.len(), 3);
}
