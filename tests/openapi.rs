//! The admin API against its own document: what it says is what programs find, as schemathesis (from `PyPI`) tries it. Skipped
//! aloud without that; required where `CI=true`.

#[path = "openapi/document.rs"]
mod document;
#[path = "openapi/everything.rs"]
mod everything;
#[path = "openapi/relay.rs"]
mod relay;
#[path = "openapi/requests.rs"]
mod requests;
mod support;
#[path = "openapi/tools.rs"]
mod tools;

use everything::{ADMIN, Everything};
use relay::Relay;
use tools::{schemathesis, tool};

#[test]
fn whoever_reaches_an_open_api_finds_it_as_it_is_described() {
    let Some(command) = tool("schemathesis") else { return };
    let everything = Everything::open();
    schemathesis(&command, &everything.document(""), everything.serin.admin(), 1, 4, &[]);
}

#[test]
fn an_admin_finds_a_protected_api_as_it_is_described_and_wrong_tokens_are_refused() {
    let Some(command) = tool("schemathesis") else { return };
    let everything = Everything::with_tokens();
    let document = everything.document(ADMIN);
    // Wrong tokens are tried at each operation, which from one address are too many.
    let relay = Relay::to(everything.serin.admin());
    let token = format!("Authorization: Bearer {ADMIN}");
    schemathesis(&command, &document, relay.address, 2, 4, &["-H", &token, "-H", "Connection: close"]);
}

#[test]
fn a_viewer_finds_a_protected_api_as_it_is_described() {
    let Some(command) = tool("schemathesis") else { return };
    let everything = Everything::with_tokens();
    let document = everything.document("token-viewer");
    let relay = Relay::to(everything.serin.admin());
    let token = "Authorization: Bearer token-viewer";
    // Its forms are an admin's, who has all phases.
    let more = ["-H", token, "-H", "Connection: close", "--phases", "examples,fuzzing"];
    schemathesis(&command, &document, relay.address, 3, 2, &more);
}

#[test]
fn nobody_finds_anything_in_a_protected_api_but_how_to_be_let_in() {
    let everything = Everything::with_tokens();
    let document = everything.document(ADMIN);
    everything.assert_closed(&document);
    let Some(command) = tool("schemathesis") else { return };
    schemathesis(&command, &document, everything.serin.admin(), 4, 1, &[]);
}
