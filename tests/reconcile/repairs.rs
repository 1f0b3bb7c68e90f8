//! How disagreements are mended: by copies where both sides represent things alike, by writes sent again, or not at all.

use serde_json::{Value, json};

use crate::stores::{DIFF, Shape};
use crate::support::eventually;
use crate::support::serin::Serin;
use crate::{CALLS, Place, key, reconcile, reconciled, write};

/// By these rules the parts of a name, which only the new version shows, are seen.
const SEEN: &str = "diff: { ignore: [ $.at ] }";
const QUIET: &str = "verifyRate: 0/s";
const ALL: [&str; 5] = ["--sample", "100%", "--repair", "--rate", "5000/s"];

fn why(view: &Value) -> &str {
    let samples = view["samples"].as_array().expect("samples");
    samples.iter().find_map(|sample| sample["why"].as_str()).unwrap_or_else(|| panic!("no reason in {view}"))
}

#[test]
fn what_the_sides_represent_in_different_ways_is_not_copied() {
    let place = Place::new(40);
    place.new.put(Shape::Split, &key(3), "Eve Lovelace3", None);
    place.new.remove(&key(5));
    let before = place.new.names();
    let serin = place.start_as("dualWrite", SEEN, &format!("{CALLS}, {QUIET}"), "");
    let (code, view) = reconciled(&serin, &ALL);
    assert_eq!((code, &view["counts"]["repaired"], &view["counts"]["unrepaired"]), (Some(1), &json!(0), &json!(40)));
    let why = why(&view);
    assert!(why.contains("represent things differently") && why.contains("$.first"), "{why}");
    assert_eq!((place.new.writes(), place.new.names()), (0, before), "nothing was written");
}

#[test]
fn while_nothing_is_known_one_key_is_tried_before_any_other() {
    let place = Place::new(40);
    for n in 0..40 {
        place.new.remove(&key(n));
    }
    let serin = place.start_as("dualWrite", SEEN, &format!("{CALLS}, {QUIET}"), "");
    let (_, view) = reconciled(&serin, &ALL);
    assert_eq!((&view["counts"]["missing"], &view["counts"]["unrepaired"]), (&json!(40), &json!(40)), "{view}");
    assert_eq!(place.new.writes(), 1);
    // Where what only one side shows does not matter, the rest follows the first.
    let place = Place::new(40);
    for n in 0..40 {
        place.new.remove(&key(n));
    }
    let serin = place.start("dualWrite");
    let (code, view) = reconciled(&serin, &ALL);
    assert_eq!((code, &view["counts"]["repaired"]), (Some(0), &json!(40)), "{view}");
    assert!(place.is_equal());
}

#[test]
fn who_says_that_both_take_the_same_is_believed() {
    let place = Place::new(30);
    place.new.put(Shape::Split, &key(3), "Eve Lovelace3", None);
    let serin = place.start_as("dualWrite", SEEN, &format!("{CALLS}, {QUIET}, repair: copy"), "");
    let (code, view) = reconciled(&serin, &ALL);
    assert_eq!((code, place.new.writes()), (Some(1), 30), "{view}");
    assert!(place.is_equal());
    assert!(why(&view).contains("it was taken, and still differs at $.first"), "{view}");
}

#[test]
fn nothing_is_repaired_where_that_is_said() {
    let place = Place::new(3);
    let read = format!("read: {{ path: \"/items/{{key}}\" }}, {QUIET}, repair: none");
    let serin = place.start_as("dualWrite", DIFF, &read, "");
    let file = place.state.path().join("keys.txt");
    std::fs::write(&file, key(1)).expect("a file");
    let out = reconcile(&serin, &["--keys", &file.display().to_string(), "--repair"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("`repair: none`"), "{said}");
}

fn dead_letters(serin: &Serin) -> u64 {
    let view: Value =
        serde_json::from_str(&serin.ask("GET", "/api/v1/services/shop/migration", "").text()).expect("JSON");
    view["journal"]["deadLetters"].as_u64().expect("a number")
}

#[test]
fn writes_that_the_journal_still_has_are_sent_again_as_they_were() {
    let place = Place::new(10);
    let calls = format!("read: {{ path: \"/items/{{key}}\" }}, {QUIET}, repair: resend");
    let serin = place.start_as("dualWrite", DIFF, &calls, "journal: { tries: 1, backoff: { initial: 1ms, max: 2ms } }");
    place.new.set_down(true);
    for n in 0..3 {
        write(&serin, n, &format!("Grace Hopper{n}"));
    }
    eventually("dead letters", || (dead_letters(&serin) == 3).then_some(()));
    let journal = ["--from-journal", "--repair", "--rate", "5000/s"];
    place.new.set_down(false);
    // Of this one the journal knows nothing.
    place.new.put(Shape::Split, &key(7), "Eve Lovelace7", None);
    let file = place.state.path().join("keys.txt");
    std::fs::write(&file, key(7)).expect("a file");
    let (_, view) = reconciled(&serin, &["--keys", &file.display().to_string(), "--repair"]);
    assert_eq!(view["counts"]["unrepaired"], 1, "{view}");
    assert!(why(&view).contains("the journal has no write of it for new any more"), "{view}");
    place.new.put(Shape::Split, &key(7), "Ada Lovelace7", None);
    let (code, view) = reconciled(&serin, &journal);
    assert_eq!((&view["counts"]["repaired"], &view["counts"]["agreed"]), (&json!(3), &json!(1)), "{view}");
    assert_eq!(code, Some(0), "{view}");
    assert!(place.is_equal());
    assert_eq!((dead_letters(&serin), place.new.writes()), (0, 3));
    let sent = place.new.upstream.requests();
    let last = sent.iter().rev().find(|request| request.request_line().starts_with("PUT")).expect("a write");
    assert!(last.header("idempotency-key").is_some(), "as the client's own");
}
