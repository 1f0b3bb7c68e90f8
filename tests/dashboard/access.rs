//! Who may look, and who may act.

use serin::access::TokenHash;

use crate::browser::Browser;
use crate::support::load::shop_at;
use crate::support::serin::Serin;
use crate::world::{VIEWER, World};

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

fn show_token(browser: &Browser, token: &str) {
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
    show_token(&browser, "guessed");
    let said = browser.until("why not", "document.querySelector('dialog .error:not([hidden])')?.textContent");
    assert!(said.as_str().is_some_and(|text| text.contains("This token is nobody's")), "{said}");
    show_token(&browser, "looking");
    browser.until("the page to be live", "document.getElementById('live').textContent === 'live'");
    browser.until("who looks", "document.getElementById('who').textContent === 'vera · viewer'");
    assert_eq!(browser.until("the button", &format!("{SET}?.disabled === true")), true);
    let why = browser.value(&format!("document.getElementById({SET}.getAttribute('aria-describedby')).textContent"));
    assert_eq!(why, "vera is viewer here; this needs the role operator or admin.");
    browser.press("Sign out");
    browser.press("Sign in with a token");
    show_token(&browser, "acting");
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

#[test]
fn a_viewer_can_do_none_of_what_the_pages_offer() {
    let Some(browser) = Browser::open() else { return };
    let world = World::with_all_there_is_to_do();
    browser.show(&world.page("checkout"));
    browser.sign_in(VIEWER);
    for (page, buttons) in [
        ("checkout", &["Set weights…", "Drill…", "Approve", "Pause", "Promote", "Abort"][..]),
        ("orders", &["Move…", "Retry…", "Give up…"]),
        ("catalogue/diffs", &["Begin anew…"]),
    ] {
        browser.run(&format!("location.hash = '#/service/{page}'"));
        for button in buttons {
            let find =
                format!("[...document.querySelectorAll('main button')].find((one) => one.textContent === '{button}')");
            browser.until(
                &format!("{button} to be shown and disabled"),
                &format!("{find}?.checkVisibility() && {find}.disabled"),
            );
            let why =
                browser.value(&format!("document.getElementById({find}.getAttribute('aria-describedby')).textContent"));
            assert!(why.as_str().is_some_and(|text| text.contains("vera is viewer here")), "{button}: {why}");
            browser.run(&format!("{find}.click()"));
            assert_eq!(browser.value("!document.querySelector('dialog')"), true, "{button}");
        }
    }
    // Nor does it help to go around the page.
    for (method, path, body) in [
        ("PUT", "migration", r#"{"stage":"off","reason":"no"}"#),
        ("POST", "migration/deadLetters", r#"{"action":"giveUp","number":1,"reason":"no"}"#),
        ("DELETE", "diffs", ""),
        ("POST", "drill", r#"{"fault":"errors","reason":"no"}"#),
    ] {
        let ask = format!(
            "fetch('/api/v1/services/orders/{path}', {{ method: '{method}', headers: {{ authorization: 'Bearer {VIEWER}', 'content-type': 'application/json' }}, \
             body: {body:?} || undefined }}).then((answer) => answer.status)"
        );
        assert_eq!(browser.awaited(&ask), 403, "{method} {path}");
    }
}
