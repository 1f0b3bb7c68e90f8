//! Every command as a stranger at a shell meets it: what it says where something is missing, how it ends, and that it minds
//! no reader who leaves.

mod support;

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use serin::access::TokenHash;
use support::load::shop_at;
use support::serin::{Serin, binary, command};
use support::terminal::Terminal;
use support::upstream::Upstream;

/// Where nobody listens: these tests send no traffic.
const NOWHERE: &str = "http://127.0.0.1:1";

fn config(service: &str, top: &str) -> String {
    let upstream = || format!("\"{NOWHERE}\"");
    shop_at(&[("old", upstream()), ("new", upstream())], service, top)
}

fn start() -> Serin {
    Serin::new(&config("", ""))
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", out(output), err(output)))
}

/// Runs a command with further arguments at its end.
fn run(words: &[&str], more: &[&str]) -> Output {
    command(&[words, more].concat())
}

/// Every command that asks a running serin about a service.
const ABOUT_A_SERVICE: [&[&str]; 11] = [
    &["status", "shpo"],
    &["top", "shpo"],
    &["set", "shpo", "old=1", "new=1", "--reason", "r"],
    &["rollout", "start", "shpo"],
    &["rollout", "wait", "shpo"],
    &["rollout", "preflight", "shpo"],
    &["migration", "status", "shpo"],
    &["migration", "dead-letters", "shpo"],
    &["reconcile", "shpo", "--sample", "1%"],
    &["diff", "shpo"],
    &["drill", "rollback", "shpo"],
];

#[test]
fn a_serin_that_is_not_there_is_named_and_what_to_do_is_said() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let url = format!("http://{gone}");
    for words in ABOUT_A_SERVICE.iter().copied().chain([&["ledger"][..], &["ledger", "verify"]]) {
        let output = run(words, &["--admin", &url]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(
            said.contains(&url) && said.contains("Is `serin run` up") && said.contains("--admin"),
            "{words:?}: {said}"
        );
        assert_eq!(out(&output), "", "{words:?}");
    }
}

