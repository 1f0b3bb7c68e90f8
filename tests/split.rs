//! Who gets which version.

#![allow(clippy::float_cmp, reason = "counts are whole numbers, and shares are compared with what was set")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::client::Raw;
use support::load::{WITH_WEIGHTS, ask, named, shop, version_of};
use support::serin::{self, Serin};
use support::upstream::Upstream;

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

fn start(upstreams: &[Upstream; 2], service: &str, weights: &str) -> Serin {
    let config = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], service, WITH_WEIGHTS);
    Serin::with_files(&config, &[("weights.yaml", weights)])
}

fn users(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("user-{number}"))
}

fn versions(serin: &Serin, count: usize) -> BTreeMap<String, String> {
    let mut connection = Raw::connect(serin.web());
    users(count).map(|user| (user.clone(), version_of(&mut connection, &user))).collect()
}

/// How far a share may be off at `sigmas` standard deviations.
fn bound(count: usize, share: f64, sigmas: f64) -> f64 {
    sigmas * (count as f64 * share * (1.0 - share)).sqrt()
}

#[test]
fn many_keys_are_shared_by_weight() {
    let upstreams = two();
    let serin = start(&upstreams, "", "shop: { old: 90, new: 10 }\n");
    let count = 4000;
    let new = versions(&serin, count).values().filter(|version| *version == "new").count() as f64;
    let off = (new - 0.1 * count as f64).abs();
    assert!(off <= bound(count, 0.1, 3.0), "{new} of {count} for a share of 0.1");
    assert_eq!(serin.metric("serin_picks_total", &["why=\"key\""]), count as f64);
}

#[test]
fn requests_without_a_key_are_drawn_by_weight() {
    let upstreams = two();
    let serin = start(&upstreams, "", "shop: { old: 70, new: 30 }\n");
    let count = 2000;
    let mut connection = Raw::connect(serin.web());
    let new = (0..count).filter(|_| named(&ask(&mut connection, "")) == "new").count() as f64;
    // Draws differ from run to run: six deviations are missed once in 500 million runs.
    let off = (new - 0.3 * f64::from(count)).abs();
    assert!(off <= bound(2000, 0.3, 6.0), "{new} of {count} for a share of 0.3");
    assert_eq!(serin.metric("serin_picks_total", &["why=\"draw\""]), f64::from(count));
}

#[test]
fn every_serin_gives_a_key_the_same_version_also_after_a_restart() {
    let upstreams = two();
    let weights = "shop: { old: 60, new: 40 }\n";
    let one = start(&upstreams, "", weights);
    let other = start(&upstreams, "", weights);
    let first = versions(&one, 300);
    assert_eq!(first.values().collect::<BTreeSet<_>>().len(), 2, "both versions are used");
    assert_eq!(first, versions(&other, 300));
    assert_eq!(first, versions(&one, 300), "asked again");
    drop((one, other));
    assert_eq!(first, versions(&start(&upstreams, "", weights), 300), "restarted");
}

#[test]
fn raising_a_weight_moves_users_only_toward_that_version() {
    let upstreams = two();
    let serin = start(&upstreams, "", "shop: { old: 80, new: 20 }\n");
    let before = versions(&serin, 400);
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 80, new: 60 }\n").expect("an edit");
    serin.await_share("shop", "new", 60.0 / 140.0);
    let after = versions(&serin, 400);
    let back = before.iter().filter(|(user, version)| *version == "new" && after[*user] == "old").count();
    let over = before.iter().filter(|(user, version)| *version == "old" && after[*user] == "new").count();
    assert_eq!(back, 0);
    assert!(over > 0);
}

#[test]
fn a_weight_of_0_gets_nothing_sticky_or_not() {
    let upstreams = two();
    let serin = start(&upstreams, "", "shop: { old: 1, new: 0 }\n");
    assert!(versions(&serin, 300).values().all(|version| version == "old"));
    let mut connection = Raw::connect(serin.web());
    assert!((0..300).all(|_| named(&ask(&mut connection, "")) == "old"));
    assert_eq!(upstreams[1].accepted(), 0);
}

