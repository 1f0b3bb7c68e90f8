//! The dashboard in a real browser: Debian's chromium, driven over `WebDriver`. Skipped aloud without it, and required where
//! `CI=true`.

#[path = "dashboard/access.rs"]
mod access;
#[path = "dashboard/actions.rs"]
mod actions;
#[path = "dashboard/api.rs"]
mod api;
#[path = "dashboard/axe.rs"]
mod axe;
#[path = "dashboard/browser.rs"]
mod browser;
#[path = "dashboard/dark.rs"]
mod dark;
#[path = "dashboard/hostile.rs"]
mod hostile;
#[path = "dashboard/keyboard.rs"]
mod keyboard;
#[path = "dashboard/moves.rs"]
mod moves;
#[path = "dashboard/pages.rs"]
mod pages;
#[path = "dashboard/rollouts.rs"]
mod rollouts;
mod support;
#[path = "dashboard/world.rs"]
mod world;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::eventually;
use support::load::{WITH_WEIGHTS, shop};
use support::serin::Serin;
use support::upstream::Upstream;

/// A shop whose weights are in a file, 95 to 5, and its upstreams.
fn shop_with_weights() -> (Serin, [Upstream; 2]) {
    let upstreams = [Upstream::named("old"), Upstream::named("new")];
    let config = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], "", WITH_WEIGHTS);
    (Serin::with_files(&config, &[("weights.yaml", "shop: { old: 95, new: 5 }\n")]), upstreams)
}

/// Waits until there is a past: what was before it has no place in the charts.
fn await_history(serin: &Serin) {
    eventually("a row of history", || {
        let text = serin.ask("GET", "/api/v1/services/shop/history", "").text();
        let rows: Value = serde_json::from_str(&text).expect("JSON");
        rows["at"].as_array().is_some_and(|rows| !rows.is_empty()).then_some(())
    });
}

/// Milliseconds since 1970, as the page counts them.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// The entries of the ledger, oldest first.
fn ledger(serin: &Serin) -> Vec<Value> {
    let text = serin.ask("GET", "/api/v1/ledger?after=0&limit=1000", "").text();
    let page: Value = serde_json::from_str(&text).expect("JSON");
    page["entries"].as_array().expect("entries").clone()
}
