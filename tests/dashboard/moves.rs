//! Migrations, moved from the page.

use crate::browser::Browser;
use crate::support::eventually;
use crate::world::{IMAGE, OPERATOR, World};

const STAGE: &str = "document.querySelector('[aria-label=Stages] .now b')?.textContent";

#[test]
fn a_migration_is_moved_from_the_page_and_its_dead_letters_are_settled_there() {
    let Some(browser) = Browser::open() else { return };
    let world = World::new();
    browser.show(&world.page("orders"));
    browser.sign_in(OPERATOR);
    browser.until("the stage", &format!("{STAGE} === 'off'"));
    assert_eq!(
        browser
            .value("[...document.querySelectorAll('button')].find((one) => one.textContent === 'Set weights…').hidden"),
        true
    );
    browser.press("Move…");
    let does = "document.querySelector('dialog .does').textContent";
    assert_eq!(browser.value(does), "old answers. Writes go to old and then to new.", "the next stage");
    browser.fill("dialog [name=stage]", "complete");
    assert_eq!(browser.value(&format!("/one at a time/.test({does}) && /falls behind/.test({does})")), true);
    browser.fill("dialog [name=reason]", "hurry");
    browser.press("Move the migration");
    browser.until("why not", "document.querySelector('dialog .error:not([hidden])')?.textContent");
    assert_eq!(world.get("/api/v1/services/orders/migration")["stage"], "off", "it is refused");
    browser.fill("dialog [name=stage]", "dualWrite");
    browser.fill("dialog [name=share]", "50");
    assert_eq!(browser.value(&format!("/for all others as in off/.test({does})")), true);
    browser.fill("dialog [name=reason]", "two columns");
    browser.press("Move the migration");
    browser.until("the stage in the page", &format!("{STAGE} === 'dualWrite'"));
    let known = world.get("/api/v1/services/orders/migration");
    assert_eq!((&known["stage"], &known["share"]), (&"dualWrite".into(), &"50%".into()), "in force");
    let is_it = |entry: &serde_json::Value| entry["kind"] == "migration" && entry["reason"] == "two columns";
    let entry = crate::ledger(&world.serin).into_iter().find(is_it).expect("its entry");
    assert_eq!((&entry["actor"], &entry["to"]["stage"]), (&"otto".into(), &"dualWrite".into()));
    browser.until(
        "the entry in the page",
        "/off → dualWrite for 50%/.test(document.querySelector('[aria-label=Ledger]').textContent)",
    );
    world.dead_letter();
    browser.until(
        "the dead letter",
        &format!("document.querySelector('[aria-label=\"Table: Dead letters\"]')?.textContent.includes({IMAGE:?})"),
    );
    browser.press("Give up…");
    browser.fill("dialog [name=reason]", "it was a test");
    browser.press("Give up");
    browser
        .until("it to be gone", "!document.querySelector('[aria-label=\"Table: Dead letters\"]')?.checkVisibility()");
    eventually("it to be settled", || {
        (world.get("/api/v1/services/orders/migration")["journal"]["deadLetters"] == 0).then_some(())
    });
    assert!(world.has_entry("otto", "it was a test"), "{:#?}", crate::ledger(&world.serin));
    browser.clean_but("status of 409");
}
