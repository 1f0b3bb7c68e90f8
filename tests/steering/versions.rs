//! Flags that pick the version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{app, serin};
use crate::support::client::{Raw, get};
use crate::support::eventually;
use crate::support::load::{ask, await_metric, named, version_of};
use crate::support::serin::{Serin, command};
use crate::support::upstream::Upstream;

/// A flag that deals users out, `new` to so many of a hundred.
fn dealt(new: u32) -> String {
    format!(
        "flags:\n  ver:\n    state: ENABLED\n    variants: {{ old: old, new: new }}\n    defaultVariant: old\n    targeting: {{ \
         fractional: [ {{ var: targetingKey }}, [ old, {} ], [ new, {new} ] ] }}\n",
        100 - new
    )
}

fn two() -> [Upstream; 2] {
    [app("old", "ver"), app("new", "ver")]
}

fn steered(apps: &[Upstream; 2], service: &str, flags: &str) -> Serin {
    serin(&[("old", &apps[0]), ("new", &apps[1])], service, "", "    flags: [ver]\n", flags)
}

/// The version that answers a user, which is the one that its flag named.
fn agreed(connection: &mut Raw, user: &str) -> String {
    let answer = ask(connection, &format!("x-user-id: {user}\r\n"));
    let version = named(&answer);
    assert_eq!(answer.header("x-saw"), Some(version.as_str()), "{user}");
    version
}

#[test]
fn whoever_sees_the_new_flag_gets_the_new_version_and_the_other_way_round() {
    let apps = two();
    let serin = steered(&apps, "    versionFrom: { flag: ver }\n    weights: { old: 1, new: 0 }\n", &dealt(30));
    let mut connection = Raw::connect(serin.web());
    let new = (0..2_000).filter(|user| agreed(&mut connection, &format!("user-{user}")) == "new").count();
    assert!((500..700).contains(&new), "{new} of 2,000 at 30 %");
    await_metric(&serin, "serin_picks_total", &["why=\"flag\""], 2_000.0);
    assert_eq!(serin.metric("serin_picks_total", &["why=\"key\""]), 0.0);
}

#[test]
fn flag_and_version_agree_while_the_flag_file_is_edited() {
    let apps = two();
    let serin = steered(&apps, "    versionFrom: { flag: ver }\n", &dealt(0));
    let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let clients = [0, 1].map(|client| {
        let (stop, asked, mut connection) = (Arc::clone(&stop), Arc::clone(&asked), Raw::connect(serin.web()));
        std::thread::spawn(move || {
            let mut seen = [0, 0];
            while !stop.load(Ordering::SeqCst) {
                let user = asked.fetch_add(1, Ordering::SeqCst) % 500;
                seen[usize::from(agreed(&mut connection, &format!("{client}-{user}")) == "new")] += 1;
            }
            seen
        })
    });
    let mut generation = 0;
    for new in [20, 40, 60, 80, 100, 50] {
        std::fs::write(serin.path("flags.yaml"), dealt(new)).expect("an edit");
        generation += 1;
        await_metric(
            &serin,
            "serin_config_reload_total",
            &["file=\"flags.yaml\"", "result=\"applied\""],
            f64::from(generation),
        );
        let from = asked.load(Ordering::SeqCst);
        eventually("some answers more", || (asked.load(Ordering::SeqCst) > from + 200).then_some(()));
    }
    stop.store(true, Ordering::SeqCst);
    let seen = clients.map(|client| client.join().expect("flag and version agree"));
    assert!(seen.iter().all(|[old, new]| *old > 50 && *new > 50), "{seen:?}");
}

#[test]
fn where_the_flag_names_no_version_the_weights_decide() {
    let apps = two();
    let all_new = "    versionFrom: { flag: ver }\n    weights: { old: 0, new: 1 }\n";
    let of = |variants: &str, default: &str| {
        format!("flags: {{ ver: {{ state: ENABLED, variants: {variants}, defaultVariant: {default} }} }}\n")
    };
    let serin = steered(&apps, all_new, &of("{ old: 1, other: 2, treatment: old }", "other"));
    let answer = || named(&get(serin.web(), "/", "x-user-id: u\r\n"));
    let put = |flags: &str, expected: &str| {
        std::fs::write(serin.path("flags.yaml"), flags).expect("an edit");
        eventually(&format!("{expected} by {flags}"), || (answer() == expected).then_some(()));
    };
    assert_eq!(answer(), "new", "no such version");
    put(&of("{ old: 1, other: 2, treatment: old }", "old"), "old");
    put("flags: {}", "new");
    put(&of("{ old: 1, other: 2, treatment: old }", "treatment"), "old");
    put(&of("{ old: 1 }", "old").replace("ENABLED", "DISABLED"), "new");
}

