//! What axe-core, which knows how pages fail people, has to say. From npm; skipped aloud without it, required where `CI=true`.

use std::path::Path;

use serde_json::Value;

use crate::browser::{Browser, ESCAPE};
use crate::support::load::Load;
use crate::world::{ADMIN, World};

const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

/// What axe-core has to say of a part of the page.
fn check(browser: &Browser, axe: &str, what: &str, part: &str) {
    browser.run(&format!("if (!window.axe) {{ {axe} }}"));
    let found = browser
        .awaited(&format!("axe.run('{part}', {{ resultTypes: ['violations'] }}).then((found) => found.violations)"));
    let violations = found.as_array().unwrap_or_else(|| panic!("{what}: {found}"));
    let is_serious = |violation: &&Value| violation["impact"] == "serious" || violation["impact"] == "critical";
    let serious: Vec<_> =
        violations.iter().filter(is_serious).map(|violation| (&violation["id"], &violation["nodes"])).collect();
    assert!(serious.is_empty(), "{what}: {serious:#?}");
}

/// Light in a window, and dark on a phone.
fn check_both(browser: &Browser, axe: &str, what: &str, part: &str) {
    check(browser, axe, &format!("{what}, light"), part);
    browser.prefer("dark");
    browser.narrow(true);
    check(browser, axe, &format!("{what}, dark on a phone"), part);
    let width = browser.value("[document.documentElement.scrollWidth, innerWidth]");
    assert_eq!(width[0], width[1], "{what}: as wide as a phone");
    browser.prefer("light");
    browser.narrow(false);
}

#[test]
fn axe_finds_nothing_serious_light_or_dark_wide_or_narrow() {
    let Ok(axe) = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE)) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs axe-core: .ci/run installs it");
        eprintln!("SKIPPED: no axe-core; .ci/run installs it");
        return;
    };
    let Some(browser) = Browser::alone() else { return };
    let world = World::new();
    world.differ();
    world.dead_letter();
    world.measure();
    world.start("release 9");
    let mut load = Some(Load::start(world.serin.web(), 1));
    browser.show(&world.serin.admin_url());
    browser.sign_in(ADMIN);
    for (page, there, dialogs) in [
        ("", "/as the files say/.test(document.querySelector('main').textContent)", &[][..]),
        (
            "service/checkout",
            "document.querySelectorAll('.plot canvas').length >= 5 && /p99/.test(document.querySelector('[aria-label=Verdict]').textContent)",
            &["Set weights…", "Drill…", "Abort"],
        ),
        (
            "service/catalogue/diffs",
            "document.querySelectorAll('[aria-label=Paths] td').length > 10",
            &["5 samples", "Begin anew…"],
        ),
        ("service/orders", "!!document.querySelector('[aria-label=\"Table: Dead letters\"]')", &["Move…", "Give up…"]),
        ("service/search", "/regressed/.test(document.querySelector('[aria-label=Experiment]')?.textContent)", &[]),
    ] {
        browser.run(&format!("location.hash = '#/{page}'"));
        browser.until(&format!("/{page} to be there"), there);
        if page == "service/checkout"
            && let Some(load) = load.take()
        {
            // What is drawn anew each second is looked at no better.
            load.stop();
        }
        check_both(&browser, &axe, &format!("/{page}"), "html");
        for button in dialogs {
            browser.press(button);
            browser.until("the dialog", "!!document.querySelector('dialog[open]')");
            check_both(&browser, &axe, &format!("/{page}: {button}"), "dialog");
            browser.keys(ESCAPE);
            browser.until("the dialog to be gone", "!document.querySelector('dialog')");
        }
    }
    browser.clean();
}
