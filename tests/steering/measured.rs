//! Requests measured by the variant of a flag.

use super::serin;
use crate::support::client::{Raw, get};
use crate::support::load::{ask, await_metric};
use crate::support::upstream::Upstream;

const COUNT: &str = "serin_variant_request_duration_seconds_count";

#[test]
fn latency_and_failures_are_kept_apart_by_variant_within_a_version() {
    // Who sees the red button gets errors.
    let upstream = Upstream::scripted(|connection| {
        while let Some(request) = connection.request() {
            let red = request.header("x-serin-flag-button").as_deref() == Some("red");
            connection.send(format!("HTTP/1.1 {} x\r\ncontent-length: 0\r\n\r\n", if red { 500 } else { 200 }));
        }
    });
    let flags = "flags:\n  button:\n    state: ENABLED\n    variants: { red: red, blue: blue }\n    targeting: { if: [ { \"==\": [ { \
                 var: x-button }, red ] }, red, { \"==\": [ { var: x-button }, blue ] }, blue ] }\n";
    let top = "flagContext: { attributes: [ { header: x-button } ] }\n";
    let serin = serin(&[("v1", &upstream)], "    measureBy: button\n", top, "    flags: [button]\n", flags);
    let mut connection = Raw::connect(serin.web());
    for (button, times) in [("red", 3), ("blue", 5), ("green", 2)] {
        for _ in 0..times {
            ask(&mut connection, &format!("x-button: {button}\r\n"));
        }
    }
    let labels = ["service=\"shop\"", "version=\"v1\"", "flag=\"button\""];
    for (variant, code, count) in [("red", "5xx", 3.0), ("blue", "2xx", 5.0), ("none", "2xx", 2.0)] {
        let own = [format!("variant=\"{variant}\""), format!("code=\"{code}\"")];
        let all: Vec<&str> = labels.into_iter().chain(own.iter().map(String::as_str)).collect();
        await_metric(&serin, COUNT, &all, count);
    }
    await_metric(&serin, COUNT, &[], 10.0);
    await_metric(&serin, "serin_requests_total", &[], 10.0);
}

#[test]
fn figures_of_a_variant_survive_an_edit_and_what_is_not_measured_has_none() {
    let upstream = Upstream::named("v1");
    let of = |names: &str, default: &str| {
        format!("flags: {{ button: {{ state: ENABLED, variants: {names}, defaultVariant: {default} }} }}\n")
    };
    let serin = serin(&[("v1", &upstream)], "    measureBy: button\n", "", "", &of("{ a: 1, b: 2 }", "a"));
    get(serin.web(), "/", "");
    await_metric(&serin, COUNT, &["variant=\"a\""], 1.0);
    assert_eq!(upstream.last().header("x-serin-flag-button"), None, "it is measured by, and sent to nobody");
    std::fs::write(serin.path("flags.yaml"), of("{ b: 2, c: 3 }", "c")).expect("an edit");
    crate::support::eventually("the other variant", || {
        get(serin.web(), "/", "");
        (serin.metric(COUNT, &["variant=\"c\""]) > 0.0).then_some(())
    });
    assert!(serin.metric(COUNT, &["variant=\"a\""]) >= 1.0);
    assert_eq!(serin.metric(COUNT, &["variant=\"b\""]), 0.0);
}
