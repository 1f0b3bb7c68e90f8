//! Other people's `OpenFeature` providers, from `PyPI` and npm. Skipped aloud without them; required where `CI=true`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::with_flags;

/// What the scripts beside this file expect.
const FLAGS: &str = r#"
flags:
  new-checkout: { state: ENABLED, variants: { "on": true, "off": false }, defaultVariant: "on" }
  banner: { state: ENABLED, variants: { plain: "Grüße", loud: "GRÜSSE" }, defaultVariant: plain }
  limit: { state: ENABLED, variants: { three: 3, nine: 9 }, defaultVariant: three }
  rate: { state: ENABLED, variants: { three: 3.0, half: 0.5 }, defaultVariant: three }
  theme: { state: ENABLED, variants: { dark: { color: black, sizes: [1, 2.5] } }, defaultVariant: dark, metadata: { owner: web } }
  team/limit: { state: ENABLED, variants: { four: 4 }, defaultVariant: four }
  staff: { state: ENABLED, variants: { "yes": true, "no": false }, defaultVariant: "no", targeting: { if: [ { ends_with: [ { var: email }, "@serin.example" ] }, "yes" ] } }
  retired: { state: DISABLED, variants: { a: theirs }, defaultVariant: a }
  no-default: { state: ENABLED, variants: { a: theirs }, defaultVariant: null }
  broken: { state: ENABLED, variants: { a: 1 }, defaultVariant: a, targeting: { explode: [ 1 ] } }
  unknown-variant: { state: ENABLED, variants: { a: 1 }, defaultVariant: a, targeting: { if: [ true, b ] } }
metadata: { set: test }
"#;

fn in_target(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(path)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ofrep").join(name)
}

/// `command`, where `args` show that it has what is needed.
fn having(mut command: Command, args: &[&str], what: &str) -> Option<()> {
    let tried = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let has = tried.is_ok_and(|status| status.success());
    assert!(has || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has no {what}");
    if !has {
        eprintln!("SKIPPED: no {what}; .ci/run installs it");
    }
    has.then_some(())
}

/// The Python that `.ci/run` makes.
fn python() -> Command {
    Command::new(in_target("ofrep-venv/bin/python"))
}

/// Node.js with the packages that `.ci/run` installs.
fn node() -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", in_target("ofrep-node/node_modules"));
    node
}

fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"done\n", "{}{said}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_python_provider_understands_every_answer() {
    let needed = ["-c", "import openfeature.contrib.provider.ofrep"];
    let Some(()) = having(python(), &needed, "openfeature-provider-ofrep of PyPI") else { return };
    let serin = with_flags(FLAGS);
    let mut python = python();
    python.arg(script("python_provider.py")).arg(format!("http://{}", serin.address("ofrep")));
    run(python);
}

#[test]
fn the_node_provider_understands_every_answer() {
    let needed = ["-e", "require('@openfeature/ofrep-provider')"];
    let Some(()) = having(node(), &needed, "@openfeature/ofrep-provider of npm") else { return };
    let serin = with_flags(FLAGS);
    let mut node = node();
    node.arg(script("server_provider.cjs")).arg(format!("http://{}", serin.address("ofrep")));
    run(node);
}

#[test]
fn the_web_provider_sees_changes_by_events() {
    web("sse");
}

#[test]
fn the_web_provider_sees_changes_by_polling() {
    web("polling");
}

fn web(how: &str) {
    let needed = ["-e", "require('@openfeature/ofrep-web-provider'); require('eventsource')"];
    let Some(()) = having(node(), &needed, "@openfeature/ofrep-web-provider of npm") else { return };
    let serin = with_flags(FLAGS);
    let mut node = node();
    node.arg(script("web_provider.cjs")).arg(format!("http://{}", serin.address("ofrep")));
    node.arg(serin.path("flags.yaml")).arg(how);
    run(node);
}
