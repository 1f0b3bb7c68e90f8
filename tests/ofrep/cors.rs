//! Pages of other origins.

use crate::support::client::Response;
use crate::support::serin::Serin;
use crate::{BULK, EVENTS, ask, with_flags, with_flags_and};

const FLAGS: &str = "flags: { a: { state: ENABLED, variants: { x: 1 }, defaultVariant: x } }\n";
const SHOP: &str = "https://shop.example";

fn cors(response: &Response) -> Vec<&str> {
    let names = response.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("access-control") || *name == "vary").collect()
}

fn preflight(serin: &Serin, origin: &str) -> Response {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,if-none-match"),
    ];
    ask(serin, "OPTIONS", BULK, &headers, "")
}

#[test]
fn pages_of_other_origins_get_nothing_by_default() {
    let serin = with_flags(FLAGS);
    for response in [ask(&serin, "POST", BULK, &[("origin", SHOP)], "{}"), preflight(&serin, SHOP)] {
        assert!(response.status < 300 && cors(&response).is_empty(), "{response:?}");
    }
}

#[test]
fn pages_of_allowed_origins_may_ask_and_read_the_tag() {
    let serin = with_flags_and(FLAGS, ", cors: { origins: [\"https://shop.example\", \"http://localhost:3000\"] }");
    for origin in [SHOP, "http://localhost:3000"] {
        let answer = ask(&serin, "POST", BULK, &[("origin", origin)], "{}");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(answer.header("access-control-expose-headers").is_some_and(|names| names.contains("ETag")));
        assert_eq!(answer.header("vary"), Some("Origin"));
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = ask(&serin, "POST", BULK, &[("origin", origin), ("if-none-match", &tag)], "{}");
        assert_eq!((again.status, again.header("access-control-allow-origin")), (304, Some(origin)));
        let asked = preflight(&serin, origin);
        assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, Some(origin)));
        assert!(asked.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
        let headers = asked.header("access-control-allow-headers").expect("headers").to_ascii_lowercase();
        for name in ["if-none-match", "content-type", "authorization"] {
            assert!(headers.contains(name), "{headers}");
        }
    }
    // Errors, too, or the page would not know what is wrong.
    let missing = ask(&serin, "POST", "/ofrep/v1/evaluate/flags/none", &[("origin", SHOP)], "{}");
    assert_eq!((missing.status, missing.header("access-control-allow-origin")), (404, Some(SHOP)));
}

#[test]
fn pages_of_all_others_are_not_told_anything() {
    let serin = with_flags_and(FLAGS, ", cors: { origins: [\"https://shop.example\"] }");
    for origin in ["https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null", ""] {
        for response in [ask(&serin, "POST", BULK, &[("origin", origin)], "{}"), preflight(&serin, origin)] {
            assert_eq!(cors(&response), ["vary"], "{origin}");
        }
    }
    assert_eq!(cors(&ask(&serin, "POST", BULK, &[], "{}")), ["vary"], "a cache must not mix them up");
}

#[test]
fn all_origins_may_be_allowed() {
    let serin = with_flags_and(FLAGS, ", cors: { origins: [\"*\"] }");
    let answer = ask(&serin, "POST", BULK, &[("origin", SHOP)], "{}");
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), (Some("*"), None));
    assert_eq!(preflight(&serin, SHOP).header("access-control-allow-origin"), Some("*"));
    let events = ask(&serin, "HEAD", EVENTS, &[("origin", SHOP)], "");
    assert_eq!(events.header("access-control-allow-origin"), Some("*"));
}
