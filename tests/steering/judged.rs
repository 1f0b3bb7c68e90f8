//! An experiment within one version: the variants of a flag judged like canaries.

use serde_json::Value;

use super::serin_with;
use crate::support::client::Raw;
use crate::support::eventually;
use crate::support::load::ask;
use crate::support::serin::{Serin, command};
use crate::support::upstream::Upstream;

/// Who sees the red button gets errors; everybody else is well.
fn upstream() -> Upstream {
    Upstream::scripted(|connection| {
        while let Some(request) = connection.request() {
            let red = request.header("x-serin-flag-button").as_deref() == Some("red");
            connection.send(format!("HTTP/1.1 {} x\r\ncontent-length: 0\r\n\r\n", if red { 500 } else { 200 }));
        }
    })
}

/// A flag whose variant is what `x-button` says, else `blue`.
fn button(metadata: &str, other: &str) -> String {
    format!(
        "flags:\n  button:\n    state: ENABLED\n    {metadata}variants: {{ red: red, blue: blue, {other}: {other} }}\n    \
         defaultVariant: blue\n    targeting: {{ var: x-button }}\n"
    )
}

fn start(upstream: &Upstream, measure_by: &str) -> Serin {
    let top = "flagContext: { attributes: [ { header: x-button } ] }\n";
    let service = format!("    measureBy: {measure_by}\n");
    let flags = button("", "green");
    serin_with(&[("v1", upstream)], &service, top, "    flags: [button]\n", &[("flags.yaml", &flags)])
}

fn press(serin: &Serin, button: &str, times: usize) {
    let mut connection = Raw::connect(serin.web());
    for _ in 0..times {
        ask(&mut connection, &format!("x-button: {button}\r\n"));
    }
}

fn experiment(serin: &Serin) -> Value {
    let answer = serin.ask("GET", "/api/v1/services/shop", "");
    let mut service: Value = serde_json::from_slice(&answer.body).expect("JSON");
    service["experiment"].take()
}

/// What is said of a variant.
fn of<'a>(experiment: &'a Value, variant: &str) -> &'a Value {
    let variants = experiment["variants"].as_array().expect("variants");
    variants.iter().find(|said| said["to"] == variant).expect(variant)
}

/// Requests of a variant that its failures are counted among.
fn counted(experiment: &Value, variant: &str) -> Option<u64> {
    of(experiment, variant)["metrics"][0]["new"]["n"].as_u64()
}

#[test]
fn a_variant_that_fails_is_regressed_and_one_that_is_no_worse_is_not() {
    let upstream = upstream();
    let serin = start(&upstream, "button");
    assert_eq!(of(&experiment(&serin), "red")["verdict"], "inconclusive");
    for (button, times) in [("blue", 200), ("red", 60), ("green", 200)] {
        press(&serin, button, times);
    }
    let view = eventually("all to be counted", || {
        let view = experiment(&serin);
        (counted(&view, "red") == Some(60) && counted(&view, "green") == Some(200)).then_some(view)
    });
    assert_eq!((&view["flag"], &view["baseline"]), (&"button".into(), &"blue".into()), "the default: {view:#}");
    let (red, green) = (of(&view, "red"), of(&view, "green"));
    assert_eq!((&red["verdict"], &red["from"]), (&"regressed".into(), &"blue".into()), "{view:#}");
    assert_ne!(green["verdict"], "regressed", "{view:#}");
    assert!(view["variants"].as_array().is_some_and(|all| all.len() == 2), "the baseline is not beside itself");
    assert_eq!(red["metrics"][0]["old"]["n"], 200);

    let status = command(&["status", "--admin", &serin.admin_url()]);
    let said = String::from_utf8(status.stdout).expect("text");
    assert!(said.contains("flag button: red beside blue: regressed: red fails 100 % of its"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let json = command(&["status", "--json", "--admin", &serin.admin_url()]);
    assert!(String::from_utf8_lossy(&json.stdout).contains(r#""experiment":{"flag":"button""#));
    let of_red = ["service=\"shop\"", "flag=\"button\"", "variant=\"red\""];
    for (verdict, value) in [("regressed", 1.0), ("healthy", 0.0), ("inconclusive", 0.0)] {
        let verdict = format!("verdict=\"{verdict}\"");
        let labels: Vec<&str> = of_red.into_iter().chain([verdict.as_str()]).collect();
        assert_eq!(serin.metric("serin_variant_verdict", &labels), value, "{labels:?}");
    }
}

#[test]
fn another_definition_of_the_flag_is_another_experiment_and_other_metadata_is_not() {
    let upstream = upstream();
    let serin = start(&upstream, "{ flag: button, baseline: green }");
    press(&serin, "green", 100);
    press(&serin, "red", 60);
    let regressed = |serin: &Serin| {
        let view = experiment(serin);
        (of(&view, "red")["verdict"] == "regressed").then_some(view)
    };
    let view = eventually("a verdict", || regressed(&serin));
    assert_eq!(view["baseline"], "green", "as `measureBy` says");
    assert_eq!(of(&view, "blue")["from"], "green");
    let generation = |serin: &Serin| {
        let all: Value = serde_json::from_slice(&serin.ask("GET", "/api/v1/services", "").body).expect("JSON");
        all["generation"].as_u64().expect("a generation")
    };
    let before = generation(&serin);
    std::fs::write(serin.path("flags.yaml"), button("metadata: { owner: shop }\n    ", "green")).expect("an edit");
    eventually("the flags to be in force", || (generation(&serin) > before).then_some(()));
    assert_eq!(counted(&experiment(&serin), "red"), Some(60), "the same experiment");
    std::fs::write(serin.path("flags.yaml"), button("", "pink")).expect("an edit");
    eventually("the flags to be in force", || (generation(&serin) > before + 1).then_some(()));
    let view = experiment(&serin);
    assert_eq!(view["problem"], "green is no variant of flag button", "{view:#}");
    assert!(serin.stderr().contains("flag `button` has no variant `green`: nothing is compared"), "{}", serin.stderr());
    std::fs::write(serin.path("flags.yaml"), button("", "green")).expect("an edit");
    let view = eventually("a new experiment", || {
        let view = experiment(&serin);
        view["problem"].is_null().then_some(view)
    });
    assert_eq!((counted(&view, "red"), &of(&view, "red")["verdict"]), (Some(0), &"inconclusive".into()), "{view:#}");
}
