//! Version affinity down a chain: two serins in a row give a request the same version of a service.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::collections::BTreeSet;

use support::client::{Raw, get};
use support::load::{WITH_WEIGHTS, ask, await_metric, named, shop, shop_at};
use support::serin::Serin;
use support::upstream::Upstream;

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

/// The serin in front of the two versions: by itself it would always pick `old`.
fn inner(upstreams: &[Upstream; 2], service: &str, weights: &str) -> Serin {
    let config = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], service, WITH_WEIGHTS);
    Serin::with_files(&config, &[("weights.yaml", weights)])
}

const FOLLOWS: &str = "    follow: baggage\n    followFrom: [ 127.0.0.0/8 ]\n";
const MOSTLY_OLD: &str = "shop: { old: 1000, new: 0.001 }\n";

#[test]
fn a_request_meets_the_same_version_all_the_way_down_a_chain() {
    let upstreams = two();
    let inner = inner(&upstreams, FOLLOWS, MOSTLY_OLD);
    let url = format!("\"http://{}\"", inner.web());
    let edge = "    follow: baggage\n    followFrom: []\n    weights: { old: 1, new: 1 }\n";
    let outer = Serin::new(&shop_at(&[("old", url.clone()), ("new", url)], edge, ""));
    let mut connection = Raw::connect(outer.web());
    let mut met = BTreeSet::new();
    for user in 0..40 {
        let answer = ask(&mut connection, &format!("x-user-id: user-{user}\r\nbaggage: tenant=a\r\n"));
        let version = answer.text();
        assert_eq!(answer.header("x-serin-version"), Some(version.as_str()), "both serins say the same");
        let upstream = &upstreams[usize::from(version == "new")];
        assert_eq!(upstream.last().headers("baggage"), [format!("tenant=a,serin.shop={version}")]);
        met.insert(version);
    }
    assert_eq!(met.len(), 2, "{met:?}");
    assert_eq!(inner.metric("serin_picks_total", &["why=\"follow\""]), 40.0);
    assert_eq!(outer.metric("serin_picks_total", &["why=\"key\""]), 40.0);
}

#[test]
fn baggage_does_not_keep_a_version_alive_that_was_rolled_back() {
    let upstreams = two();
    let serin = inner(&upstreams, FOLLOWS, MOSTLY_OLD);
    let mut connection = Raw::connect(serin.web());
    assert_eq!(named(&ask(&mut connection, "baggage: serin.shop=new\r\nx-user-id: u\r\n")), "new");
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 1, new: 0 }\n").expect("an edit");
    serin.await_share("shop", "new", 0.0);
    assert_eq!(named(&ask(&mut connection, "baggage: serin.shop=new\r\nx-user-id: u\r\n")), "old");
    assert_eq!(upstreams[0].last().headers("baggage"), ["serin.shop=old"], "the truth goes on");
    assert_eq!(named(&ask(&mut connection, "baggage: serin.shop=newest\r\nx-user-id: u\r\n")), "old");
    await_metric(&serin, "serin_picks_total", &["why=\"follow\""], 1.0);
}

#[test]
fn a_choice_by_hand_comes_before_what_is_followed() {
    let upstreams = two();
    let service = format!("{FOLLOWS}    override: {{ from: [ 127.0.0.0/8 ] }}\n");
    let serin = inner(&upstreams, &service, MOSTLY_OLD);
    assert_eq!(get(serin.web(), "/", "baggage: serin.shop=new\r\nx-serin-version: old\r\n").text(), "old");
    assert_eq!(upstreams[0].last().headers("baggage"), ["serin.shop=old"]);
}

#[test]
fn a_stranger_is_not_followed_and_its_word_goes_no_further() {
    for (service, top, is_trusted) in [
        ("    follow: baggage\n    followFrom: [ 10.0.0.0/8 ]\n", "", false),
        ("    follow: baggage\n", "", false),
        ("    follow: baggage\n", "forwarded: { trust: [ 127.0.0.0/8 ] }\n", true),
    ] {
        let upstreams = two();
        let config = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], service, &(top.to_owned() + WITH_WEIGHTS));
        let serin = Serin::with_files(&config, &[("weights.yaml", MOSTLY_OLD)]);
        let answer = get(serin.web(), "/", "baggage: serin.shop=new,a=b;p\r\nbaggage: serin.cart=blue\r\n");
        assert_eq!(answer.text(), if is_trusted { "new" } else { "old" }, "{service}{top}");
        let passed = upstreams[usize::from(is_trusted)].last().headers("baggage");
        if is_trusted {
            assert_eq!(passed, ["serin.shop=new,a=b;p", "serin.cart=blue"], "right already");
        } else {
            assert_eq!(passed, ["a=b;p,serin.shop=old"]);
        }
    }
}

#[test]
fn without_follow_baggage_is_nobodys_business() {
    let upstreams = two();
    let serin = inner(&upstreams, "", MOSTLY_OLD);
    let sent = ["serin.shop=new, a = b;p", "serin.cart=blue"];
    assert_eq!(get(serin.web(), "/", &format!("baggage: {}\r\nbaggage: {}\r\n", sent[0], sent[1])).text(), "old");
    assert_eq!(upstreams[0].last().headers("baggage"), sent);
}
