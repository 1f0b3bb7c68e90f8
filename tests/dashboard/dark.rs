//! Where two versions answer otherwise, and what an experiment says.

use crate::browser::Browser;
use crate::world::{IMAGE, OPERATOR, World};

const ROWS: &str =
    "[...document.querySelectorAll('[aria-label=Paths] tbody tr')].map((row) => row.cells[0].textContent)";

#[test]
fn where_answers_differ_is_shown_by_path_filtered_and_forgotten_once_that_is_confirmed() {
    let Some(browser) = Browser::open() else { return };
    let world = World::new();
    world.differ();
    browser.show(&world.page("catalogue"));
    browser.until(
        "the routes",
        "/different/.test(document.querySelector('[aria-label=\"Shadow traffic\"] table')?.textContent)",
    );
    browser.run("document.querySelector('[data-key=diffs]').click()");
    let place = format!("$[\"{IMAGE}\"]");
    browser.until("the paths", &format!("{ROWS}.length === 2"));
    assert_eq!(
        browser.value(&format!("{ROWS}.toSorted()")),
        serde_json::json!([place, "header x-note"]),
        "the worst alone"
    );
    browser.press("All, with noise");
    browser.until("noise", &format!("{ROWS}.includes('$.at')"));
    assert_eq!(
        browser.value("[...document.querySelectorAll('[aria-label=Paths] tbody tr')].find((row) => row.cells[0].textContent === '$.at').cells[1].textContent"),
        "≈ noise"
    );
    browser.fill("[aria-label='Search paths']", "HEADER");
    browser.until("what was searched for", &format!("{ROWS}.join() === 'header x-note'"));
    browser.fill("[aria-label='Search paths']", "");
    browser.press("That differ");
    browser.until("no noise", &format!("{ROWS}.length === 2"));
    let lasts = "[...document.querySelectorAll('[aria-label=Paths] tbody tr')].find((row) => /^header/.test(row.cells[0].textContent))";
    assert_eq!(browser.value(&format!("{lasts}.cells[6].textContent")), "old '><svg onload=window.hacked=1>");
    assert_eq!(browser.value(&format!("{lasts}.cells[7].textContent")), "new '><svg onload=window.hacked=1>");
    browser.run(&format!("{lasts}.querySelector('button').click()"));
    browser.until("the samples", "document.querySelectorAll('dialog tbody tr').length === 5");
    browser.press("Close");
    browser.sign_in(OPERATOR);
    browser.press("Begin anew…");
    assert_eq!(browser.value("/is forgotten/.test(document.querySelector('dialog .does').textContent)"), true);
    browser.fill("dialog [name=reason]", "another build");
    browser.press("Begin anew");
    browser.until(
        "nothing",
        "/Nothing has been compared yet/.test(document.querySelector('[aria-label=Paths]').textContent)",
    );
    assert!(world.has_entry("otto", "another build"), "{:#?}", crate::ledger(&world.serin));
    browser.clean();
}

#[test]
fn each_variant_of_an_experiment_has_its_verdict_in_words_and_figures() {
    let Some(browser) = Browser::open() else { return };
    let world = World::new();
    browser.show(&world.page("search"));
    browser.until(
        "that nobody was asked yet",
        "/no requests yet/.test(document.querySelector('[aria-label=Experiment] .sentence')?.textContent)",
    );
    world.measure();
    let arm = |row: usize, cell: usize| {
        format!(
            "document.querySelector('[aria-label=Experiment] tbody tr:nth-child({row})')?.cells[{cell}].textContent"
        )
    };
    browser.until("the requests of the variant", &format!("{} === '60'", arm(2, 1)));
    assert_eq!(browser.value(&arm(1, 0)), "plain");
    assert_eq!(browser.value(&arm(2, 0)), crate::world::SCRIPT);
    assert_eq!(browser.value(&format!("/^100 %/.test({})", arm(2, 2))), true, "its failures");
    assert_eq!(browser.value(&format!("/ (ms|µs)/.test({})", arm(2, 3))), true, "its latency");
    assert_eq!(browser.value(&arm(2, 5)), "✕ regressed");
    let said = browser.value("document.querySelector('[aria-label=Experiment] .part .sentence').textContent");
    assert!(said.as_str().is_some_and(|text| text.contains("fails 100")), "{said}");
    browser.go(&world.serin.admin_url());
    browser.until(
        "the mark in the overview",
        "/experiment ✕ regressed/.test(document.querySelector('[aria-label=search]')?.textContent)",
    );
    browser.clean();
}
