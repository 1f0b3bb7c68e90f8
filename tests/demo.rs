//! The demo runs on any free port, says what it did and ends well.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use support::eventually;
use support::serin::binary;

/// `serin demo` on free ports with these arguments, its files among `folder`'s.
fn demo(args: &[&str], folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(binary());
    command.arg("demo").args(args).env("TMPDIR", folder.path()).env_remove("SERIN_ADMIN").stdin(Stdio::null());
    command
}

fn played(scenario: &str, time: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["--scenario", scenario, "--for", time, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let output = demo(&args, &folder).output().expect("the binary starts");
    let (text, errors) = words(&output);
    assert!(output.status.success(), "{:?}\n{errors}\n{text}", output.status);
    assert_eq!(errors, "", "a demo that went well has nothing to report");
    text
}

/// The same, once more with more time and alone where a machine that is busy otherwise had not enough of the first.
fn played_whole(scenario: &str, [time, more]: [&str; 2]) -> String {
    static ALONE: Mutex<()> = Mutex::new(());
    let text = played(scenario, time);
    if !text.contains("Too short to show the whole story") {
        return text;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    played(scenario, more)
}

/// Standard output and standard error with all white space as single spaces: where lines break is for the eye.
fn words(output: &Output) -> (String, String) {
    let words = |bytes| String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    (words(&output.stdout), words(&output.stderr))
}

/// The text from the summary on.
fn summary(text: &str) -> &str {
    &text[text.find("Summary:").unwrap_or_else(|| panic!("no summary in {text}"))..]
}

#[test]
fn a_good_version_is_widened_to_everything_and_nobody_moves_back() {
    let text = played_whole("good", ["4s", "12s"]);
    assert!(text.starts_with("dashboard http://127.0.0.1:") && text.contains("proxy http://127.0.0.1:"), "{text}");
    for change in ["serin: new 0 → 5;", "serin: new 5 → 25;", "serin: new 25 → 50;", "serin: new 50 → 100;"] {
        assert!(text.contains(change), "{change}: {text}");
    }
    assert!(text.contains("users moved to new, nobody moved back"), "{text}");
    assert!(text.contains("step 2 of 4") && text.contains("judge: inconclusive: "), "{text}");
    let summary = summary(&text);
    assert!(summary.contains(" old ") && summary.contains(" new "), "{summary}");
    assert!(summary.contains("While the weight of new rose, nobody moved back"), "{summary}");
    assert!(summary.contains("then 2,000 at"), "{summary}");
    assert!(summary.contains("The rollout is complete: every step baked and no gate failed"), "{summary}");
    assert!(!summary.contains("Hurt"), "{summary}");
}

#[test]
fn a_regressed_version_is_withdrawn_and_the_summary_says_whom_it_hurt_and_would_have() {
    let text = played_whole("regression", ["8s", "30s"]);
    if is_withdrawn(&text) {
        assert!(text.contains("serin: rolled back: p") && text.contains("of new is"), "{text}");
        assert!(summary(&text).contains("requests would have been slow, and"), "{text}");
    }
}

#[test]
fn a_failing_version_is_withdrawn_and_the_summary_says_whom_it_hurt_and_would_have() {
    let text = played_whole("errors", ["6s", "20s"]);
    if is_withdrawn(&text) {
        assert!(text.contains("serin: rolled back: new fails"), "{text}");
        assert!(summary(&text).contains("requests would have failed, and"), "{text}");
    }
}

#[test]
fn a_migration_goes_through_all_stages_without_a_failed_request() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["--scenario", "migration", "--for", "4s", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let output = demo(&args, &folder).output().expect("the binary starts");
    let (text, errors) = words(&output);
    assert!(output.status.success(), "{:?}\n{errors}\n{text}", output.status);
    for stage in ["off", "dualWrite for 20%", "dualWrite", "shadow", "live for 30%", "live", "rampDown", "complete"] {
        assert!(text.contains(&format!(" {stage} ")), "{stage}: {text}");
    }
    assert!(!text.contains("% not "), "a stage was not taken: {text}\n{errors}");
    assert!(text.contains("both versions have the same"), "{text}");
    assert!(summary(&text).starts_with("Summary: 0 of "), "{text}");
}

/// That serin withdrew the version, and what the summary says of it; whether this machine had the time for all that.
fn is_withdrawn(text: &str) -> bool {
    let summary = summary(text);
    if summary.contains("Too short to show the whole story") && std::env::var_os("CI").is_none() {
        eprintln!("skipped: this machine is too busy to show it: {summary}");
        return false;
    }
    assert!(text.contains("serin: new 25 → 0;"), "{text}");
    assert!(summary.contains(" old ") && summary.contains(" new "), "{summary}");
    assert!(summary.contains("While the weight of new rose, nobody moved back"), "{summary}");
    assert!(summary.contains("New turned bad at") && summary.contains("serin withdrew it"), "{summary}");
    assert!(summary.contains("Hurt: after it turned bad, new answered"), "{summary}");
    assert!(summary.contains("Without serin, had new been given everything"), "{summary}");
    true
}

#[test]
fn an_address_in_use_is_named_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for flag in ["--listen", "--admin"] {
        let other = if flag == "--listen" { "--admin" } else { "--listen" };
        let args = [flag, &address, other, "127.0.0.1:0"];
        let output = demo(&args, &folder).output().expect("the binary starts");
        let (_, errors) = words(&output);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&format!("cannot listen on {address}")) && errors.contains(flag), "{errors}");
    }
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_interrupt_ends_it_early_with_a_summary_that_says_it_was_too_short() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["--scenario", "errors", "--for", "10m", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut running = Running(demo(&args, &folder).stdout(Stdio::piped()).spawn().expect("the binary starts"));
    let mut out = BufReader::new(running.0.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    while !line.contains("old has all of the traffic") {
        line.clear();
        assert!(out.read_line(&mut line).expect("stdout") > 0, "it ended before it began");
    }
    let sent = Command::new("kill").args(["-INT", &running.0.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -INT");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("stdout");
    let status = eventually("the demo to end", || running.0.try_wait().expect("a child"));
    assert!(status.success(), "{status}");
    let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(summary(&rest).contains("until it was ended"), "{rest}");
    assert!(summary(&rest).contains("Too short to show the whole story: at its end"), "{rest}");
    assert!(summary(&rest).contains("--for 60s"), "{rest}");
}
