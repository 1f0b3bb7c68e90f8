//! Receivers that are told by webhooks: what they get, how often, and what happens where they do not take it.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::SanType;
use serde_json::Value;

use super::Stream;
use super::stream::{CONFIG, WEIGHTS, set};
use crate::support::OK;
use crate::support::eventually;
use crate::support::serin::Serin;
use crate::support::tls::{Ca, Front};
use crate::support::upstream::{Recorded, Upstream};

const KEY: [u8; 32] = [0x5a; 32];

fn secret() -> String {
    format!("whsec_{}\n", STANDARD.encode(KEY))
}

/// A serin that tells these receivers.
fn start(hooks: &[String]) -> Serin {
    start_with(hooks, &[])
}

fn start_with(hooks: &[String], files: &[(&str, &str)]) -> Serin {
    let config = format!("{CONFIG}webhooks: [{}]\n", hooks.join(", "));
    let secret = secret();
    let own = [("weights.yaml", WEIGHTS), ("hook.secret", &*secret)];
    Serin::with_files(&config, &own.iter().chain(files).copied().collect::<Vec<_>>())
}

fn hook(url: &str, events: &str, more: &str) -> String {
    format!("{{ url: \"{url}\", events: [{events}], secretFile: hook.secret{more} }}")
}

/// What the signature must be, by a computation of the test's own.
fn signature(key: &[u8], request: &Recorded) -> String {
    let header = |name: &str| request.header(name).unwrap_or_else(|| panic!("no {name}: {}", request.head));
    let mut text = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    text.extend(&request.body);
    format!("v1,{}", STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &text)))
}

fn requests(receiver: &Upstream, count: usize) -> Vec<Recorded> {
    eventually(&format!("{count} deliveries"), || Some(receiver.requests()).filter(|all| all.len() >= count))
}

fn results(serin: &Serin, result: &str, count: f64) {
    let label = format!("result=\"{result}\"");
    eventually(&format!("{count} {result}"), || {
        (serin.metric("serin_webhook_deliveries_total", &[&label]) >= count).then_some(())
    });
}

#[test]
fn a_receiver_gets_what_it_asked_for_and_can_tell_who_sends_it() {
    let receiver = Upstream::answering(OK);
    let serin = start(&[hook(&format!("{}/in?team=a", receiver.url()), "weights, filesRefused", "")]);
    set(&serin, "shop", 3);
    std::fs::write(serin.path("weights.yaml"), "shop: 7\n").expect("a file");
    let all = requests(&receiver, 2);
    assert_eq!(all[0].request_line(), "POST /in?team=a HTTP/1.1");
    assert_eq!(all[0].header("host").as_deref(), Some(&*receiver.address.to_string()));
    assert_eq!(all[0].header("content-type").as_deref(), Some("application/json"));
    for request in &all {
        assert_eq!(request.header("webhook-signature"), Some(signature(&KEY, request)));
        let sent: u64 = request.header("webhook-timestamp").and_then(|time| time.parse().ok()).expect("seconds");
        assert!(sent > 1_700_000_000, "{sent}");
    }
    let told: Vec<Value> = all.iter().map(|request| serde_json::from_slice(&request.body).expect("JSON")).collect();
    assert_eq!((&told[0]["type"], &told[0]["data"]["to"]["new"]), (&"weights".into(), &3.into()));
    assert_eq!(told[1]["type"], "filesRefused");
    assert_ne!(all[0].header("webhook-id"), all[1].header("webhook-id"));
    results(&serin, "delivered", 2.0);
    // It is told nothing else: the stream has seen the refusal, and what came before and after it.
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn what_is_not_taken_comes_again_under_the_same_id() {
    let tries = Arc::<AtomicUsize>::default();
    let receiver = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
            connection.send(if first { "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n" } else { OK });
        }
    });
    let serin = start(&[hook(&receiver.url(), "weights", "")]);
    set(&serin, "shop", 3);
    let all = requests(&receiver, 2);
    assert_eq!(all[0].header("webhook-id"), all[1].header("webhook-id"));
    assert_eq!(all[0].body, all[1].body);
    for request in &all {
        assert_eq!(request.header("webhook-signature"), Some(signature(&KEY, request)));
    }
    results(&serin, "delivered", 1.0);
    results(&serin, "retried", 1.0);
    assert_eq!(serin.metric("serin_webhook_deliveries_total", &["result=\"failed\""]), 0.0);
}

