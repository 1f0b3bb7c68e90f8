//! One flag: values, reasons, errors, methods, paths.

use serde_json::json;

use crate::support::client::Raw;
use crate::{BULK, EVENTS, SINGLE, ask, evaluate, post, with_flags};

const FLAGS: &str = r#"
flags:
  new-checkout: { state: ENABLED, variants: { "on": true, "off": false }, defaultVariant: "off" }
  banner: { state: ENABLED, variants: { plain: "Hello", loud: "HELLO" }, defaultVariant: plain }
  rate: { state: ENABLED, variants: { a: 3.0, b: 4.5 }, defaultVariant: a }
  limit: { state: ENABLED, variants: { a: 3, b: 9007199254740993 }, defaultVariant: b }
  theme: { state: ENABLED, variants: { dark: { color: "black", sizes: [1, 2.50] } }, defaultVariant: dark, metadata: { owner: web } }
  nothing: { state: ENABLED, variants: { a: 1 }, defaultVariant: null }
  none: { state: ENABLED, variants: { a: 1 } }
  retired: { state: DISABLED, variants: { a: 1 }, defaultVariant: a, metadata: { until: 2026 } }
  team/über flag: { state: ENABLED, variants: { a: 1 }, defaultVariant: a }
  staff: { state: ENABLED, variants: { "yes": true, "no": false }, defaultVariant: "no", targeting: { if: [ { ends_with: [ { var: email }, "@serin.example" ] }, "yes" ] } }
  wrong: { state: ENABLED, variants: { a: 1 }, defaultVariant: a, targeting: { if: [ true, "b" ] } }
  unknown-operator: { state: ENABLED, variants: { a: 1 }, defaultVariant: a, targeting: { explode: [ 1 ] } }
"#;

