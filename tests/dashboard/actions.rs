//! What is done from the page.

use serde_json::Value;

use crate::browser::Browser;
use crate::support::eventually;
use crate::{ledger, shop_with_weights};

#[test]
fn weights_set_in_the_page_are_in_force_and_in_the_ledger_with_their_reason() {
    let Some(browser) = Browser::open() else { return };
    let (serin, _upstreams) = shop_with_weights();
    browser.show(&format!("{}/#/service/shop", serin.admin_url()));
    browser.press("Set weights…");
    browser.fill("dialog input[type=number]", "70");
    assert_eq!(browser.value("document.querySelectorAll('dialog input[type=number]')[1].value"), "30", "the rest");
    let moved = "document.querySelector('dialog .does').textContent.match(/([\\d,]+) move from old to new/)?.[1]";
    let moved = browser.until("who moves", moved).as_str().expect("a number").replace(',', "");
    // 25 % of 10,000 by five standard deviations.
    assert!((2280..=2720).contains(&moved.parse().expect("a number")), "{moved}");
    let can_send = "!document.querySelector('dialog [type=submit]').disabled";
    assert_eq!(browser.value(can_send), false, "without a reason");
    browser.fill("dialog [name=reason]", "   ");
    assert_eq!(browser.value(can_send), false, "a reason of blanks is none");
    browser.fill("dialog [name=reason]", "it looks well");
    browser.press("Set weights");
    serin.await_share("shop", "new", 0.3);
    let is_it = |entry: &Value| entry["kind"] == "weights" && entry["reason"] == "it looks well";
    let entry = eventually("the entry", || ledger(&serin).into_iter().find(is_it));
    assert_eq!((&entry["to"]["new"], &entry["actor"]), (&30.into(), &"admin-api".into()));
    browser.until(
        "the entry in the page",
        "/it looks well/.test(document.querySelector('[aria-label=Ledger]').textContent)",
    );
    browser.until("the dialog to be gone", "!document.querySelector('dialog')");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn what_serin_refuses_is_said_in_the_dialog_and_nothing_changes() {
    let Some(browser) = Browser::open() else { return };
    let (serin, _upstreams) = shop_with_weights();
    browser.show(&format!("{}/#/service/shop", serin.admin_url()));
    browser.press("Set weights…");
    browser.fill("dialog input[type=number]", "70");
    browser.fill("dialog [name=reason]", "no");
    browser.until("what it would do", "/sample users/.test(document.querySelector('dialog .does').textContent)");
    // The service goes while the dialog is open.
    let text = std::fs::read_to_string(serin.path("serin.yaml")).expect("a file");
    std::fs::write(serin.path("serin.yaml"), text.replace("shop:", "mart:").replace("service: shop", "service: mart"))
        .expect("a file");
    std::fs::write(serin.path("weights.yaml"), "mart: { old: 95, new: 5 }\n").expect("a file");
    eventually("the other service", || (serin.ask("GET", "/api/v1/services/mart", "").status == 200).then_some(()));
    browser.run("document.querySelector('dialog [type=submit]').click()");
    let said = browser.until("what is wrong", "document.querySelector('dialog .error:not([hidden])')?.textContent");
    assert!(said.as_str().is_some_and(|text| text.contains("no service `shop`")), "{said}");
}
