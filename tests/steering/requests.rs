//! What the upstream is told.

use std::fmt::Write;

use super::serin;
use crate::support::client::get;
use crate::support::eventually;
use crate::support::load::said;
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;

const STATIC: &str = r#"
flags:
  new-checkout: { state: ENABLED, variants: { "on": true, "off": false }, defaultVariant: "on" }
  Banner: { state: ENABLED, variants: { red: { colour: red, sizes: [1, 2] } }, defaultVariant: red }
  rate: { state: ENABLED, variants: { half: 0.5 }, defaultVariant: half }
  text: { state: ENABLED, variants: { a: "gr\u00fcn & gut" }, defaultVariant: a }
  bad text: { state: ENABLED, variants: { a: "line\nend" }, defaultVariant: a }
  disabled: { state: DISABLED, variants: { "on": true }, defaultVariant: "on" }
  no-default: { state: ENABLED, variants: { "on": true } }
  broken: { state: ENABLED, variants: { "on": true }, defaultVariant: "on", targeting: { no-such: [] } }
"#;

/// All lines about flags that the upstream got with its last request, by name.
fn told(upstream: &Upstream) -> Vec<String> {
    let head = upstream.last().head;
    let mut lines: Vec<_> = head.lines().filter(|line| line.to_lowercase().contains("serin-flag")).collect();
    lines.sort_unstable();
    lines.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_values_of_a_routes_flags_reach_its_upstream_and_flags_without_one_do_not() {
    let upstream = Upstream::named("v1");
    let flags = "new-checkout, Banner, rate, text, bad text, disabled, no-default, broken, missing";
    let serin = serin(&[("v1", &upstream)], "", "", &format!("    flags: [{flags}]\n"), STATIC);
    assert_eq!(get(serin.web(), "/", "").status, 200);
    assert_eq!(
        told(&upstream),
        [
            r#"x-serin-flag-banner: {"colour":"red","sizes":[1,2]}"#,
            "x-serin-flag-new-checkout: true",
            "x-serin-flag-rate: 0.5",
            "x-serin-flag-text: gr\u{fc}n & gut",
        ]
    );
    assert_eq!(serin.metric("serin_flag_evaluations_total", &["flag=\"new-checkout\"", "variant=\"on\""]), 1.0);
    assert_eq!(serin.metric("serin_flag_evaluations_total", &["flag=\"broken\"", "reason=\"ERROR\""]), 1.0);
    let said = said(&serin, "flag `missing`");
    assert!(said.contains("routes[0].flags[8]: there is no flag `missing`: no header is sent for it"), "{said}");
    assert!(
        said.contains("routes[0].flags[4]: the value of variant `a` of flag `bad text` is none that a header"),
        "{said}"
    );
}

#[test]
fn what_a_client_says_of_flags_is_removed_whatever_its_spelling_and_whatever_the_route() {
    let upstream = Upstream::named("v1");
    let other = "    flags: [new-checkout]\n  - service: shop\n    matches: [ { path: { value: /plain } } ]\n";
    let serin = serin(&[("v1", &upstream)], "", "", other, STATIC);
    let spoofed = "x-serin-flag-new-checkout: spoofed\r\nX-Serin-Flag-Other: 1\r\nx_serin_flag_new_checkout: 1\r\n\
                   x-serin-flag_rate: 1\r\nx-serin-flag-new-checkout: twice\r\nx-serin-flag-: 1\r\n";
    for (path, expected) in [("/", &["x-serin-flag-new-checkout: true"][..]), ("/plain", &[])] {
        assert_eq!(get(serin.web(), path, spoofed).status, 200);
        assert_eq!(told(&upstream), expected, "{path}");
    }
    // Not even by naming it as a header of this hop.
    assert_eq!(get(serin.web(), "/", "connection: x-serin-flag-new-checkout, close\r\n").status, 200);
    assert_eq!(told(&upstream), ["x-serin-flag-new-checkout: true"]);
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
                   trailer: x-serin-flag-other, x-kept\r\n\r\n\
                   1\r\nx\r\n0\r\nx-serin-flag-other: 1\r\nx-kept: 1\r\n\r\n";
    assert_eq!(crate::support::client::request(serin.web(), chunked).status, 200);
    eventually("the request's end", || {
        let bytes = upstream.bytes().concat();
        let text = String::from_utf8_lossy(&bytes);
        text.contains("x-kept: 1").then(|| assert!(!text.contains("serin-flag-other: 1"), "{text}"))
    });
}

#[test]
fn a_serin_without_flags_removes_what_clients_say_of_them_too() {
    let upstream = Upstream::named("v1");
    let serin = Serin::new(&crate::support::load::shop(&[("v1", &upstream)], "", ""));
    assert_eq!(get(serin.web(), "/", "x-serin-flag-new-checkout: 1\r\n").status, 200);
    assert_eq!(told(&upstream), [""; 0]);
}

/// A flag that is true where an attribute is just this.
fn asks(flags: &mut String, attribute: &str, value: &str) {
    let _ = write!(
        flags,
        "  is-{attribute}:\n    state: ENABLED\n    variants: {{ \"yes\": true, \"no\": false }}\n    defaultVariant: \"no\"\n    \
         targeting: {{ if: [ {{ \"==\": [ {{ var: {attribute} }}, \"{value}\" ] }}, \"yes\", \"no\" ] }}\n"
    );
}

#[test]
fn rules_see_of_a_request_what_is_named_and_nothing_else() {
    let sources = [
        ("country", "ch"),
        ("plan", "gold"),
        ("beta", "a b"),
        ("targetingKey", "user-7"),
        ("clientAddress", "127.0.0.1"),
        ("route", "front"),
        ("service", "shop"),
        ("version", "v1"),
        ("host", "shop.example"),
        ("path", "/cart"),
        ("method", "GET"),
    ];
    let mut flags = "flags:\n".to_owned();
    for (attribute, value) in sources {
        asks(&mut flags, attribute, value);
    }
    // What is in the request, and named nowhere.
    asks(&mut flags, "x-secret", "1");
    let keys: Vec<_> = sources.iter().map(|(attribute, _)| format!("is-{attribute}")).collect();
    let route = format!("    name: front\n    flags: [{}, is-x-secret]\n", keys.join(", "));
    let upstream = Upstream::named("v1");
    let top =
        "flagContext: { attributes: [ { header: x-country, as: country }, { cookie: plan }, { query: beta } ] }\n";
    let serin = serin(&[("v1", &upstream)], "", top, &route, &flags);
    let headers =
        "host: Shop.Example:80\r\nx-country: ch\r\ncookie: a=b; plan=gold\r\nx-user-id: user-7\r\nx-secret: 1\r\n";
    let ask = |path: &str, headers: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
        assert_eq!(crate::support::client::request(serin.web(), &request).status, 200);
        let told = told(&upstream);
        let yes = told.iter().filter(|line| line.ends_with(": true")).map(|line| line[13..line.len() - 6].to_owned());
        let yes: Vec<_> = yes.collect();
        assert_eq!(told.len(), sources.len() + 1);
        yes
    };
    let all = ask("/cart?beta=a%20b", headers);
    let expected: Vec<_> = {
        let mut names: Vec<_> =
            sources.iter().map(|(attribute, _)| format!("is-{}", attribute.to_lowercase())).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(all, expected);
    let few = ask("/other?beta=a", "host: a.example\r\nx-country: de\r\ncookie: plan=silver\r\n");
    assert_eq!(few, ["is-clientaddress", "is-method", "is-route", "is-service", "is-version"]);
}

#[test]
fn an_edit_of_the_flag_file_reaches_the_next_requests_and_a_broken_one_changes_nothing() {
    let upstream = Upstream::named("v1");
    let serin = serin(&[("v1", &upstream)], "", "", "    flags: [new-checkout]\n", STATIC);
    let saw = || {
        assert_eq!(get(serin.web(), "/", "").status, 200);
        told(&upstream)
    };
    assert_eq!(saw(), ["x-serin-flag-new-checkout: true"]);
    std::fs::write(serin.path("flags.yaml"), "flags: { new-checkout: [").expect("an edit");
    eventually("the refusal", || {
        (serin.metric("serin_config_reload_total", &["file=\"flags.yaml\"", "result=\"refused\""]) > 0.0).then_some(())
    });
    assert_eq!(saw(), ["x-serin-flag-new-checkout: true"]);
    let off = STATIC.replacen("defaultVariant: \"on\"", "defaultVariant: \"off\"", 1);
    std::fs::write(serin.path("flags.yaml"), off).expect("an edit");
    eventually("the other value", || (saw() == ["x-serin-flag-new-checkout: false"]).then_some(()));
    std::fs::write(serin.path("flags.yaml"), "flags: {}").expect("an edit");
    eventually("the flag to go", || saw().is_empty().then_some(()));
    said(&serin, "routes[0].flags[0]: there is no flag `new-checkout`");
}
