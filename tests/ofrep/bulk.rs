//! All flags at once, and their entity tag.

use serde_json::json;

use crate::support::client::Response;
use crate::support::eventually;
use crate::support::serin::Serin;
use crate::{BULK, ask, post, with_flags};

const FLAGS: &str = r#"
flags:
  zebra: { state: ENABLED, variants: { "on": true }, defaultVariant: "on" }
  apple: { state: DISABLED, variants: { "on": true }, defaultVariant: "on" }
  none: { state: ENABLED, variants: { "on": true } }
  staff: { state: ENABLED, variants: { "yes": true, "no": false }, defaultVariant: "no", targeting: { if: [ { "==": [ { var: role }, staff ] }, "yes" ] } }
  wrong: { state: ENABLED, variants: { a: 1 }, defaultVariant: a, targeting: { if: [ true, "b" ] } }
metadata: { team: shop }
"#;

fn bulk(serin: &Serin, context: &str, known: &str) -> Response {
    let headers = if known.is_empty() { vec![] } else { vec![("if-none-match", known)] };
    ask(serin, "POST", BULK, &headers, &format!(r#"{{"context":{context}}}"#))
}

fn etag(response: &Response) -> String {
    let etag = response.header("etag").expect("an entity tag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
    etag
}

#[test]
fn all_flags_come_in_the_order_of_the_file_with_errors_among_them() {
    let serin = with_flags(FLAGS);
    let (status, body) = post(&serin, BULK, r#"{"context":{"role":"staff"}}"#);
    assert_eq!(status, 200);
    let flags = body["flags"].as_array().expect("flags");
    let keys: Vec<&str> = flags.iter().filter_map(|flag| flag["key"].as_str()).collect();
    assert_eq!(keys, ["zebra", "apple", "none", "staff", "wrong"]);
    let metadata = json!({ "team": "shop" });
    assert_eq!(flags[1], json!({ "key": "apple", "reason": "DISABLED", "metadata": metadata }));
    assert_eq!(flags[2], json!({ "key": "none", "reason": "DEFAULT", "metadata": metadata }));
    let staff =
        json!({ "key": "staff", "reason": "TARGETING_MATCH", "value": true, "variant": "yes", "metadata": metadata });
    assert_eq!(flags[3], staff);
    assert_eq!((&flags[4]["errorCode"], flags[4]["errorDetails"].is_string()), (&json!("GENERAL"), true));
    assert_eq!(body["metadata"], metadata);
    let streams = json!([{ "type": "sse", "endpoint": { "requestUri": "/ofrep/v1/events" } }]);
    assert_eq!(body["eventStreams"], streams);
}

#[test]
fn metadata_is_left_out_where_there_is_none() {
    let serin = with_flags("flags: {}\n");
    let response = bulk(&serin, "{}", "");
    assert_eq!(
        response.text(),
        r#"{"flags":[],"eventStreams":[{"type":"sse","endpoint":{"requestUri":"/ofrep/v1/events"}}]}"#
    );
}

#[test]
fn who_has_the_answer_is_not_sent_it_again() {
    let serin = with_flags(FLAGS);
    let first = bulk(&serin, "{}", "");
    let tag = etag(&first);
    assert_eq!(etag(&bulk(&serin, "{}", "")), tag, "the same for the same");
    assert_eq!(etag(&bulk(&serin, r#"{"role":"guest"}"#, "")), tag, "for whoever it is the same");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = bulk(&serin, "{}", &known);
        assert_eq!((again.status, again.header("etag"), again.text()), (304, Some(&*tag), String::new()), "{known}");
        assert_eq!(again.header("content-type"), None);
    }
    let other = bulk(&serin, r#"{"role":"staff"}"#, &tag);
    assert_eq!(other.status, 200, "another user's flags are no news of one's own");
    assert_ne!(etag(&other), tag);
}

#[test]
fn a_change_of_the_file_changes_the_tag_only_where_it_changes_the_answer() {
    let serin = with_flags(FLAGS);
    let tag = etag(&bulk(&serin, "{}", ""));
    let applied = || serin.metric("serin_config_reload_total", &["flags.yaml", "applied"]);
    std::fs::write(serin.path("flags.yaml"), format!("{FLAGS}# a comment\n")).expect("an edit");
    eventually("the comment to be in force", || (applied() == 1.0).then_some(()));
    assert_eq!(bulk(&serin, "{}", &tag).status, 304);
    std::fs::write(serin.path("flags.yaml"), FLAGS.replace("apple: { state: DISABLED", "apple: { state: ENABLED"))
        .expect("an edit");
    eventually("the change to be in force", || (bulk(&serin, "{}", &tag).status == 200).then_some(()));
}

#[test]
fn ten_thousand_flags_are_answered() {
    use std::fmt::Write as _;
    let mut flags = "flags:\n".to_owned();
    for number in 0..10_000 {
        let _ = writeln!(flags, "  f{number}: {{ state: ENABLED, variants: {{ a: {number} }}, defaultVariant: a }}");
    }
    let serin = with_flags(&flags);
    let (status, body) = post(&serin, BULK, "{}");
    assert_eq!((status, body["flags"].as_array().map(Vec::len)), (200, Some(10_000)));
    assert_eq!(body["flags"][9_999]["value"], json!(9_999));
}
