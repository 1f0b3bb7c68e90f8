//! What axe-core, which knows how pages fail people, has to say. From npm; skipped aloud without it, required where `CI=true`.

use std::path::Path;

use serde_json::Value;

use crate::browser::Browser;
use crate::shop_with_weights;
use crate::support::load::Load;

const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

fn check(browser: &Browser, axe: &str, what: &str) {
    browser.run(axe);
    let found = browser.awaited("axe.run(document, { resultTypes: ['violations'] })");
    let violations = found["violations"].as_array().unwrap_or_else(|| panic!("{what}: {found}"));
    let is_serious = |violation: &&Value| violation["impact"] == "serious" || violation["impact"] == "critical";
    let serious: Vec<_> =
        violations.iter().filter(is_serious).map(|violation| (&violation["id"], &violation["nodes"])).collect();
    assert!(serious.is_empty(), "{what}: {serious:#?}");
    assert!(found["passes"].as_array().is_some_and(|passes| passes.len() > 10), "{what}: it has looked");
}

#[test]
fn axe_finds_nothing_serious_light_or_dark() {
    let Ok(axe) = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE)) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs axe-core: .ci/run installs it");
        eprintln!("SKIPPED: no axe-core; .ci/run installs it");
        return;
    };
    let Some(browser) = Browser::open() else { return };
    let (serin, _upstreams) = shop_with_weights();
    let load = Load::start(serin.web(), 2);
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        browser.show(&serin.admin_url());
        browser.until("the ledger", "/as the files say/.test(document.querySelector('main').textContent)");
        check(&browser, &axe, &format!("overview, {scheme}"));
        browser.show(&format!("{}/#/service/shop", serin.admin_url()));
        browser.until("the verdict and the charts", "document.querySelectorAll('.plot canvas').length >= 5 && /p99/.test(document.querySelector('[aria-label=Verdict]').textContent)");
        check(&browser, &axe, &format!("service, {scheme}"));
        browser.press("Set weights…");
        browser.until("what it does", "document.querySelector('dialog .does')?.textContent");
        check(&browser, &axe, &format!("weights, {scheme}"));
        browser.press("Cancel");
    }
    load.stop();
}
