//! Tokens on the command line.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use crate::support::serin::{Serin, binary, command};
use crate::support::{eventually, load::said};
use crate::{change, config, tokens, with_tokens};

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file with a token that only its owner can read.
fn token_file(serin: &Serin, name: &str, token: &str) -> String {
    let path = serin.path(name);
    std::fs::write(&path, format!("{token}\n")).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    path.display().to_string()
}

fn set(serin: &Serin, more: &[&str]) -> Output {
    let admin = serin.admin_url();
    command(&[&["set", "shop", "old=1", "new=3", "--reason", "a test", "--admin", &admin], more].concat())
}

#[test]
fn a_token_is_shown_from_a_file_named_by_an_option_or_the_environment() {
    let serin = with_tokens(&[("alice", "operator", "secret")]);
    let file = token_file(&serin, "token", "secret");
    let done = set(&serin, &["--token-file", &file]);
    assert_eq!((done.status.code(), err(&done).as_str()), (Some(0), ""));
    let done = Command::new(binary())
        .args(["set", "shop", "old=1", "new=4", "--reason", "a test", "--admin", &serin.admin_url()])
        .env("SERIN_TOKEN_FILE", &file)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    serin.await_share("shop", "new", 0.8);
}

#[test]
fn a_refusal_says_what_to_do_next() {
    let serin = with_tokens(&[("alice", "operator", "secret"), ("eve", "viewer", "eyes")]);
    let none = set(&serin, &[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        err(&none).contains("401") && err(&none).contains("--token-file FILE or SERIN_TOKEN_FILE"),
        "{}",
        err(&none)
    );
    let viewer = set(&serin, &["--token-file", &token_file(&serin, "eyes", "eyes")]);
    assert!(err(&viewer).contains("403") && err(&viewer).contains("eve is viewer"), "{}", err(&viewer));
    let wrong = token_file(&serin, "wrong", "wrong");
    let unknown = set(&serin, &["--token-file", &wrong]);
    assert!(err(&unknown).contains("401") && err(&unknown).contains(&wrong), "{}", err(&unknown));
    assert!(!err(&unknown).contains("Bearer wrong"), "{}", err(&unknown));
    let too_many = eventually("enough of it", || {
        let answer = set(&serin, &["--token-file", &wrong]);
        err(&answer).contains("429").then_some(answer)
    });
    assert!(err(&too_many).contains("Wait"), "{}", err(&too_many));
}

#[test]
fn a_token_that_others_can_read_is_warned_of_and_one_that_is_none_refused() {
    let serin = with_tokens(&[("alice", "operator", "secret")]);
    let file = token_file(&serin, "token", "secret");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    let done = set(&serin, &["--token-file", &file]);
    assert_eq!(done.status.code(), Some(0));
    assert!(err(&done).contains("warning: --token-file") && err(&done).contains("chmod 600"), "{}", err(&done));
    for (text, words) in [("", "empty"), ("two\nlines", "one line")] {
        let refused = set(&serin, &["--token-file", &token_file(&serin, "odd", text)]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(err(&refused).contains(words), "{}", err(&refused));
    }
}

#[test]
fn a_new_token_and_its_line_open_the_door() {
    let serin = with_tokens(&[("old", "viewer", "old")]);
    let made = command(&["token", "new", "--name", "alice", "--role", "operator"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let token = String::from_utf8(made.stdout.clone()).expect("text");
    assert!(token.starts_with("serin_") && token.trim_end().len() == 70 && token.ends_with('\n'), "{token}");
    let line = err(&made).lines().find(|line| line.contains("sha256")).expect("a line").to_owned();
    assert!(!err(&made).contains(token.trim()), "not twice");
    std::fs::write(serin.path("tokens.yaml"), format!("tokens:\n{line}\n")).expect("a file");
    let header = crate::bearer(token.trim());
    eventually("the token to be known", || (change(&serin, &header).status == 200).then_some(()));
    assert!(said(&serin, "weights changed").contains("alice"));
    let again = command(&["token", "new"]);
    assert_ne!(again.stdout, made.stdout);
}

#[test]
fn check_reads_the_tokens_file_and_warns_of_tokens_in_plain_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    let path = folder.path().join("serin.yaml").display().to_string();
    write("serin.yaml", &config("{ address: 0.0.0.0:9901, tokens: tokens.yaml }"));
    let missing = command(&["check", "--config", &path]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("admin.tokens") && err(&missing).contains("cannot be read"), "{}", err(&missing));
    write("tokens.yaml", &tokens(&[("alice", "operator", "a")]).replace("sha256: \"", "sha256: \"0"));
    let wrong = command(&["check", "--config", &path]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("tokens.yaml:2:") && err(&wrong).contains("64 hexadecimal"), "{}", err(&wrong));
    write("tokens.yaml", &tokens(&[("alice", "operator", "a")]));
    let right = command(&["check", "--config", &path]);
    assert_eq!(right.status.code(), Some(0), "{}", err(&right));
    assert!(err(&right).contains("warning: ") && err(&right).contains("plain text"), "{}", err(&right));
    write("serin.yaml", &config("{ address: 127.0.0.1:0, tokens: tokens.yaml }"));
    assert_eq!(err(&command(&["check", "--config", &path])), "", "on this machine nobody listens in");
}