#[test]
fn a_choice_by_hand_comes_before_the_flag_and_the_flag_before_what_is_followed() {
    let apps = two();
    let service = "    versionFrom: { flag: ver }\n    weights: { old: 1000, new: 0.001 }\n    override: { from: [ 127.0.0.0/8 ] }\n    follow: baggage\n    followFrom: [ \
                   127.0.0.0/8 ]\n";
    let serin = steered(&apps, service, &dealt(0));
    let answer = |headers: &str| get(serin.web(), "/", &format!("x-user-id: u\r\n{headers}"));
    assert_eq!(named(&answer("baggage: serin.shop=new\r\n")), "old");
    let by_hand = answer("x-serin-version: new\r\n");
    assert_eq!(named(&by_hand), "new");
    // The flag stays what it is; which version it is, is said by `x-serin-version`.
    assert_eq!(by_hand.header("x-saw"), Some("old"));
    std::fs::write(serin.path("flags.yaml"), "flags: {}").expect("an edit");
    eventually("what is followed", || (named(&answer("baggage: serin.shop=new\r\n")) == "new").then_some(()));
}

/// A flag that is true for everybody, or for some countries.
fn kill(default: &str, targeting: &str) -> String {
    format!(
        "flags:\n  new-off:\n    state: ENABLED\n    variants: {{ \"on\": true, \"off\": false }}\n    defaultVariant: \
         \"{default}\"\n{targeting}"
    )
}

/// Three versions, the last of which has a kill switch.
fn killable(apps: &[(&str, &Upstream); 3], more: &str, flags: &str) -> Serin {
    let config = crate::support::load::shop(
        apps,
        &format!("    weights: {{ old: 40, mid: 30, new: 30 }}\n{more}"),
        "files: { flags: flags.yaml }\nflagContext: { attributes: [ { header: x-country } ] }\n",
    );
    let last = format!("new: {{ upstream: \"{}\"", apps[2].1.url());
    let config = config.replace(&last, &format!("{last}, killSwitch: {{ flag: new-off }}"));
    Serin::with_files(&config, &[("flags.yaml", flags)])
}

#[test]
fn a_kill_switch_takes_its_version_away_within_a_moment_and_moves_nobody_else() {
    let apps = ["old", "mid", "new"].map(|name| (name, Upstream::named(name)));
    let apps = apps.each_ref().map(|(name, app)| (*name, app));
    let serin = killable(&apps, "", &kill("off", ""));
    let mut connection = Raw::connect(serin.web());
    let mut all =
        |()| -> Vec<String> { (0..300).map(|user| version_of(&mut connection, &format!("u{user}"))).collect() };
    let before = all(());
    std::fs::write(serin.path("flags.yaml"), kill("on", "")).expect("an edit");
    let somebody = before.iter().position(|version| version == "new").expect("somebody on new");
    let mut other = Raw::connect(serin.web());
    eventually("new to be withdrawn", || (version_of(&mut other, &format!("u{somebody}")) != "new").then_some(()));
    let after = all(());
    for (user, (before, after)) in before.iter().zip(&after).enumerate() {
        assert!(after != "new" && (before == "new" || before == after), "user {user}: {before}, then {after}");
    }
    let moved = before.iter().filter(|version| *version == "new").count();
    assert!((60..130).contains(&moved), "{moved}");
    assert!(serin.metric("serin_picks_total", &["why=\"flag\""]) >= 60.0);
    std::fs::write(serin.path("flags.yaml"), kill("off", "")).expect("an edit");
    eventually("new to be back", || (version_of(&mut other, &format!("u{somebody}")) == "new").then_some(()));
    assert_eq!(all(()), before, "everybody is where they were");
}

#[test]
fn a_kill_switch_with_a_rule_is_for_some_requests_only() {
    let apps = ["old", "mid", "new"].map(|name| (name, Upstream::named(name)));
    let apps = apps.each_ref().map(|(name, app)| (*name, app));
    let rule = "    targeting: { if: [ { \"==\": [ { var: x-country }, ch ] }, \"on\", \"off\" ] }\n";
    let serin = killable(&apps, "    override: { from: [ 127.0.0.0/8 ] }\n", &kill("off", rule));
    let mut connection = Raw::connect(serin.web());
    let mut of = |country: &str, user: usize| {
        named(&ask(&mut connection, &format!("x-user-id: u{user}\r\nx-country: {country}\r\n")))
    };
    let mut seen = 0;
    for user in 0..100 {
        assert_ne!(of("ch", user), "new");
        seen += usize::from(of("de", user) == "new");
    }
    assert!(seen > 10, "{seen}");
    let by_hand = get(serin.web(), "/", "x-country: ch\r\nx-serin-version: new\r\n");
    assert_eq!(named(&by_hand), "new", "whoever chooses by hand wants to see that version");
}

