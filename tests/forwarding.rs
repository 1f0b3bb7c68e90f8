//! A request reaches the version it belongs to, and the answer comes back.

mod support;

use support::client;
use support::serin::Serin;
use support::upstream::Upstream;

/// One listener, an admin address, one service `shop` with one version, one route for everything.
fn config(upstream: &Upstream) -> String {
    format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0 }}\nworkers: 1\n\
         services:\n  shop:\n    versions:\n      only: {{ upstream: \"{}\" }}\n\
         routes:\n  - matches: [ {{ path: {{ type: PathPrefix, value: / }} }} ]\n    service: shop\n",
        upstream.url()
    )
}

#[test]
fn an_answer_comes_back_and_names_its_version() {
    let upstream = Upstream::named("hello");
    let serin = Serin::new(&config(&upstream));
    let answer = client::get(serin.web(), "/cart?item=1", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.header("x-serin-version"), Some("only"));
    let seen = upstream.last();
    assert_eq!(seen.request_line(), "GET /cart?item=1 HTTP/1.1");
    assert_eq!(seen.header("x-serin-version").as_deref(), Some("only"));
    assert_eq!(seen.header("host").as_deref(), Some("shop.example"));
}
