//! Being told that flags have changed.

use serde_json::Value;

use crate::support::client::Raw;
use crate::support::eventually;
use crate::support::serin::Serin;
use crate::{EVENTS, with_flags};

const FLAGS: &str = "flags: { a: { state: ENABLED, variants: { x: 1, y: 2 }, defaultVariant: x } }\n";

/// A client that listens, knowing of the event `known`.
struct Listening(Raw);

impl Listening {
    fn new(serin: &Serin, known: &str) -> Self {
        let mut raw = Raw::connect(serin.address("ofrep"));
        let known = if known.is_empty() { String::new() } else { format!("last-event-id: {known}\r\n") };
        raw.send(format!("GET {EVENTS} HTTP/1.1\r\nhost: flags\r\naccept: text/event-stream\r\n{known}\r\n"));
        let head = raw.head().expect("a head");
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        raw.until(b"retry: 2000\n\n").expect("a time to try again");
        Self(raw)
    }

    /// The next event: its id and data.
    fn event(&mut self) -> (String, Value) {
        let text = self.0.until(b"}\n\n").expect("an event");
        let text = String::from_utf8(text).expect("text");
        let (_, event) = text.split_once("id: ").expect("an id");
        let (id, event) = event.split_once("\nevent: message\ndata: ").expect("a message");
        (id.to_owned(), serde_json::from_str(event).expect("JSON"))
    }
}

fn edit(serin: &Serin, flags: &str) {
    std::fs::write(serin.path("flags.yaml"), flags).expect("an edit");
}

#[test]
fn a_change_of_the_file_is_told() {
    let serin = with_flags(FLAGS);
    let mut listening = Listening::new(&serin, "");
    // What it asked before it listened may be old already.
    let (first, data) = listening.event();
    assert_eq!((&data["type"], &data["etag"]), (&"refetchEvaluation".into(), &format!("\"{first}\"").into()));
    assert!(data["lastModified"].as_u64().is_some_and(|seconds| seconds > 1_700_000_000), "{data}");
    edit(&serin, &FLAGS.replace("defaultVariant: x", "defaultVariant: y"));
    let (second, data) = listening.event();
    assert_ne!(first, second);
    assert_eq!(data["type"], "refetchEvaluation");
    assert_eq!(crate::evaluate(&serin, "a").1["value"], 2, "it is in force before it is told");
    // A file that is refused changes nothing; the next event is that of the one after it.
    edit(&serin, "flags: [");
    eventually("it to be refused", || {
        (serin.metric("serin_config_reload_total", &["flags.yaml", "refused"]) == 1.0).then_some(())
    });
    edit(&serin, FLAGS);
    assert_eq!(listening.event().0, first, "the same content, the same event");
}

#[test]
fn who_knows_of_the_last_change_is_told_of_the_next_one_only() {
    let serin = with_flags(FLAGS);
    let (known, _) = Listening::new(&serin, "").event();
    let mut up_to_date = Listening::new(&serin, &known);
    let (now, _) = Listening::new(&serin, "something-else").event();
    assert_eq!(now, known);
    edit(&serin, &FLAGS.replace("defaultVariant: x", "defaultVariant: y"));
    let (next, _) = up_to_date.event();
    assert_ne!(next, known);
}

#[test]
fn another_file_that_changes_is_no_news() {
    let serin = with_flags(FLAGS);
    let mut listening = Listening::new(&serin, "");
    let (first, _) = listening.event();
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 0, new: 1 }\n").expect("an edit");
    serin.await_share("shop", "new", 1.0);
    edit(&serin, &FLAGS.replace("defaultVariant: x", "defaultVariant: y"));
    assert_ne!(listening.event().0, first);
}

#[test]
fn the_end_of_serin_ends_it_properly() {
    let mut serin = with_flags(FLAGS);
    let mut listening = Listening::new(&serin, "");
    listening.event();
    serin.signal("TERM");
    assert_eq!(listening.0.rest(), b"\r\n0\r\n\r\n");
    assert!(serin.wait().success());
}

#[test]
fn open_streams_are_counted() {
    let serin = with_flags(FLAGS);
    assert_eq!(serin.metric("serin_ofrep_event_streams", &[]), 0.0);
    let _two = [Listening::new(&serin, ""), Listening::new(&serin, "")];
    assert_eq!(serin.metric("serin_ofrep_event_streams", &[]), 2.0);
}
