//! What pages show, and how soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::browser::Browser;
use crate::support::client::request;
use crate::support::load::{Load, shop};
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::support::{OK, eventually};
use crate::{await_history, ledger, now, shop_with_weights};

const LOADED: &str = "performance.getEntriesByType('navigation')[0].loadEventEnd";

#[test]
fn pages_load_at_once_say_nothing_on_the_console_and_ask_nobody_else() {
    let Some(browser) = Browser::open() else { return };
    let (serin, _upstreams) = shop_with_weights();
    let load = Load::start(serin.web(), 2);
    for (page, heading) in [("/", "Services"), ("/#/service/shop", "shop")] {
        browser.go("about:blank");
        browser.show(&format!("{}{page}", serin.admin_url()));
        let took = browser.until("the page to be loaded", LOADED).as_f64().expect("milliseconds");
        eprintln!("{page}: loaded within {took:.0} ms (300 ms are wanted on a machine that does nothing else)");
        assert!(took < 3000.0, "{page}: {took} ms");
        assert_eq!(browser.value("document.querySelector('h1').textContent"), heading);
        browser.until("figures of new", "/\\d/.test(document.querySelector('tbody tr:nth-child(2) td')?.textContent)");
    }
    browser.until("the latency to be drawn", "!!document.querySelector('.plot canvas')");
    browser.until("the ledger", "/as the files say/.test(document.querySelector('main').textContent)");
    browser.clean();
    load.stop();
}

#[test]
fn the_page_is_told_from_the_list_for_programs_and_known_files_are_not_sent_again() {
    let (serin, _upstreams) = shop_with_weights();
    let get = |path: &str, headers: &str| {
        request(serin.admin(), &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n"))
    };
    assert!(get("/", "").text().contains("GET /api/v1/ledger"));
    let page = get("/", "accept: text/html,*/*;q=0.8\r\n");
    assert!(page.text().starts_with("<!doctype html>"), "{}", page.text());
    let policy = page.header("content-security-policy").expect("a policy");
    for part in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let script = get("/assets/main.js", "");
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let tag = script.header("etag").expect("a tag");
    let again = get("/assets/main.js", &format!("if-none-match: {tag}\r\n"));
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)));
    assert_eq!(get("/assets/nothing.js", "").status, 404);
    assert_eq!(get("/assets/..%2f..%2fCargo.toml", "").status, 404);
}

#[test]
fn an_edit_of_the_weight_file_shows_within_a_moment() {
    let Some(browser) = Browser::open() else { return };
    let (serin, _upstreams) = shop_with_weights();
    browser.show(&format!("{}/#/service/shop", serin.admin_url()));
    browser.until("the shares", "/new 5.0 %/.test(document.querySelector('.bar')?.ariaLabel)");
    await_history(&serin);
    browser.watch_for("/new 40.0 %/.test(document.querySelector('.bar')?.ariaLabel)");
    let written = now();
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 60, new: 40 }\n").expect("a file");
    let took = browser.seen("the edit") - written;
    eprintln!("an edit of the file is in the page after {took:.0} ms (1,000 ms are allowed)");
    assert!((0.0..5000.0).contains(&took), "{took} ms");
    browser.until("its mark", "!!document.querySelector('.mark')");
    let mark = browser.value("[...document.querySelectorAll('.mark')].at(-1).ariaLabel");
    assert!(mark.as_str().is_some_and(|text| text.contains("old 95 / new 5 → old 60 / new 40")), "{mark}");
}

#[test]
fn a_rollback_shows_within_a_moment_with_its_reason() {
    let Some(browser) = Browser::open() else { return };
    let bad = Arc::<AtomicBool>::default();
    let told = Arc::clone(&bad);
    let old = Upstream::answering(OK);
    let new = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let fails = told.load(Ordering::SeqCst);
            connection.send(if fails { "HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno" } else { OK });
        }
    });
    let rollout = "    rollout: { from: old, to: new, steps: [ { weight: 20, bake: 1h } ] }\n";
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], rollout, ""));
    let load = Load::start(serin.web(), 4);
    browser.show(&format!("{}/#/service/shop", serin.admin_url()));
    browser.press("Start");
    browser.fill("dialog [name=reason]", "release 9");
    browser.press("Start the rollout");
    browser.until(
        "the rollout to bake",
        "/baking/.test(document.querySelector('[aria-label=Rollout] .badge')?.textContent)",
    );
    load.await_more(200);
    browser.watch_for(
        "/rolled back|validating/.test(document.querySelector('[aria-label=Rollout] .badge').textContent) \
         && /new 0.0 %/.test(document.querySelector('.bar').ariaLabel)",
    );
    bad.store(true, Ordering::SeqCst);
    let seen = browser.seen("the rollback");
    let back = |entry: &serde_json::Value| entry["actor"] == "rollout" && entry["to"]["new"] == 0;
    let decided = eventually("the decision in the ledger", || ledger(&serin).into_iter().find(back));
    let decided = browser.value(&format!("Date.parse({})", decided["time"])).as_f64().expect("a time");
    let took = seen - decided;
    eprintln!("a rollback is in the page {took:.0} ms after it was decided (1,000 ms are allowed)");
    assert!((-5.0..5000.0).contains(&took), "{took} ms");
    browser.until(
        "its reason",
        "/rolled back|back as before/.test(document.querySelector('[aria-label=Rollout] .facts').textContent)",
    );
    load.stop();
    assert_eq!(browser.console(), Vec::<String>::new());
}