#[test]
fn the_first_sticky_source_present_wins() {
    let upstreams = two();
    let sticky = "    sticky: [ { header: x-user-id }, { cookie: session }, { query: uid }, { clientIp: true } ]\n";
    let serin = start(&upstreams, sticky, "shop: { old: 1, new: 1 }\n");
    let of = versions(&serin, 60);
    let mut connection = Raw::connect(serin.web());
    let mut get = |target: &str, headers: &str| {
        connection.send(format!("GET {target} HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n"));
        named(&connection.response(false).expect("an answer"))
    };
    let old = of.iter().filter(|(_, version)| *version == "old");
    let new = of.iter().filter(|(_, version)| *version == "new");
    for ((one, _), (other, _)) in old.zip(new).take(8) {
        let cookie = format!("cookie: a=b; session={other}; c=d\r\n");
        assert_eq!(get("/", &cookie), "new", "the cookie alone");
        assert_eq!(get(&format!("/?a=b&uid={other}&c"), ""), "new", "the query alone");
        assert_eq!(get("/", &format!("{cookie}x-user-id: {one}\r\n")), "old", "the header before the cookie");
        assert_eq!(get(&format!("/?uid={one}"), &cookie), "new", "the cookie before the query");
        assert_eq!(get("/", &format!("x-user-id: \r\n{cookie}")), "new", "an empty value is none");
    }
    let by_address: BTreeSet<_> = (0..50).map(|_| get("/", "")).collect();
    assert_eq!(by_address.len(), 1, "one client address, one version");
    assert_eq!(serin.metric("serin_picks_total", &["why=\"draw\""]), 0.0);
}

#[test]
fn a_version_is_picked_by_hand_from_an_allowed_range_only() {
    for (range, allowed) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let upstreams = two();
        let service = format!("    override: {{ header: x-serin-version, from: [ {range} ] }}\n");
        let serin = start(&upstreams, &service, "shop: { old: 1, new: 0 }\n");
        let mut connection = Raw::connect(serin.web());
        let answer = ask(&mut connection, "x-serin-version: new\r\nx-user-id: u\r\n");
        assert_eq!(named(&answer), if allowed { "new" } else { "old" }, "from 127.0.0.1, allowed: {range}");
        let why = if allowed { "override" } else { "key" };
        assert_eq!(serin.metric("serin_picks_total", &[&format!("why=\"{why}\"")]), 1.0);
        let unknown = ask(&mut connection, "x-serin-version: newest\r\nx-user-id: u\r\n");
        assert_eq!(named(&unknown), "old", "a version that does not exist");
        assert_eq!(upstreams[0].last().headers("x-serin-version"), ["old"], "what the client said is replaced");
    }
}

#[test]
fn nobody_picks_by_hand_unless_the_service_says_so() {
    let upstreams = two();
    let serin = start(&upstreams, "", "shop: { old: 1, new: 0 }\n");
    let mut connection = Raw::connect(serin.web());
    assert_eq!(named(&ask(&mut connection, "x-serin-version: new\r\n")), "old");
}

#[test]
fn pick_says_what_the_running_proxy_does() {
    let upstreams = two();
    let serin = start(&upstreams, "", "shop: { old: 65, new: 35 }\n");
    let config = serin.path("serin.yaml").display().to_string();
    let users: Vec<_> = users(200).collect();
    let mut arguments = vec!["pick", "shop", "--config", &config];
    for user in &users {
        arguments.extend(["--key", user]);
    }
    let picked = serin::command(&arguments);
    assert!(picked.status.success(), "{picked:?}");
    let picked = String::from_utf8(picked.stdout).expect("text");
    let of = versions(&serin, 200);
    let expected: Vec<_> = users.iter().map(|user| format!("{user} {}", of[user])).collect();
    assert_eq!(picked.lines().collect::<Vec<_>>(), expected);
    assert_eq!(of.values().collect::<BTreeSet<_>>().len(), 2);
}
