//! The command line: what it says and how it ends.

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::client::{Raw, get};
use support::load::{WITH_WEIGHTS, ask, await_metric, said, shop};
use support::serin::{Serin, binary, command};
use support::upstream::Upstream;

const VALID: &str = "\
listeners: [ { name: web, address: 127.0.0.1:0 } ]
files: { weights: weights.yaml }
services:
  shop:
    versions: { old: { upstream: \"http://127.0.0.1:1\" }, new: { upstream: \"http://127.0.0.1:2\" } }
routes: [ { service: shop } ]
";

fn folder(serin: &str, weights: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("serin.yaml"), serin).expect("a file");
    std::fs::write(folder.path().join("weights.yaml"), weights).expect("a file");
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

fn start(upstreams: &[Upstream; 2]) -> Serin {
    let text = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], "", WITH_WEIGHTS);
    Serin::with_files(&text, &[("weights.yaml", "shop: { old: 3, new: 1 }\n")])
}

#[test]
fn check_says_that_files_are_valid_and_binds_nothing() {
    let upstreams = two();
    let serin = start(&upstreams);
    // The very file that is in use, with its port taken.
    let taken = folder(&VALID.replace("127.0.0.1:0", &serin.web().to_string()), "shop: { old: 1 }\n");
    let checked = command(&["check", "--config", &path(&taken, "serin.yaml")]);
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    assert!(out(&checked).contains("weights.yaml: valid"), "{}", out(&checked));
    let alone = command(&["check", "--weights", &path(&taken, "weights.yaml")]);
    assert_eq!(alone.status.code(), Some(0), "{}", err(&alone));
}

