//! Who may look, and who may act.

use serin::access::TokenHash;

use crate::browser::Browser;
use crate::support::load::shop_at;
use crate::support::serin::Serin;

pub(crate) fn guarded() -> Serin {
    let nowhere = || "\"http://127.0.0.1:1\"".to_owned();
    let config = shop_at(&[("old", nowhere()), ("new", nowhere())], "", "")
        .replace("open: true", "reads: protected, tokens: tokens.yaml");
    let hash = |token: &str| TokenHash::of(token.as_bytes()).to_string();
    let tokens = format!(
        "tokens:\n  - {{ name: vera, role: viewer, sha256: \"{}\" }}\n  - {{ name: otto, role: operator, sha256: \"{}\" }}\n",
        hash("looking"),
        hash("acting")
    );
    Serin::with_files(&config, &[("tokens.yaml", &tokens)])
}

fn sign_in(browser: &Browser, token: &str) {
    browser.fill("dialog [name=token]", token);
    browser.run("document.querySelector('dialog [type=submit]').click()");
}

const SET: &str = "[...document.querySelectorAll('button')].find((button) => button.textContent === 'Set weights…')";

#[test]
fn nobody_sees_anything_a_viewer_cannot_act_and_is_told_why_and_an_operator_can() {
    let Some(browser) = Browser::open() else { return };
    let serin = guarded();
    browser.go(&format!("{}/#/service/shop", serin.admin_url()));
    browser.press("Sign in with a token");
    assert!(!browser.value("document.body.textContent").to_string().contains("127.0.0.1:1"), "nothing is shown");
    assert_eq!(browser.console(), Vec::<String>::new());
    sign_in(&browser, "guessed");
    let said = browser.until("why not", "document.querySelector('dialog .error:not([hidden])')?.textContent");
    assert!(said.as_str().is_some_and(|text| text.contains("This token is nobody's")), "{said}");
    sign_in(&browser, "looking");
    browser.until("the page to be live", "document.getElementById('live').textContent === 'live'");
    browser.until("who looks", "document.getElementById('who').textContent === 'vera · viewer'");
    assert_eq!(browser.until("the button", &format!("{SET}?.disabled === true")), true);
    let why = browser.value(&format!("document.getElementById({SET}.getAttribute('aria-describedby')).textContent"));
    assert_eq!(why, "vera is viewer here; this needs the role operator or admin.");
    browser.press("Sign out");
    browser.press("Sign in with a token");
    sign_in(&browser, "acting");
    browser.until("who acts", "document.getElementById('who').textContent === 'otto · operator'");
    browser.until("the button", &format!("{SET}?.disabled === false"));
    let kept = browser.value("[localStorage.length, sessionStorage.length, document.cookie]");
    assert_eq!(kept, serde_json::json!([0, 0, ""]), "the token is nowhere but in memory");
    browser.press("Set weights…");
    browser.fill("dialog input[type=number]", "0");
    browser.fill("dialog [name=reason]", "signed");
    browser.press("Set weights");
    browser.until("its entry", "/otto/.test(document.querySelector('[aria-label=Ledger]').textContent)");
    // A token that is taken away shows nothing any more.
    std::fs::write(serin.path("tokens.yaml"), "tokens: []\n").expect("a file");
    browser.until("the door to be shut", "document.querySelector('h1')?.textContent === 'Sign in'");
}