#[test]
fn a_flag_without_a_rule_is_static_and_its_value_keeps_its_form() {
    let serin = with_flags(FLAGS);
    for (key, value, variant) in [
        ("new-checkout", "false", "off"),
        ("banner", "\"Hello\"", "plain"),
        ("rate", "3.0", "a"),
        ("limit", "9007199254740993", "b"),
    ] {
        let response = ask(&serin, "POST", &format!("{SINGLE}{key}"), &[], "{}");
        let expected = format!(r#"{{"key":"{key}","reason":"STATIC","value":{value},"variant":"{variant}"}}"#);
        assert_eq!((response.status, response.text()), (200, expected));
    }
    let (status, theme) = evaluate(&serin, "theme");
    assert_eq!(status, 200);
    let value = json!({ "color": "black", "sizes": [1, 2.5] });
    let expected = json!({
        "key": "theme", "reason": "STATIC", "value": value, "variant": "dark", "metadata": { "owner": "web" },
    });
    assert_eq!(theme, expected);
}

#[test]
fn a_flag_without_a_default_and_a_disabled_one_leave_value_and_variant_out() {
    let serin = with_flags(FLAGS);
    for key in ["nothing", "none"] {
        assert_eq!(evaluate(&serin, key), (200, json!({ "key": key, "reason": "DEFAULT" })));
    }
    let retired = json!({ "key": "retired", "reason": "DISABLED", "metadata": { "until": 2026 } });
    assert_eq!(evaluate(&serin, "retired"), (200, retired));
}

#[test]
fn a_rule_sees_the_context() {
    let serin = with_flags(FLAGS);
    let staff = |context: &str| post(&serin, &format!("{SINGLE}staff"), &format!(r#"{{"context":{context}}}"#));
    let yes = json!({ "key": "staff", "reason": "TARGETING_MATCH", "value": true, "variant": "yes" });
    let no = json!({ "key": "staff", "reason": "DEFAULT", "value": false, "variant": "no" });
    assert_eq!(staff(r#"{"targetingKey":"u1","email":"ada@serin.example"}"#), (200, yes.clone()));
    assert_eq!(staff(r#"{"email":"ada@other.example"}"#), (200, no.clone()));
    assert_eq!(staff("{}"), (200, no.clone()));
    // Of a key that is there twice the last one holds.
    assert_eq!(staff(r#"{"email":"x","email":"ada@serin.example"}"#), (200, yes));
    assert_eq!(staff(r#"{"email":"ada@serin.example","email":"x"}"#), (200, no));
}

#[test]
fn errors_always_have_a_code_and_details() {
    let serin = with_flags(FLAGS);
    for (key, status, code) in [
        ("nope", 404, "FLAG_NOT_FOUND"),
        ("", 404, "FLAG_NOT_FOUND"),
        ("New-Checkout", 404, "FLAG_NOT_FOUND"),
        ("wrong", 400, "GENERAL"),
        ("unknown-operator", 400, "PARSE_ERROR"),
    ] {
        let (found, body) = evaluate(&serin, key);
        assert_eq!((found, &body["key"], &body["errorCode"]), (status, &json!(key), &json!(code)), "{body}");
        assert!(body["errorDetails"].as_str().is_some_and(|details| !details.is_empty()), "{body}");
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(3), "{body}");
    }
}

#[test]
fn keys_may_be_encoded_or_not() {
    let serin = with_flags(FLAGS);
    for key in ["team%2F%C3%BCber%20flag", "team/%c3%bcber%20flag", "team/über%20flag", "%74eam/%C3%BCber%20flag?x=1"]
    {
        let (status, body) = evaluate(&serin, key);
        assert_eq!((status, &body["key"]), (200, &json!("team/über flag")), "{key}");
    }
}

#[test]
fn other_methods_are_told_which_there_are() {
    let serin = with_flags(FLAGS);
    for (path, allowed) in
        [(BULK, "POST, OPTIONS"), (&format!("{SINGLE}banner"), "POST, OPTIONS"), (EVENTS, "GET, HEAD, OPTIONS")]
    {
        for method in ["PUT", "DELETE", "PATCH", "BREW"] {
            let response = ask(&serin, method, path, &[], "");
            assert_eq!((response.status, response.header("allow")), (405, Some(allowed)), "{method} {path}");
            assert!(response.text().contains("errorDetails"));
        }
        let options = ask(&serin, "OPTIONS", path, &[], "");
        assert_eq!((options.status, options.header("allow")), (204, Some(allowed)), "{path}");
    }
    assert_eq!(ask(&serin, "GET", BULK, &[], "").status, 405);
    assert_eq!(ask(&serin, "POST", EVENTS, &[], "{}").status, 405);
    let mut raw = Raw::connect(serin.address("ofrep"));
    raw.send(format!("HEAD {BULK} HTTP/1.1\r\nhost: flags\r\n\r\nHEAD {EVENTS} HTTP/1.1\r\nhost: flags\r\n\r\n"));
    assert_eq!(raw.response(true).map(|response| response.status), Some(405));
    let events = raw.response(true).expect("a head");
    assert_eq!((events.status, events.header("content-type")), (200, Some("text/event-stream")));
}

#[test]
fn there_is_nothing_elsewhere() {
    let serin = with_flags(FLAGS);
    for path in ["/", "/metrics", "/ofrep/v1/evaluate", "/ofrep/v1/evaluate/flagship", "/ofrep/v2/evaluate/flags"] {
        let (status, body) = post(&serin, path, "{}");
        assert_eq!((status, &body["errorCode"]), (404, &json!("GENERAL")), "{path}");
    }
}

#[test]
fn a_connection_is_used_again_and_requests_may_come_at_once() {
    let serin = with_flags(FLAGS);
    let mut raw = Raw::connect(serin.address("ofrep"));
    let request = format!("POST {SINGLE}banner HTTP/1.1\r\nhost: flags\r\ncontent-length: 2\r\n\r\n{{}}");
    raw.send(request.repeat(100));
    for _ in 0..100 {
        let response = raw.response(false).expect("an answer");
        assert_eq!(response.status, 200);
        assert!(response.text().contains("Hello"));
    }
}

#[test]
fn a_client_that_has_closed_its_sending_side_gets_its_answer() {
    let serin = with_flags(FLAGS);
    let mut raw = Raw::connect(serin.address("ofrep"));
    raw.send(format!("POST {SINGLE}banner HTTP/1.1\r\nhost: flags\r\ncontent-length: 2\r\n\r\n{{}}")).finish();
    assert_eq!(raw.response(false).map(|response| response.status), Some(200));
    assert!(raw.is_closed());
}

#[test]
fn evaluations_and_requests_are_counted() {
    let serin = with_flags(FLAGS);
    for _ in 0..3 {
        evaluate(&serin, "banner");
    }
    for key in ["retired", "wrong", "nope"] {
        evaluate(&serin, key);
    }
    post(&serin, BULK, "{}");
    let count = |flag: &str, variant: &str, reason: &str| {
        let labels = [format!("flag=\"{flag}\""), format!("variant=\"{variant}\""), format!("reason=\"{reason}\"")];
        serin.metric("serin_flag_evaluations_total", &labels.each_ref().map(String::as_str))
    };
    assert_eq!(count("banner", "plain", "STATIC"), 4.0);
    assert_eq!(count("retired", "", "DISABLED"), 2.0);
    assert_eq!(count("wrong", "", "ERROR"), 2.0);
    assert_eq!(serin.metric("serin_flag_evaluations_total", &["nope"]), 0.0);
    let requests = |kind: &str, code: &str| {
        serin.metric("serin_ofrep_requests_total", &[&format!("kind=\"{kind}\""), &format!("code=\"{code}\"")])
    };
    let counted =
        [requests("single", "200"), requests("single", "400"), requests("single", "404"), requests("bulk", "200")];
    assert_eq!(counted, [4.0, 1.0, 1.0, 1.0]);
    let scrape = "GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\naccept: application/vnd.google.protobuf;\
                  proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n\r\n";
    let protobuf = crate::support::client::request(serin.admin(), scrape).body;
    for name in ["serin_flag_evaluations_total", "serin_ofrep_requests_total"] {
        assert!(protobuf.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
}
