//! How a migration is moved: by people, by the file, over restarts.

use serde_json::json;

use super::support::eventually;
use super::support::serin::{Serin, command};
use super::{Store, config, send, to_stage, view};

#[test]
fn a_move_is_in_the_ledger_and_outlives_the_process_until_the_file_says_something_else() {
    let (old, new) = (Store::new(), Store::new());
    let text = config(&old.upstream, &new.upstream, "      stage: dualWrite\n");
    let mut serin = Serin::new(&text);
    to_stage(&serin, "shadow", "12.5%");
    let entry = to_stage(&serin, "shadow", "50%")["entry"].as_u64().expect("an entry");
    let line = serin.ask("GET", &format!("/api/v1/ledger/{entry}"), "").text();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((line["kind"].as_str(), line["service"].as_str()), (Some("migration"), Some("shop")));
    assert_eq!(line["from"], json!({ "stage": "shadow", "share": "12.5%", "between": ["old", "new"] }));
    assert_eq!(line["to"], json!({ "stage": "shadow", "share": "50%", "between": ["old", "new"] }));
    assert_eq!((line["reason"].as_str(), line["source"].as_str()), (Some("a test"), Some("admin")));

    let shown = command(&["ledger", "show", &entry.to_string(), "--admin", &serin.admin_url()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("shadow for 12.5% → shadow for 50%"), "{shown}");

    serin.signal("KILL");
    serin.wait();
    let folder = tempfile::tempdir().unwrap();
    std::fs::rename(serin.path("state"), folder.path().join("state")).unwrap();
    let serin = Serin::in_folder(folder, &text);
    assert_eq!((view(&serin)["stage"].as_str(), view(&serin)["share"].as_str()), (Some("shadow"), Some("50%")));

    // A file that changes and says the same of the migration leaves it; one that says something else moves it.
    let same = format!("{text}drainTimeout: 29s\n");
    std::fs::write(serin.path("serin.yaml"), &same).unwrap();
    let applied = ["serin_config_reload_total", "result=\"applied\""];
    eventually("the file to be read", || (serin.metric(applied[0], &applied[1..]) >= 1.0).then_some(()));
    assert_eq!(view(&serin)["stage"], "shadow");
    std::fs::write(serin.path("serin.yaml"), text.replace("stage: dualWrite", "stage: \"off\"")).unwrap();
    eventually("the file's stage", || (view(&serin)["stage"] == "off").then_some(()));
    let ledger = serin.ask("GET", "/api/v1/ledger?limit=1000", "").text();
    assert!(ledger.contains("\"source\":\"file\""), "{ledger}");
}

#[test]
fn moves_that_make_no_sense_are_refused_in_words() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, ""));
    for (body, status, words) in [
        (
            json!({ "stage": "ramp" }),
            400,
            "`stage` is `ramp`; expected one of: off, dualWrite, shadow, live, rampDown, complete.",
        ),
        (
            json!({ "stage": "live", "share": "10" }),
            400,
            "`share` is `10`; expected a percentage from 0.01% to 100%, such as `10%`.",
        ),
        (json!({ "stage": "off", "share": "10%" }), 422, "there is no stage before `off`"),
        (json!({ "stage": "live", "force": true }), 400, "`force` needs a `reason`."),
        (json!({ "stages": "live" }), 400, "unknown field `stages`"),
    ] {
        let answer = serin.ask("PUT", "/api/v1/services/shop/migration", &body.to_string());
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    let weights =
        serin.ask("PUT", "/api/v1/services/shop/weights", &json!({ "weights": { "old": 1, "new": 1 } }).to_string());
    assert_eq!(weights.status, 409);
    assert!(weights.text().contains("is under migration"), "{}", weights.text());
    assert_eq!(view(&serin)["stage"], "off");
    let none = serin.ask("GET", "/api/v1/services/shop/migration/deadLetters", "");
    assert_eq!(none.text(), r#"{"deadLetters":[]}"#);
    let none = serin.ask("POST", "/api/v1/services/shop/migration/deadLetters", r#"{"action":"retry","number":7}"#);
    assert_eq!(none.status, 404);
}

#[test]
fn the_command_line_moves_a_migration_and_says_how_far_it_is() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, ""));
    let run = |args: &[&str]| {
        let done = command(&[&["migration"], args, &["--admin", &serin.admin_url()]].concat());
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, text) = run(&["set", "shop", "dualWrite", "--share", "10%", "--reason", "it begins"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("shop: old → new, stage dualWrite for 10% of its keys\n"), "{text}");
    assert!(text.contains("writes go to old, then new") && text.contains("of the ledger"), "{text}");
    let (code, text) = run(&["status", "shop", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status["stage"].as_str(), status["next"].as_str()), (Some("dualWrite"), Some("dualWrite")));
    assert_eq!(run(&["dead-letters", "shop"]), (Some(0), "no dead letters\n".to_owned()));
    let (code, text) = run(&["set", "shop", "half", "--reason", "why not"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("expected one of: off, dualWrite"), "{text}");
    assert_eq!(send(&serin, "GET", "/items/1", "", "").status, 404);
}
