//! What may be in a body, and what is said of what may not.

use serde_json::json;

use crate::support::client::Raw;
use crate::{BULK, SINGLE, ask, post, with_flags, with_flags_and};

const FLAGS: &str = "flags: { a: { state: ENABLED, variants: { x: 1 }, defaultVariant: x } }\n";

#[test]
fn an_empty_body_and_a_missing_content_type_are_fine() {
    let serin = with_flags(FLAGS);
    let mut raw = Raw::connect(serin.address("ofrep"));
    // No length at all: there is no body.
    raw.send(format!("POST {SINGLE}a HTTP/1.1\r\nhost: flags\r\n\r\n"));
    assert_eq!(raw.response(false).map(|response| response.status), Some(200));
    for body in ["", "{}", r#"{"context":{}}"#, r#"{"context":{"a":null},"more":[1]}"#, "\n{ }\n"] {
        for content_type in ["application/json", "text/plain", ""] {
            let response = ask(&serin, "POST", &format!("{SINGLE}a"), &[("content-type", content_type)], body);
            assert_eq!(response.status, 200, "{body:?} {content_type:?}");
        }
    }
}

#[test]
fn a_body_may_come_in_chunks() {
    let serin = with_flags(FLAGS);
    let mut raw = Raw::connect(serin.address("ofrep"));
    raw.send(format!("POST {SINGLE}a HTTP/1.1\r\nhost: flags\r\ntransfer-encoding: chunked\r\n\r\n"));
    for piece in ["1\r\n{\r\n", "9\r\n\"context\"\r\n", "4\r\n:{}}\r\n", "0\r\n\r\n"] {
        raw.send(piece);
    }
    assert_eq!(raw.response(false).map(|response| response.status), Some(200));
}

#[test]
fn a_context_that_is_no_object_and_a_body_that_is_no_json_are_invalid() {
    let serin = with_flags(FLAGS);
    let deep = format!(r#"{{"context":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let wide = format!(r#"{{"context":{}"#, "[".repeat(900_000));
    for body in [
        "{",
        "nothing",
        "[]",
        "1",
        "\"\"",
        "null",
        r#"{"context":null}"#,
        r#"{"context":[]}"#,
        r#"{"context":"u"}"#,
        r#"{"context":1}"#,
        r#"{"context":{"a":NaN}}"#,
        r#"{"context":{"a":-Infinity}}"#,
        r#"{"context":{"a":1e999}}"#,
        r#"{"context":{}} x"#,
        "{\"context\":{\"a\":\"\u{1}\"}}",
        &deep,
        &wide,
    ] {
        let shown = &body[..body.len().min(40)];
        let (status, answer) = post(&serin, &format!("{SINGLE}a"), body);
        assert_eq!(
            (status, &answer["errorCode"], &answer["key"]),
            (400, &json!("INVALID_CONTEXT"), &json!("a")),
            "{shown}"
        );
        assert!(answer["errorDetails"].as_str().is_some_and(|details| details.len() < 300), "{shown}: {answer}");
        let (status, answer) = post(&serin, BULK, body);
        assert_eq!((status, &answer["errorCode"]), (400, &json!("INVALID_CONTEXT")), "{shown}");
        assert!(answer.get("key").is_none() && answer["errorDetails"].is_string(), "{shown}: {answer}");
    }
}

#[test]
fn a_body_that_is_no_text_is_invalid() {
    let serin = with_flags(FLAGS);
    let mut raw = Raw::connect(serin.address("ofrep"));
    let body = b"{\"context\":{\"a\":\"\xff\xfe\"}}";
    raw.send(format!("POST {SINGLE}a HTTP/1.1\r\nhost: flags\r\ncontent-length: {}\r\n\r\n", body.len())).send(body);
    let response = raw.response(false).expect("an answer");
    assert_eq!(response.status, 400);
    assert!(response.text().contains("INVALID_CONTEXT"), "{}", response.text());
}

#[test]
fn a_large_body_is_refused_without_being_read() {
    let serin = with_flags(FLAGS);
    for (path, has_key) in [(BULK, false), (&format!("{SINGLE}a"), true)] {
        // Nothing of it is ever sent.
        let mut raw = Raw::connect(serin.address("ofrep"));
        raw.send(format!(
            "POST {path} HTTP/1.1\r\nhost: flags\r\nexpect: 100-continue\r\ncontent-length: 10000000\r\n\r\n"
        ));
        let response = raw.head().expect("an answer");
        assert_eq!((response.status, response.header("connection")), (413, Some("close")));
        let length = response.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
        let body: serde_json::Value = serde_json::from_slice(&raw.exactly(length).expect("a body")).expect("JSON");
        assert_eq!(body.get("key").is_some(), has_key, "{body}");
        assert!(body["errorCode"].is_string() && body["errorDetails"].is_string(), "{body}");
        raw.finish();
        assert!(raw.is_closed());
        // All of it is sent, and the answer is there for the client that only looks then.
        let mut raw = Raw::connect(serin.address("ofrep"));
        raw.send(format!("POST {path} HTTP/1.1\r\nhost: flags\r\ncontent-length: 1500000\r\n\r\n"))
            .send("x".repeat(1_500_000));
        assert_eq!(raw.response(false).map(|response| response.status), Some(413));
        // It does not say how long it is.
        let mut raw = Raw::connect(serin.address("ofrep"));
        raw.send(format!("POST {path} HTTP/1.1\r\nhost: flags\r\ntransfer-encoding: chunked\r\n\r\n"));
        raw.send(format!("186a0\r\n{}\r\n", "x".repeat(100_000)).repeat(11));
        assert_eq!(raw.response(false).map(|response| response.status), Some(413));
    }
}

#[test]
fn the_largest_body_is_the_configured_one_to_the_byte() {
    let serin = with_flags_and(FLAGS, ", maxBody: 2KiB");
    let body = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
    let status = |length| ask(&serin, "POST", BULK, &[], &body(length)).status;
    assert_eq!([status(2047), status(2048), status(2049)], [200, 200, 413]);
    let serin = with_flags(FLAGS);
    let status = |length| ask(&serin, "POST", BULK, &[], &body(length)).status;
    assert_eq!([status(1_000_000), status(1_000_001)], [200, 413]);
}

#[test]
fn a_broken_body_is_answered_or_ended_and_nobody_else_is_hurt() {
    let serin = with_flags(FLAGS);
    let mut raw = Raw::connect(serin.address("ofrep"));
    raw.send(format!("POST {BULK} HTTP/1.1\r\nhost: flags\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"));
    assert!(raw.response(false).is_none_or(|response| response.status == 400));
    let mut raw = Raw::connect(serin.address("ofrep"));
    raw.send(format!("POST {BULK} HTTP/1.1\r\nhost: flags\r\ncontent-length: 100\r\n\r\n{{")).finish();
    assert!(raw.response(false).is_none_or(|response| response.status == 400));
    let mut raw = Raw::connect(serin.address("ofrep"));
    raw.send(format!("POST {BULK} HTTP/1.1\r\nhost: flags\r\n{}\r\n", "x-a: b\r\n".repeat(10_000)));
    assert!(raw.response(false).is_none_or(|response| response.status == 431));
    assert_eq!(post(&serin, BULK, "{}").0, 200);
}
