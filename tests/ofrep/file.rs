//! The flag file: in force at once, refused whole, and never in the way of other files.

use crate::support::client::Raw;
use crate::support::eventually;
use crate::support::load::said;
use crate::support::serin::{Serin, command};
use crate::support::upstream::Upstream;
use crate::{SINGLE, config, evaluate, with_flags};

const X: &str = "flags: { a: { state: ENABLED, variants: { x: 1, y: 2 }, defaultVariant: x } }\n";

fn y() -> String {
    X.replace("defaultVariant: x", "defaultVariant: y")
}

fn edit(serin: &Serin, name: &str, text: &str) {
    std::fs::write(serin.path(name), text).expect("an edit");
}

fn await_value(serin: &Serin, value: u64) {
    eventually(&format!("a to be {value}"), || (evaluate(serin, "a").1["value"] == value).then_some(()));
}

fn reloads(serin: &Serin, file: &str, result: &str) -> f64 {
    serin.metric("serin_config_reload_total", &[&format!("file=\"{file}\""), &format!("result=\"{result}\"")])
}

fn await_refused(serin: &Serin, file: &str, count: f64) {
    eventually(&format!("{file} to be refused"), || (reloads(serin, file, "refused") >= count).then_some(()));
}

#[test]
fn a_changed_file_is_in_force_however_it_is_written() {
    let serin = with_flags(X);
    edit(&serin, "flags.yaml", &y());
    await_value(&serin, 2);
    edit(&serin, ".flags.yaml.swp", X);
    std::fs::rename(serin.path(".flags.yaml.swp"), serin.path("flags.yaml")).expect("a rename");
    await_value(&serin, 1);
    assert_eq!([reloads(&serin, "flags.yaml", "applied"), reloads(&serin, "serin.yaml", "applied")], [2.0, 0.0]);
    let hash = |sha256: &str| serin.metric("serin_config_hash_info", &["file=\"flags.yaml\"", sha256]);
    assert_eq!(hash("sha256=\""), 1.0);
}

#[test]
fn a_broken_file_is_refused_whole_with_its_place_and_said_once() {
    let serin = with_flags(X);
    edit(&serin, "flags.yaml", "flags:\n  a: { state: ENABLED, variants: { x: 7 }, defaultVariant: z }\n");
    await_refused(&serin, "flags.yaml", 1.0);
    said(&serin, "flags.yaml:2:");
    assert_eq!(evaluate(&serin, "a").1["value"], 1, "the last good set stays");
    // Looked at again for another reason, it is not said again.
    edit(&serin, "weights.yaml", "shop: { old: 0, new: 1 }\n");
    serin.await_share("shop", "new", 1.0);
    assert_eq!(reloads(&serin, "flags.yaml", "refused"), 1.0);
    serin.signal("HUP");
    await_refused(&serin, "flags.yaml", 2.0);
    // Back to what is in force, there is nothing to tell.
    edit(&serin, "flags.yaml", X);
    edit(&serin, "weights.yaml", "shop: { old: 1, new: 0 }\n");
    serin.await_share("shop", "old", 1.0);
    assert_eq!(reloads(&serin, "flags.yaml", "applied"), 0.0);
    edit(&serin, "flags.yaml", &y());
    await_value(&serin, 2);
}

#[test]
fn a_file_that_is_away_for_a_while_leaves_its_flags_in_force() {
    let serin = with_flags(X);
    std::fs::remove_file(serin.path("flags.yaml")).expect("a removal");
    await_refused(&serin, "flags.yaml", 1.0);
    said(&serin, "flags.yaml: cannot be read");
    assert_eq!(evaluate(&serin, "a").1["value"], 1);
    edit(&serin, "flags.yaml", &y());
    await_value(&serin, 2);
}

#[test]
fn flags_change_while_another_file_is_broken_and_the_other_way_round() {
    let serin = with_flags(X);
    edit(&serin, "serin.yaml", "listeners: [");
    await_refused(&serin, "serin.yaml", 1.0);
    edit(&serin, "flags.yaml", &y());
    await_value(&serin, 2);
    edit(&serin, "flags.yaml", "flags: [");
    await_refused(&serin, "flags.yaml", 1.0);
    edit(&serin, "weights.yaml", "shop: { old: 0, new: 1 }\n");
    serin.await_share("shop", "new", 1.0);
    assert_eq!(evaluate(&serin, "a").1["value"], 2);
}