#[test]
fn check_names_every_error_with_its_place() {
    let folder = folder(&VALID.replace("routes:", "rotues:"), "shop: { old: -1, nwe: 2 }\n");
    let checked = command(&["check", "--config", &path(&folder, "serin.yaml")]);
    assert_eq!(checked.status.code(), Some(2));
    let said = err(&checked);
    let (serin, weights) = (path(&folder, "serin.yaml"), path(&folder, "weights.yaml"));
    for place in
        [format!("{serin}:6:1: rotues"), format!("{weights}:1:14: shop.old"), format!("{weights}:1:18: shop.nwe")]
    {
        assert!(said.contains(&place), "no {place} in\n{said}");
    }
    let missing = command(&["check", "--config", "/nonexistent/serin.yaml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("/nonexistent/serin.yaml"), "{}", err(&missing));
}

#[test]
fn the_schema_is_json() {
    let schema = command(&["schema"]);
    assert_eq!(schema.status.code(), Some(0));
    let schema: Value = serde_json::from_slice(&schema.stdout).expect("JSON");
    assert!(schema["properties"]["services"].is_object());
    // Whoever has seen enough may leave.
    let mut child =
        Command::new(binary()).arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
}

#[test]
fn status_prints_a_table_or_json() {
    let upstreams = two();
    let serin = start(&upstreams);
    let mut connection = Raw::connect(serin.web());
    for user in 0..20 {
        ask(&mut connection, &format!("x-user-id: {user}\r\n"));
    }
    await_metric(&serin, "serin_requests_total", &[], 20.0);
    let admin = serin.admin_url();
    let table = command(&["status", "--admin", &admin]);
    assert_eq!(table.status.code(), Some(0), "{}", err(&table));
    let table = out(&table);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["shop", "share", "req/s", "p50", "p90", "p99", "p99.9", "fail/s"], "{table}");
    assert_eq!(rows[1][..2], ["old", "75.0%"], "{table}");
    assert_eq!(rows[2][..2], ["new", "25.0%"], "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let of_one = out(&command(&["status", "shop", "--admin", &admin]));
    let below = of_one.lines().nth(3).unwrap_or_default().trim_start();
    assert!(below.starts_with("new beside old: "), "{of_one}");
    let json = command(&["status", "--json", "--admin", &admin]);
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let requests = json["services"][0]["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|v| v["requests"].as_u64().expect("a count"));
    assert_eq!(requests.sum::<u64>(), 20);
    let unknown = command(&["status", "ship", "--admin", &admin]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(err(&unknown).contains("no service `ship`") && err(&unknown).contains("shop"), "{}", err(&unknown));
}

#[test]
fn set_changes_the_weights() {
    let upstreams = two();
    let serin = start(&upstreams);
    let admin = serin.admin_url();
    let set = command(&["set", "shop", "old=1", "new=4", "--reason", "a test", "--admin", &admin]);
    assert_eq!(set.status.code(), Some(0), "{}", err(&set));
    assert!(out(&set).contains("80.0%"), "{}", out(&set));
    serin.await_share("shop", "new", 0.8);
    let text = said(&serin, "weights changed");
    assert!(text.contains("a test"), "{text}");
}

#[test]
fn set_refuses_what_is_half_said_or_makes_no_sense() {
    let upstreams = two();
    let serin = start(&upstreams);
    let admin = serin.admin_url();
    let cases: [(&[&str], i32, &str); 9] = [
        (&["shop", "new=5", "--reason", "r"], 1, "missing: old"),
        (&["shop", "old=1", "new=5"], 2, "--reason"),
        (&["shop", "--reason", "r"], 2, "VERSION=WEIGHT"),
        (&["shop", "old", "new=5", "--reason", "r"], 2, "`old`: expected VERSION=WEIGHT"),
        (&["shop", "old=1", "old=2", "new=5", "--reason", "r"], 2, "more than one weight"),
        (&["shop", "old=1", "new=NaN", "--reason", "r"], 2, "`new=NaN`"),
        (&["shop", "old=1", "new=-1", "--reason", "r"], 1, "-1"),
        (&["shop", "old=0", "new=0", "--reason", "r"], 1, "sum to 0"),
        (&["ship", "old=1", "--reason", "r"], 1, "ship"),
    ];
    for (arguments, code, words) in cases {
        let arguments: Vec<_> = ["set", "--admin", &admin].into_iter().chain(arguments.iter().copied()).collect();
        let set = command(&arguments);
        assert_eq!(set.status.code(), Some(code), "{arguments:?}: {}", err(&set));
        assert!(err(&set).contains(words), "{arguments:?}: {}", err(&set));
    }
    serin.await_share("shop", "new", 0.25);
}

#[test]
fn an_admin_address_that_does_not_answer_is_named() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let url = format!("http://{gone}");
    for arguments in [&["status", "--admin", &url][..], &["set", "shop", "old=1", "--reason", "r", "--admin", &url]] {
        let output = command(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(&url), "{}", err(&output));
    }
    let wrong = command(&["status", "--admin", "ftp://x"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("--admin ftp://x"), "{}", err(&wrong));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("its address"));
    std::thread::spawn(move || drop(silent.accept()));
    assert_eq!(command(&["status", "--admin", &url]).status.code(), Some(1), "one that hangs up");
}

#[test]
fn pick_answers_from_arguments_and_from_standard_input() {
    let folder = folder(VALID, "shop: { old: 1, new: 1 }\n");
    let config = path(&folder, "serin.yaml");
    let keys = ["alice", "bob", "carol", "dave", "erin", "frank"];
    let mut arguments = vec!["pick", "shop", "--config", &config];
    for key in keys {
        arguments.extend(["--key", key]);
    }
    let by_key = command(&arguments);
    assert_eq!(by_key.status.code(), Some(0), "{}", err(&by_key));
    let many = [&["pick", "shop", "--config", &config, "--key"][..], &keys[..]].concat();
    assert_eq!(out(&command(&many)), out(&by_key), "many after one --key");
    let lines: Vec<_> = out(&by_key).lines().map(ToOwned::to_owned).collect();
    for (line, key) in lines.iter().zip(keys) {
        assert!([format!("{key} old"), format!("{key} new")].contains(line), "{line}");
    }
    let mut child = Command::new(binary())
        .args(["pick", "shop", "--stdin", "--config", &config])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("stdin").write_all(keys.join("\n").as_bytes()).expect("it reads");
    assert_eq!(out(&child.wait_with_output().expect("it ends")), out(&by_key));
    // The file of weights that is named wins.
    let other = folder.path().join("all-new.yaml");
    std::fs::write(&other, "shop: { new: 1 }\n").expect("a file");
    let arguments = ["pick", "shop", "--key", "alice", "--config", &config, "--weights", &other.display().to_string()];
    assert_eq!(out(&command(&arguments)), "alice new\n");
}

#[test]
fn pick_refuses_what_it_cannot_know() {
    let folder = folder(VALID, "shop: { old: 1, new: 1 }\n");
    let config = path(&folder, "serin.yaml");
    let unknown = command(&["pick", "ship", "--key", "a", "--config", &config]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("ship") && err(&unknown).contains("shop"), "{}", err(&unknown));
    assert_eq!(command(&["pick", "shop", "--config", &config]).status.code(), Some(2), "no key at all");
    std::fs::write(folder.path().join("weights.yaml"), "shop: { old: x }\n").expect("a file");
    let broken = command(&["pick", "shop", "--key", "a", "--config", &config]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(err(&broken).contains("weights.yaml:1:"), "{}", err(&broken));
}

#[test]
fn bad_usage_is_exit_code_2() {
    for arguments in [&[][..], &["runn"], &["run", "--confg", "x"], &["status", "--log-format", "xml"]] {
        assert_eq!(command(arguments).status.code(), Some(2), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        assert_eq!(command(arguments).status.code(), Some(0), "{arguments:?}");
    }
}

/// Runs `serin run` on a file that it cannot run with, to its end.
fn run(config: &Path) -> Output {
    command(&["run", "--config", &config.display().to_string()])
}

#[test]
fn run_without_its_files_or_with_broken_ones_is_exit_code_2() {
    let missing = run(Path::new("/nonexistent/serin.yaml"));
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("/nonexistent/serin.yaml"), "{}", err(&missing));
    let no_weights = folder(VALID, "");
    std::fs::remove_file(no_weights.path().join("weights.yaml")).expect("a removal");
    let output = run(&no_weights.path().join("serin.yaml"));
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("weights.yaml: cannot be read"), "{}", err(&output));
    let broken = folder(VALID, "shop: { old: -1 }\n");
    let output = run(&broken.path().join("serin.yaml"));
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("weights.yaml:1:14"), "{}", err(&output));
    assert_eq!(out(&output), "");
}

#[test]
fn run_with_an_address_in_use_says_which() {
    let upstreams = two();
    let serin = start(&upstreams);
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    // By a program of any kind, by another serin (which would share the port by SO_REUSEPORT), and the admin address.
    let taken = [other.local_addr().expect("its address"), serin.web(), serin.admin()];
    for address in taken {
        let listener = folder(&VALID.replace("127.0.0.1:0", &address.to_string()), "shop: { old: 1 }\n");
        let admin = folder(&format!("{VALID}admin: {{ address: \"{address}\" }}\n"), "shop: { old: 1 }\n");
        for folder in [listener, admin] {
            let output = run(&folder.path().join("serin.yaml"));
            assert_eq!(output.status.code(), Some(1), "{}", err(&output));
            assert!(err(&output).contains(&format!("cannot listen on {address}")), "{}", err(&output));
            assert_eq!(out(&output), "", "nothing is said to be listening");
        }
    }
    assert_eq!(get(serin.web(), "/", "").status, 200);
}

#[test]
fn init_writes_files_that_are_valid_and_overwrites_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("new/config");
    let config = config.to_str().expect("text");
    let init = ["init", "--service", "shop", "--old", "http://127.0.0.1:1", "--new", "http://127.0.0.1:2", config];
    let written = command(&init);
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));
    let serin = format!("{config}/serin.yaml");
    assert!(out(&written).contains(&format!("serin run --config {serin}")), "{}", out(&written));
    let checked = command(&["check", "--config", &serin]);
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    let picked = command(&["pick", "shop", "--key", "ada", "--config", &serin]);
    assert_eq!(out(&picked), "ada old\n", "{}", err(&picked));

    let read = |name: &str| std::fs::read_to_string(format!("{config}/{name}")).expect("a file");
    let before = read("weights.yaml");
    std::fs::remove_file(&serin).expect("it goes");
    let again = command(&init);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("weights.yaml is there already"), "{}", err(&again));
    assert_eq!(read("weights.yaml"), before);
    assert!(!Path::new(&serin).exists(), "half of the files was left behind");

    let wrong = command(&["init", "--old", "127.0.0.1:1", "--new", "http://127.0.0.1:2", "elsewhere"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("the old version's upstream `127.0.0.1:1`"), "{}", err(&wrong));
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = command(&["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{}", err(&script));
        assert!(out(&script).contains("completions") && out(&script).contains("weights"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pages = folder.path().join("man1");
    let written = command(&["man", pages.to_str().expect("text")]);
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));
    let pick = std::fs::read_to_string(pages.join("serin-pick.1")).expect("a page");
    assert!(pick.contains("Say which version each key gets"), "{pick}");
    assert!(out(&command(&["man"])).contains("serin\\-run(1)"));
}