/// More than a queue holds.
const CHANGES: usize = 270;

#[test]
fn a_dead_receiver_costs_its_own_queue_and_delays_nobody() {
    // It takes connections and never answers.
    let dead = Upstream::scripted(|connection| {
        let mut byte = [0];
        while connection.stream.read(&mut byte).is_ok_and(|length| length > 0) {}
    });
    let alive = Upstream::answering(OK);
    let serin =
        start(&[hook(&dead.url(), "weights", ", timeout: 60s"), hook(&alive.url(), "weights, rollback, step", "")]);
    let mut stream = Stream::open(&serin, "", "");
    for change in 0..CHANGES {
        set(&serin, "shop", change as u32 + 2);
        // The receiver that is alive keeps up; how far ahead of it this test may be is not what it is about.
        requests(&alive, (change + 1).saturating_sub(100));
    }
    for _ in 0..CHANGES {
        stream.await_one("weights");
    }
    requests(&alive, CHANGES);
    // One is under way, 256 wait: the oldest of the others are gone.
    results(&serin, "dropped", (CHANGES - 257) as f64);
    assert_eq!(dead.accepted(), 1);
}

#[test]
fn nonsense_for_an_answer_is_bounded() {
    let tries = Arc::<AtomicUsize>::default();
    let receiver = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            match tries.fetch_add(1, Ordering::SeqCst) {
                0 => connection.send("SSH-2.0-nonsense\r\n"),
                1 => {
                    connection.send("HTTP/1.1 200 OK\r\n");
                    while connection.stream.write_all(b"x-more: of the same\r\n").is_ok() {}
                }
                _ => {
                    // Taken, once its head is there; what else it says nobody waits for.
                    connection.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
                    while connection.stream.write_all(&[b'x'; 4096]).is_ok() {}
                }
            }
        }
    });
    let serin = start(&[hook(&receiver.url(), "weights", ", timeout: 5s")]);
    set(&serin, "shop", 3);
    results(&serin, "delivered", 1.0);
    assert_eq!(serin.metric("serin_webhook_deliveries_total", &["result=\"retried\""]), 2.0);
    eventually("the connections to be closed", || (receiver.open() == 0).then_some(()));
}