#[test]
fn a_service_that_is_not_there_is_answered_with_the_nearest() {
    let serin = start();
    for words in ABOUT_A_SERVICE {
        let output = run(words, &["--admin", &serin.admin_url()]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert_eq!(said, "there is no service `shpo`; there are: shop; did you mean `shop`?\n", "{words:?}");
    }
    let none = run(&["ledger", "list", "--service", "shpo"], &["--admin", &serin.admin_url()]);
    assert_eq!((none.status.code(), &*out(&none)), (Some(0), ""));
    assert!(err(&none).contains("no entry that concerns a service `shpo`"), "{}", err(&none));
    // What is missing of a service that is there is said as it was.
    let no_plan = run(&["rollout", "start", "shop"], &["--admin", &serin.admin_url()]);
    assert!(err(&no_plan).starts_with("404 Not Found: ") && err(&no_plan).contains("shop"), "{}", err(&no_plan));
}

#[test]
fn an_address_that_is_not_the_admin_api_is_recognised() {
    let hosts = config("", "").replace("  - service: shop", "  - hostnames: [ shop.example ]\n    service: shop");
    let serin = Serin::new(&hosts);
    let listener = format!("http://{}", serin.web());
    let other = Upstream::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope");
    let page = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>");
    for (url, words) in [
        (listener, "it is a listener for traffic"),
        (other.url(), "answers 404 Not Found, and not as the admin API does"),
        (page.url(), "the answer is not what was asked for"),
    ] {
        let output = command(&["status", "--admin", &url]);
        assert_eq!(output.status.code(), Some(1));
        let said = err(&output);
        assert!(said.contains(words) && said.contains("admin` address"), "{said}");
    }
}

/// A command, further arguments, its exit code, and words that it says.
type Case<'a> = (&'a [&'a str], &'a [&'a str], i32, &'a [&'a str]);

#[test]
fn credentials_that_are_missing_or_not_enough_are_told_apart() {
    let tokens =
        format!("tokens:\n  - {{ name: eve, role: viewer, sha256: \"{}\" }}\n", TokenHash::of(b"viewers-token"));
    let text = config("", "").replace("127.0.0.1:0, open: true", "127.0.0.1:0, tokens: tokens.yaml");
    let serin =
        Serin::with_files(&text, &[("tokens.yaml", &tokens), ("token", "viewers-token\n"), ("other", "unknown\n")]);
    let admin = serin.admin_url();
    let file = |name: &str| serin.path(name).display().to_string();
    let set = ["set", "shop", "old=1", "new=1", "--reason", "r"];
    let (token, other, missing) = (file("token"), file("other"), file("missing"));
    // Whoever reaches a loopback address may look.
    let cases: [Case<'_>; 6] = [
        (&["status"], &[], 0, &[]),
        (&set, &[], 1, &["401", "--token-file FILE", "serin token new"]),
        (&["status"], &["--token-file", &other], 1, &["401", "The token in", "ask whoever runs it"]),
        (&set, &["--token-file", &token], 1, &["403", "eve is viewer here", "needs the role", "show another"]),
        (&["status"], &["--token-file", &missing], 2, &["missing", "No such file", "serin token new"]),
        (&["status"], &["--token-file", &token], 0, &[]),
    ];
    for (words, more, code, expected) in cases {
        let output = run(words, &[more, &["--admin", &admin]].concat());
        let said = err(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?} {more:?}: {said}");
        assert!(expected.iter().all(|word| said.contains(word)), "{words:?} {more:?}: {said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("missing.yaml").display().to_string();
    let cases: [&[&str]; 7] = [
        &["run", "--config", &missing],
        &["check", "--config", &missing],
        &["check", "--flags", &missing],
        &["pick", "shop", "--key", "a", "--config", &missing],
        &["flags", "list", "--flags", &missing],
        &["judge", "--old", &missing, "--new", &missing],
        &["ledger", "--config", &missing],
    ];
    for words in cases {
        let output = command(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", err(&output));
        assert!(err(&output).contains("missing.yaml: "), "{words:?}: {}", err(&output));
    }
    let no_ledger = command(&["ledger", "--state-dir", &missing]);
    assert_eq!(no_ledger.status.code(), Some(2), "{}", err(&no_ledger));
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let serin = start();
    let admin = serin.admin_url();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("result"), "1.0\n2.0\n3.0\n").expect("a file");
    std::fs::write(at("flags.yaml"), "flags: { a: { state: ENABLED, variants: { x: 1 }, defaultVariant: x } }\n")
        .expect("a file");
    let config = serin.path("serin.yaml").display().to_string();
    let (result, flags, pages, starter) = (at("result"), at("flags.yaml"), at("pages"), at("starter"));
    let cases: [&[&str]; 20] = [
        &["status", "--admin", &admin],
        &["status", "--json", "--admin", &admin],
        &["top", "--admin", &admin],
        &["top", "--json", "--admin", &admin],
        &["set", "shop", "old=2", "new=1", "--reason", "r", "--admin", &admin],
        &["ledger", "--admin", &admin],
        &["ledger", "list", "--json", "--admin", &admin],
        &["ledger", "verify", "--admin", &admin],
        &["ledger", "graph", "--admin", &admin],
        &["check", "--config", &config],
        &["check", "--json", "--config", &config],
        &["pick", "shop", "--key", "a", "--config", &config],
        &["flags", "list", "--flags", &flags],
        &["flags", "eval", "a", "--flags", &flags],
        &["judge", "--old", &result, "--new", &result],
        &["init", "--old", NOWHERE, "--new", NOWHERE, &starter],
        &["schema"],
        &["completions", "bash"],
        &["man"],
        &["man", &pages],
    ];
    for words in cases {
        let mut child = Command::new(binary())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!((ended.status.code(), &*err(&ended)), (Some(0), ""), "{words:?}");
    }
    // Nor does it matter to what is said on standard error.
    let mut child = Command::new(binary())
        .args(["status", "--admin", "ftp://x"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
}

#[test]
fn what_can_be_read_by_people_can_be_read_by_programs() {
    let serin = start();
    let admin = serin.admin_url();
    let set = json(&command(&["set", "shop", "old=1", "new=3", "--reason", "r", "--json", "--admin", &admin]));
    assert_eq!((&set["name"], &set["versions"][1]["share"]), (&Value::from("shop"), &Value::from(0.75)), "{set}");
    assert!(set["entry"].is_u64(), "{set}");
    let config = serin.path("serin.yaml").display().to_string();
    let pick = out(&command(&["pick", "shop", "--key", "a b", "--key", "c", "--json", "--config", &config]));
    let lines: Vec<Value> = pick.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), &lines[0]["key"]), (2, &Value::from("a b")), "{pick}");
    assert!(lines.iter().all(|line| ["old", "new"].iter().any(|name| line["version"] == *name)), "{pick}");
    let token = json(&command(&["token", "new", "--name", "ada", "--role", "viewer", "--json"]));
    let hash = TokenHash::of(token["token"].as_str().expect("a token").as_bytes()).to_string();
    assert_eq!((&token["sha256"], &token["role"]), (&Value::from(hash), &Value::from("viewer")));
    let valid = command(&["check", "--json", "--config", &config]);
    assert_eq!((valid.status.code(), &json(&valid)["valid"]), (Some(0), &Value::from(true)));
    std::fs::write(serin.path("broken.yaml"), "rotues: []\n").expect("a file");
    let broken = command(&["check", "--json", "--config", &serin.path("broken.yaml").display().to_string()]);
    let found = json(&broken);
    assert_eq!((broken.status.code(), &found["valid"], &*err(&broken)), (Some(2), &Value::from(false), ""));
    let first = &found["errors"][0];
    assert_eq!((&first["line"], &first["column"], &first["key"]), (&1.into(), &1.into(), &"rotues".into()), "{found}");
}

#[test]
fn reasons_give_a_terminal_no_orders() {
    let serin = start();
    let admin = serin.admin_url();
    let set = command(&["set", "shop", "old=1", "new=3", "--reason", "\u{1b}]0;owned\u{7}\u{9b}2J", "--admin", &admin]);
    assert_eq!(set.status.code(), Some(0));
    for words in [&["ledger"][..], &["status"], &["top"], &["ledger", "show", "3"]] {
        let said = out(&run(words, &["--admin", &admin]));
        assert!(!said.is_empty() && !said.chars().any(|c| c.is_control() && c != '\n'), "{words:?}: {said:?}");
    }
}

#[test]
fn waiting_for_a_rollout_ends_with_it() {
    let [old, new] = [Upstream::named("old"), Upstream::named("new")];
    let service = |steps: &str| {
        let rollout = format!("    rollout: {{ from: old, to: new, steps: [ {steps} ] }}\n");
        support::load::shop(&[("old", &old), ("new", &new)], &rollout, "")
    };
    let serin = Serin::new(&service("{ weight: 5, bake: 1h }"));
    let admin = serin.admin_url();
    let wait = |more: &[&str]| run(&["rollout", "wait", "shop"], &[more, &["--admin", &admin]].concat());
    let none = wait(&[]);
    assert_eq!(none.status.code(), Some(1), "nothing was begun: {}", err(&none));
    assert!(out(&none).contains("pending"), "{}", out(&none));
    let started = command(&["rollout", "start", "shop", "--admin", &admin]);
    assert_eq!(started.status.code(), Some(0), "{}", err(&started));
    let short = wait(&["--timeout", "10ms"]);
    assert_eq!(short.status.code(), Some(1));
    assert!(err(&short).contains("it is not over yet"), "{}", err(&short));
    // On a terminal it is shown how far it is.
    let args = ["rollout", "wait", "shop", "--admin", &admin];
    let mut terminal = Terminal::start(&args, 80, 24);
    support::eventually("progress", || terminal.drawn().contains("\r\x1b[K░░░").then_some(()));
    let promote = command(&["rollout", "promote", "shop", "--reason", "seen enough", "--admin", &admin]);
    assert_eq!(promote.status.code(), Some(0), "{}", err(&promote));
    assert_eq!(terminal.wait().code(), Some(0));
    support::eventually("its end", || terminal.drawn().contains("old → new: completed").then_some(()));
}

#[test]
fn shells_and_man_know_top_and_the_exit_codes() {
    for shell in ["bash", "zsh", "fish"] {
        let script = out(&command(&["completions", shell]));
        assert!(script.contains("top") && script.contains("no-color"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(command(&["man", &folder.path().display().to_string()]).status.code(), Some(0));
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a page");
    assert!(page("serin-top.1").contains("0  printed, or ended by a key"), "{}", page("serin-top.1"));
    assert!(page("serin-ledger-verify.1").contains("0  every entry is what was written"));
    assert!(out(&command(&["man"])).contains("serin\\-top(1)"));
    assert!(out(&command(&["rollout", "--help"])).contains("Exit codes:\n  0  done; with preflight"));
}