#[test]
fn another_version_that_answers_for_the_one_of_the_flag_says_so_and_the_flag_stays() {
    let failing = Upstream::answering("HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n");
    let old = app("old", "ver");
    let service = "    versionFrom: { flag: ver }\n    measureBy: ver\n    fallback: { to: old, budget: 100% }\n";
    let serin = serin(&[("old", &old), ("new", &failing)], service, "", "    flags: [ver]\n", &dealt(100));
    let answer = get(serin.web(), "/", "x-user-id: u\r\n");
    assert_eq!((named(&answer).as_str(), answer.header("x-saw")), ("old", Some("new")));
    assert_eq!(failing.last().headers("x-serin-flag-ver"), ["new"], "every try carries the same");
    assert_eq!(old.last().headers("x-serin-version"), ["old"], "and the truth of who answers");
    assert_eq!(serin.metric("serin_flag_evaluations_total", &["flag=\"ver\""]), 1.0, "it was asked once");
    let measured = |labels: &[&str]| serin.metric("serin_variant_request_duration_seconds_count", labels);
    let of = |version: &str, code: &str| {
        measured(&[&format!("version=\"{version}\""), &format!("code=\"{code}\""), "variant=\"new\""])
    };
    eventually("both tries to be counted", || ((of("new", "5xx"), of("old", "2xx")) == (1.0, 1.0)).then_some(()));
}

#[test]
fn a_version_that_is_killed_answers_for_no_other() {
    let failing = Upstream::answering("HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n");
    let [mid, new] = ["mid", "new"].map(Upstream::named);
    let apps = [("old", &failing), ("mid", &mid), ("new", &new)];
    let fallback = "    fallback: { to: new, budget: 100% }\n    override: { from: [ 127.0.0.0/8 ] }\n";
    let serin = killable(
        &apps,
        &fallback.replace("    override", "    follow: baggage\n    followFrom: [ 127.0.0.0/8 ]\n    override"),
        &kill("off", ""),
    );
    let failing = || get(serin.web(), "/", "baggage: serin.shop=old\r\n").status;
    assert_eq!(failing(), 200);
    std::fs::write(serin.path("flags.yaml"), kill("on", "")).expect("an edit");
    eventually("the fallback to go", || (failing() == 503).then_some(()));
}

#[test]
fn the_status_and_the_command_line_say_what_flags_decide() {
    let apps = ["old", "mid", "new"].map(|name| (name, Upstream::named(name)));
    let apps = apps.each_ref().map(|(name, app)| (*name, app));
    let both = |default: &str| kill(default, "") + &dealt(50).replacen("flags:\n", "", 1);
    let serin = killable(&apps, "    versionFrom: { flag: ver }\n    measureBy: ver\n", &both("off"));
    let url = serin.admin_url();
    let status = || {
        let out = command(&["status", "--admin", &url]);
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let shown = status();
    assert!(shown.contains("flag ver: picks the version of each request by its rule"), "{shown}");
    assert!(shown.contains("flag new-off: kill switch of new, off"), "{shown}");
    let config = serin.path("serin.yaml").display().to_string();
    let pick = |context: &str| {
        let keys: Vec<String> = (0..50).map(|user| format!("u{user}")).collect();
        let mut args = vec!["pick", "shop", "--config", &config, "--context", context, "--key"];
        args.extend(keys.iter().map(String::as_str));
        let out = command(&args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains("the rules of flags decide, too"), "{said}");
        let lines = String::from_utf8_lossy(&out.stdout).into_owned();
        lines.lines().map(|line| line.rsplit(' ').next().expect("a version").to_owned()).collect::<Vec<_>>()
    };
    let mut connection = Raw::connect(serin.web());
    let mut asked = || (0..50).map(|user| version_of(&mut connection, &format!("u{user}"))).collect::<Vec<_>>();
    assert_eq!(pick("{}"), asked(), "the command line picks as requests are");

    std::fs::write(serin.path("flags.yaml"), both("on")).expect("an edit");
    let view = eventually("the kill switch in the API", || {
        let view: serde_json::Value =
            serde_json::from_str(&serin.ask("GET", "/api/v1/services/shop", "").text()).ok()?;
        (view["steering"]["killSwitches"][0]["on"] == true).then_some(view)
    });
    assert_eq!(view["steering"]["versionFrom"], serde_json::json!({ "flag": "ver", "says": "byRequest" }));
    assert_eq!(view["steering"]["measureBy"], "ver");
    assert_eq!(view["versions"][2]["effectiveShare"], 0.0);
    let shown = status();
    assert!(shown.contains("flag new-off: !!! new is KILLED for every request"), "{shown}");
    let picked = pick("{}");
    assert!(picked == asked() && !picked.contains(&"new".to_owned()), "{picked:?}");
    let bad = command(&["pick", "shop", "--config", &config, "--context", "[1]", "--key", "u"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bad.stderr).starts_with("--context: expected a JSON object"));
}