#[test]
fn who_wants_no_more_is_sent_no_more() {
    let receiver = Upstream::answering("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n");
    let serin = start(&[hook(&receiver.url(), "weights", "")]);
    set(&serin, "shop", 3);
    results(&serin, "failed", 1.0);
    set(&serin, "shop", 4);
    results(&serin, "dropped", 1.0);
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn a_receiver_behind_tls_is_told_only_if_its_ca_vouches_for_it() {
    let (ca, other, receiver) = (Ca::new("ca"), Ca::new("other"), Upstream::answering(OK));
    let pair = ca.server_with(&["hooks.example"], |params| {
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    });
    let [right, wrong] = [(); 2].map(|()| Front::before(receiver.address, &pair, &["http/1.1"], None));
    let url = |front: &Front, path: &str| format!("https://{}{path}", front.address);
    let hooks = [
        hook(&url(&right, "/right"), "weights", ", ca: ca.crt"),
        hook(&url(&wrong, "/wrong"), "weights", ", ca: other.crt"),
    ];
    let serin = start_with(&hooks, &[("ca.crt", &ca.pem), ("other.crt", &other.pem)]);
    set(&serin, "shop", 3);
    results(&serin, "delivered", 1.0);
    results(&serin, "retried", 1.0);
    let paths: Vec<_> = receiver.requests().iter().map(|request| request.request_line().to_owned()).collect();
    assert_eq!(paths, ["POST /right HTTP/1.1"]);
}

#[test]
fn a_secret_is_exchanged_while_serin_runs_and_never_shown() {
    let receiver = Upstream::answering(OK);
    let serin = start(&[hook(&format!("{}/known-to-few", receiver.url()), "weights", "")]);
    let mut stream = Stream::open(&serin, "", "");
    let other = [0x77; 24];
    std::fs::write(serin.path("hook.secret"), format!("whsec_{}", STANDARD.encode(other))).expect("a file");
    stream.await_one("files");
    eventually("the new secret to be signed by", || {
        let before = receiver.requests().len();
        set(&serin, "shop", 3);
        let all = requests(&receiver, before + 1);
        let last = all.last()?;
        (last.header("webhook-signature") == Some(signature(&other, last))).then_some(())
    });
    // A broken one is refused, which the ledger has, and the former stays.
    std::fs::write(serin.path("hook.secret"), "hunter2hunter2").expect("a file");
    let refused = stream.await_one("filesRefused");
    assert!(
        refused.data["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("hook.secret: its line 1 is no secret")),
        "{refused:?}"
    );
    let before = receiver.requests().len();
    set(&serin, "shop", 4);
    let all = requests(&receiver, before + 1);
    assert_eq!(all[before].header("webhook-signature"), Some(signature(&other, &all[before])));
    let shown = format!("{}{}{refused:?}", serin.stderr(), serin.ask("GET", "/metrics", "").text());
    for hidden in ["hunter2", "known-to-few", &STANDARD.encode(KEY), &STANDARD.encode(other)] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

#[test]
fn receivers_come_and_go_with_the_file() {
    let (one, two) = (Upstream::answering(OK), Upstream::answering(OK));
    let serin = start(&[hook(&one.url(), "weights", "")]);
    set(&serin, "shop", 3);
    requests(&one, 1);
    let mut stream = Stream::open(&serin, "", "");
    let config = format!("{CONFIG}webhooks: [{}]\n", hook(&two.url(), "weights", ""));
    std::fs::write(serin.path("serin.yaml"), config).expect("a file");
    stream.await_one("files");
    eventually("the new receiver to be told", || {
        set(&serin, "shop", 4);
        (!two.requests().is_empty()).then_some(())
    });
    // The former is told nothing of what comes now.
    let before = one.requests().len();
    let told = two.requests().len();
    set(&serin, "shop", 5);
    requests(&two, told + 1);
    assert_eq!(one.requests().len(), before);
}

/// Whether the library of the specification's authors takes a request for genuine.
fn is_genuine(python: &std::path::Path, request: &Recorded) -> bool {
    let header = |name: &str| request.header(name).unwrap_or_default();
    let headers: Value = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .map(|name| (name.to_owned(), header(name).into()))
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into();
    let input = serde_json::json!({ "secret": secret().trim(), "headers": headers, "body": String::from_utf8_lossy(&request.body) });
    let script = "import json, sys\nfrom standardwebhooks.webhooks import Webhook, WebhookVerificationError\nasked = json.load(sys.stdin)\ntry:\n    Webhook(asked['secret']).verify(asked['body'], asked['headers'])\nexcept WebhookVerificationError:\n    print('forged')\nelse:\n    print('genuine')\n";
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().expect("stdin").write_all(input.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    match output.stdout.trim_ascii() {
        b"genuine" => true,
        b"forged" => false,
        other => panic!("{}", String::from_utf8_lossy(other)),
    }
}

#[test]
fn the_specifications_own_library_takes_what_is_sent_for_genuine() {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/webhooks-venv/bin/python");
    let tried = Command::new(&own).args(["-c", "import standardwebhooks"]).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has no standardwebhooks of PyPI");
        eprintln!("SKIPPED: no standardwebhooks of PyPI; .ci/run installs it");
        return;
    }
    let receiver = Upstream::answering(OK);
    let serin = start(&[hook(&receiver.url(), "weights", "")]);
    set(&serin, "shop", 3);
    let mut request = requests(&receiver, 1).remove(0);
    assert!(is_genuine(&own, &request));
    request.body = String::from_utf8_lossy(&request.body).replace("\"new\":3", "\"new\":4").into_bytes();
    assert!(!is_genuine(&own, &request), "one that was changed on the way is not");
}
