//! Everything without a mouse.

use std::collections::BTreeSet;

use crate::browser::{Browser, ENTER, ESCAPE, TAB};
use crate::world::{ADMIN, World};

const FOCUS: &str = "document.activeElement";

/// Focuses a button as Tab would; which ones Tab reaches is seen elsewhere.
fn focus(browser: &Browser, text: &str) {
    let find = format!(
        "[...document.querySelectorAll('main button, header button')].find((one) => one.textContent === {text:?} && !one.disabled && one.checkVisibility())"
    );
    browser.until(&format!("a button {text:?}"), &format!("!!{find}"));
    browser.run(&format!("{find}.focus()"));
}

/// Opens the dialog of a button by Enter and closes it by Escape: the focus is in it, and then back.
fn look(browser: &Browser, text: &str) {
    focus(browser, text);
    browser.keys(ENTER);
    browser.until(&format!("the dialog of {text}"), "!!document.activeElement.closest('dialog[open]')");
    // Once around: nothing behind it is reached.
    for _ in 0..3 {
        browser.keys(TAB);
        assert_eq!(browser.value("!document.activeElement.closest('main, header')"), true, "{text}: behind the dialog");
    }
    browser.keys(ESCAPE);
    browser.until("the dialog to be gone", "!document.querySelector('dialog')");
    assert_eq!(browser.value(&format!("{FOCUS}.textContent")), text, "the focus is back");
}

#[test]
fn every_dialog_is_opened_used_and_closed_by_keys_and_the_focus_returns() {
    let Some(browser) = Browser::open() else { return };
    let world = World::with_all_there_is_to_do();
    browser.show(&world.page("checkout"));
    look(&browser, "Sign in");
    focus(&browser, "Sign in");
    browser.keys(ENTER);
    browser.until("the field", "document.activeElement.name === 'token'");
    browser.keys(ADMIN);
    browser.keys(ENTER);
    browser.until("who it is", "document.getElementById('who').textContent === 'adam · admin'");
    browser.until("the rollout", "/baking/.test(document.querySelector('[aria-label=Rollout] .badge')?.textContent)");
    // Tab reaches whatever can be done.
    browser.run("document.getElementById('main').focus()");
    let mut reached = BTreeSet::new();
    for _ in 0..40 {
        browser.keys(TAB);
        reached.insert(browser.value(&format!("{FOCUS}.textContent")).as_str().unwrap_or_default().to_owned());
    }
    for button in ["Drill…", "Set weights…", "Approve", "Pause", "Promote", "Abort", "p99.9", "Since last change"] {
        assert!(reached.contains(button), "Tab does not reach {button}: {reached:?}");
    }
    for button in ["Set weights…", "Drill…", "Approve", "Promote", "Abort"] {
        look(&browser, button);
    }
    focus(&browser, "Pause");
    browser.keys(ENTER);
    browser.until("the reason", "document.activeElement.name === 'reason'");
    browser.keys("by keys alone");
    browser.keys(ENTER);
    browser.until("the pause", "/paused/.test(document.querySelector('[aria-label=Rollout] .badge').textContent)");
    // The button is gone, and the focus not with it.
    browser.until("the focus to be on the panel", "document.activeElement.ariaLabel === 'Rollout'");
    assert!(world.has_entry("adam", "by keys alone"));
    browser.run("document.querySelector('[aria-label=Ledger] td button').focus()");
    browser.keys(ENTER);
    browser.until("the entry", "!!document.querySelector('dialog pre')");
    browser.keys(ESCAPE);
    browser.until("the focus to be back", "/^Entry/.test(document.activeElement.ariaLabel)");
    browser.run("location.hash = '#/service/orders'");
    for button in ["Move…", "Retry…", "Give up…"] {
        look(&browser, button);
    }
    browser.run("location.hash = '#/service/catalogue/diffs'");
    for button in ["5 samples", "Begin anew…"] {
        look(&browser, button);
    }
    browser.clean();
}