#[test]
fn a_change_of_flags_leaves_weights_that_were_set_by_hand() {
    let serin = with_flags(X);
    let set = serin.ask("PUT", "/api/v1/services/shop/weights", r#"{"weights":{"old":1,"new":3},"reason":"test"}"#);
    assert_eq!(set.status, 200);
    edit(&serin, "flags.yaml", &y());
    await_value(&serin, 2);
    serin.await_share("shop", "new", 0.75);
}

#[test]
fn a_flag_file_may_be_named_later_and_be_right_later_still() {
    let without = config("").replace("flags: flags.yaml, ", "");
    let serin = Serin::with_files(&without, &[("weights.yaml", "shop: { old: 1, new: 1 }\n")]);
    assert_eq!(evaluate(&serin, "a").0, 404);
    edit(&serin, "serin.yaml", &config(""));
    await_refused(&serin, "serin.yaml", 1.0);
    said(&serin, "flags.yaml: cannot be read");
    edit(&serin, "flags.yaml", X);
    await_value(&serin, 1);
    edit(&serin, "other.yaml", &y());
    edit(&serin, "serin.yaml", &config("").replace("flags.yaml", "other.yaml"));
    await_value(&serin, 2);
    edit(&serin, "other.yaml", X);
    await_value(&serin, 1);
    edit(&serin, "serin.yaml", &without);
    eventually("there to be no flags", || (evaluate(&serin, "a").0 == 404).then_some(()));
}

#[test]
fn a_file_that_is_wrong_or_missing_at_the_start_is_bad_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("serin.yaml");
    std::fs::write(&path, config("")).expect("serin.yaml");
    std::fs::write(folder.path().join("weights.yaml"), "{}\n").expect("weights");
    let run = || {
        let output = command(&["run", "--config", &path.display().to_string()]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run();
    assert_eq!(code, Some(2));
    assert!(said.contains("flags.yaml: cannot be read"), "{said}");
    std::fs::write(folder.path().join("flags.yaml"), "flags:\n  a: { variants: { x: 1 }, defaultVariant: z }\n")
        .expect("flags");
    let (code, said) = run();
    assert_eq!(code, Some(2));
    assert!(said.contains("flags.yaml:2:"), "{said}");
}

#[test]
fn the_api_is_there_only_where_it_is_configured_and_on_unix_sockets_too() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("flags.yaml"), X).expect("flags");
    std::fs::write(folder.path().join("weights.yaml"), "{}\n").expect("weights");
    let socket = folder.path().join("ofrep.sock");
    let config = config("").replace("ofrep: { address: 127.0.0.1:0", "ofrep: { address: unix:FOLDER/ofrep.sock");
    let serin = Serin::in_folder(folder, &config);
    let mut raw = Raw::over(std::os::unix::net::UnixStream::connect(&socket).expect("a connection"));
    raw.send(format!("POST {SINGLE}a HTTP/1.1\r\nhost: flags\r\ncontent-length: 0\r\n\r\n"));
    assert!(raw.response(false).expect("an answer").text().contains("\"value\":1"));
    assert_eq!(serin.ask("GET", "/readyz", "").status, 200);
}

#[test]
fn flags_are_answered_until_the_last_request_is_done() {
    let upstream = Upstream::named("old");
    let config = config("").replace("http://127.0.0.1:9 ", &format!("{} ", upstream.url()));
    let mut serin = Serin::with_files(&config, &[("flags.yaml", X), ("weights.yaml", "shop: { old: 1, new: 0 }\n")]);
    let mut waiting = Raw::connect(serin.web());
    waiting.send("POST / HTTP/1.1\r\nhost: shop\r\ncontent-length: 2\r\n\r\no");
    eventually("the request to be under way", || (serin.metric("serin_requests_in_flight", &[]) == 1.0).then_some(()));
    serin.signal("TERM");
    said(&serin, "draining");
    assert_eq!(evaluate(&serin, "a").1["value"], 1);
    waiting.send("k");
    assert_eq!(waiting.response(false).map(|response| response.status), Some(200));
    assert!(serin.wait().success());
}
