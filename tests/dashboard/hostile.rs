//! Text from outside that would like to be more than text.

use std::time::{Duration, SystemTime};

use serin::telemetry::Rfc3339;

use crate::await_history;
use crate::browser::Browser;
use crate::support::load::shop;
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::world::{APPROVER, IMAGE, SCRIPT, VECTOR, World};

fn flags(default: &str) -> String {
    format!(
        "flags:\n  \"{IMAGE}\": {{ state: ENABLED, variants: {{ \"{SCRIPT}\": 1, plain: 2 }}, defaultVariant: \"{default}\" }}\n"
    )
}

#[test]
fn what_others_wrote_stays_text() {
    let Some(browser) = Browser::open() else { return };
    let upstreams = [Upstream::named("old"), Upstream::named("new")];
    let until = Rfc3339(SystemTime::now() + Duration::from_hours(1));
    let fault = format!(
        "    faults: [ {{ name: drill, version: new, header: {{ name: x-drill, value: \"{VECTOR}\" }}, abort: {{ status: 503 }}, \
         until: {until} }} ]\n"
    );
    let config = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], &fault, "files: { flags: flags.yaml }\n");
    let serin = Serin::with_files(&config, &[("flags.yaml", &flags("plain"))]);
    let body = format!("{{\"weights\":{{\"old\":1,\"new\":1}},\"reason\":\"{SCRIPT}{IMAGE}\"}}");
    assert_eq!(serin.ask("PUT", "/api/v1/services/shop/weights", &body).status, 200);
    std::fs::write(serin.path("flags.yaml"), flags(SCRIPT)).expect("a file");
    let shown = |what: &str, text: &str| {
        browser.until(what, &format!("document.querySelector('main').textContent.includes({text:?})"));
    };
    browser.show(&serin.admin_url());
    shown("the flag", IMAGE);
    shown("its variant", SCRIPT);
    shown("the reason", &format!("{SCRIPT}{IMAGE}"));
    shown("the change of the flag", "default: plain → ");
    browser.show(&format!("{}/#/service/shop", serin.admin_url()));
    shown("the reason", &format!("{SCRIPT}{IMAGE}"));
    shown("the header", VECTOR);
    await_history(&serin);
    assert_eq!(serin.ask("PUT", "/api/v1/services/shop/weights", &body.replace(":1,", ":2,")).status, 200);
    browser.until("the mark", "!!document.querySelector('.mark')");
    browser.run("[...document.querySelectorAll('.mark')].at(-1).focus()");
    browser.until("the hover", &format!("document.querySelector('.tip')?.textContent.includes({SCRIPT:?})"));
    browser.run("document.querySelector('[aria-label=Ledger] td button').click()");
    browser.until("the whole entry", "!!document.querySelector('dialog pre')");
    // A name in the address, too.
    browser.go(&format!("{}/#/service/%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E", serin.admin_url()));
    shown("that there is none", IMAGE);
    // That is no service, and no name of one: 404 and 400.
    browser.clean_but("status of 40");
}

#[test]
fn what_answers_keys_flags_and_variants_hold_stays_text_on_every_page() {
    let Some(browser) = Browser::open() else { return };
    let world = World::new();
    world.differ();
    world.dead_letter();
    world.measure();
    world.start(SCRIPT);
    browser.show(&world.page("checkout"));
    let shown = |what: &str, text: &str| {
        browser.until(what, &format!("document.querySelector('main').textContent.includes({text:?})"));
    };
    shown("the reason", SCRIPT);
    browser.sign_in(APPROVER);
    browser.press("Approve");
    browser.fill("dialog [name=reason]", VECTOR);
    browser.press("Approve");
    shown("the approver", "anna");
    shown("why they approve", VECTOR);
    browser.run("location.hash = '#/service/catalogue/diffs'");
    shown("the path", &format!("$[\"{IMAGE}\"]"));
    shown("the value", &format!("old {SCRIPT}"));
    shown("the header", &format!("new {VECTOR}"));
    browser.run("document.querySelector('td button').click()");
    browser.until("the samples", "document.querySelectorAll('dialog td.mono').length === 10");
    browser.press("Close");
    browser.run("location.hash = '#/service/orders'");
    shown("the key", IMAGE);
    browser.run("location.hash = '#/service/search'");
    shown("the flag", IMAGE);
    shown("the variant", SCRIPT);
    browser.run("location.hash = '#/'");
    shown("the flag in the overview", IMAGE);
    browser.clean();
}
