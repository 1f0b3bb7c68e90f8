//! The programs of the venv that `.ci/run` makes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The folder of these tests.
pub(crate) fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi").join(name)
}

/// A program of the venv; `None`, said aloud, where it is not installed.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis-venv/bin").join(name);
    let there = path.exists();
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "CI needs {}: .ci/run makes it", path.display());
    if !there {
        eprintln!("SKIPPED: {} is not there; .ci/run installs schemathesis and openapi-spec-validator", path.display());
    }
    there.then_some(path)
}

/// Tries all that `document` describes at `address`: every check, every phase, so many examples of each operation.
///
/// `SERIN_SCHEMATHESIS_SEED` and `SERIN_SCHEMATHESIS_EXAMPLES` take the place of `seed` and `examples`, for longer runs by
/// hand.
pub(crate) fn schemathesis(
    command: &Path,
    document: &Value,
    address: SocketAddr,
    seed: u32,
    examples: u32,
    more: &[&str],
) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("the document");
    let of = |name: &str, given: u32| std::env::var(name).unwrap_or_else(|_| given.to_string());
    let done = Command::new(command)
        .arg("--config-file")
        .arg(here("schemathesis.toml"))
        .arg("run")
        .arg(&file)
        .args(["--url", &format!("http://{address}"), "--checks", "all"])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--no-color"])
        .args(["--seed", &of("SERIN_SCHEMATHESIS_SEED", seed)])
        .args(["--max-examples", &of("SERIN_SCHEMATHESIS_EXAMPLES", examples)])
        .args(["--generation-database", "none", "--warnings", "off", "--request-timeout", "10"])
        // The next event is told when something happens, which may be never; tests/events.rs reads the stream. Of the other
        // one, which tells of the state at once, one event is read (schemathesis.toml).
        .args(["--exclude-operation-id", "followEvents"])
        .args(more)
        .current_dir(folder.path())
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::null())
        .output()
        .expect("schemathesis starts");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("No issues found"), "{said}");
}
