//! Rollouts and drills, driven from the page.

use crate::browser::Browser;
use crate::support::eventually;
use crate::support::load::Load;
use crate::world::{APPROVER, OPERATOR, World};

const STATE: &str = "document.querySelector('[aria-label=Rollout] .badge')?.textContent";

/// Presses a button, gives its reason and confirms.
fn order(browser: &Browser, button: &str, reason: &str, confirm: &str, state: &str) {
    browser.press(button);
    browser.until("what it does", "document.querySelector('dialog .does')?.textContent.length > 20");
    browser.fill("dialog [name=reason]", reason);
    browser.press(confirm);
    browser.until(&format!("the rollout to be {state}"), &format!("{STATE}?.includes({state:?})"));
    browser.until("the dialog to be gone", "!document.querySelector('dialog')");
}

#[test]
fn a_rollout_is_driven_from_the_page_by_those_who_may() {
    let Some(browser) = Browser::open() else { return };
    let world = World::new();
    browser.show(&world.page("checkout"));
    browser.sign_in(OPERATOR);
    order(&browser, "Start", "release 9", "Start the rollout", "baking");
    order(&browser, "Pause", "lunch", "Pause", "paused");
    order(&browser, "Resume", "coffee", "Resume", "baking");
    let button = |text: &str| {
        format!(
            "[...document.querySelectorAll('[aria-label=Rollout] button')].find((one) => one.textContent === '{text}')"
        )
    };
    assert_eq!(browser.value(&format!("{}.disabled", button("Approve"))), true, "an operator does not approve");
    browser.press("Sign out");
    browser.sign_in(APPROVER);
    browser.until("approving to be possible", &format!("{}.disabled === false", button("Approve")));
    for other in ["Pause", "Promote", "Abort"] {
        assert_eq!(browser.value(&format!("{}.disabled", button(other))), true, "{other} by an approver");
    }
    order(&browser, "Approve", "it looks well", "Approve", "baking");
    browser.until("the approval", "/1 of 1/.test(document.querySelector('[aria-label=Rollout] .facts').textContent)");
    browser.press("Sign out");
    browser.sign_in(OPERATOR);
    order(&browser, "Promote", "sure of it", "Promote", "baking");
    browser.until("half of the traffic", "/new 50.0 %/.test(document.querySelector('.bar').ariaLabel)");
    order(&browser, "Abort", "never mind", "Abort the rollout", "validating");
    world.serin.await_share("checkout", "new", 0.0);
    for (actor, reason) in [
        ("otto", "release 9"),
        ("otto", "lunch"),
        ("otto", "coffee"),
        ("anna", "it looks well"),
        ("otto", "sure of it"),
        ("otto", "never mind"),
    ] {
        assert!(world.has_entry(actor, reason), "{actor}: {reason}: {:#?}", crate::ledger(&world.serin));
    }
    browser.clean();
}

#[test]
fn a_drill_is_begun_in_the_page_once_there_is_traffic_to_see_it_by() {
    let Some(browser) = Browser::open() else { return };
    let world = World::new();
    browser.show(&world.page("checkout"));
    browser.sign_in(OPERATOR);
    browser.press("Drill…");
    browser.fill("dialog [name=share]", "50");
    browser.fill("dialog [name=within]", "60");
    browser.fill("dialog [name=reason]", "before release 9");
    browser.press("Begin the drill");
    browser.until(
        "why not",
        "/traffic|requests/.test(document.querySelector('dialog .error:not([hidden])')?.textContent)",
    );
    let load = Load::start(world.serin.web(), 2);
    eventually("the drill to begin", || {
        browser.run("document.querySelector('dialog [type=submit]:not(:disabled)')?.click()");
        (browser.value("!document.querySelector('dialog')") == true).then_some(())
    });
    browser.until(
        "the drill",
        "/under way|passed|failed/.test(document.querySelector('[aria-label=Drills] .badge')?.textContent)",
    );
    browser.until("what it does", "/errors to 50%/.test(document.querySelector('[aria-label=Drills]').textContent)");
    assert!(world.has_entry("otto", "before release 9"), "{:#?}", crate::ledger(&world.serin));
    load.stop();
    browser.clean_but("status of 409");
}
