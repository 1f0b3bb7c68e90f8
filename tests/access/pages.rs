//! An open address, and web pages that would like to use it.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use crate::support::client::request;
use crate::support::eventually;
use crate::support::load::said;
use crate::support::serin::Serin;
use crate::{bearer, change, changing, config, generation, problem, tokens, turned_away};

const JSON: &str = "content-type: application/json\r\n";

fn open() -> Serin {
    Serin::new(&config("{ address: 127.0.0.1:0, open: true }"))
}

#[test]
fn an_address_that_is_not_said_to_be_open_is_read_only_and_says_how_to_open_it() {
    let serin = Serin::new(&config("{ address: 127.0.0.1:0 }"));
    let detail = problem(&change(&serin, ""), 403);
    assert!(detail.contains("open: true") && detail.contains("admin.tokens"), "{detail}");
    // What is shown where nobody is known counts for nothing.
    problem(&change(&serin, &bearer("any")), 403);
    assert_eq!(generation(&serin), 1);
}

#[test]
fn an_open_address_lets_in_whoever_reaches_it_until_the_file_says_otherwise() {
    let serin = open();
    assert_eq!(change(&serin, "").status, 200);
    let log = said(&serin, "weights changed");
    assert!(log.contains("admin-api"), "{log}");
    let text = std::fs::read_to_string(serin.path("serin.yaml")).expect("a file");
    std::fs::write(serin.path("serin.yaml"), text.replace("open: true", "open: false")).expect("a file");
    eventually("the address to be closed", || (change(&serin, "").status == 403).then_some(()));
}

#[test]
fn what_is_open_at_another_address_is_not_at_this_one_before_the_next_start() {
    let serin = Serin::new(&config("{ address: 127.0.0.1:0 }"));
    let text = std::fs::read_to_string(serin.path("serin.yaml")).expect("a file");
    let other = text.replace("{ address: 127.0.0.1:0 }", "{ address: \"[::1]:0\", open: true }");
    std::fs::write(serin.path("serin.yaml"), other).expect("a file");
    said(&serin, "the files' new content is in force");
    problem(&change(&serin, ""), 403);
    assert!(serin.stderr().contains("admin.address"), "{}", serin.stderr());
}

#[test]
fn a_web_page_cannot_change_what_is_open() {
    let serin = open();
    let port = serin.admin().port();
    let own = format!("127.0.0.1:{port}");
    let attempts = [
        // A name of the page's own that resolves to this address.
        ("evil.example", String::new(), 403, "evil.example"),
        (&format!("evil.example:{port}"), JSON.to_owned(), 403, "evil.example"),
        ("localhost.evil.example", JSON.to_owned(), 403, "localhost.evil.example"),
        ("user@localhost", JSON.to_owned(), 403, "one host"),
        // A page of another address.
        (&own, format!("{JSON}origin: http://evil.example\r\n"), 403, "http://evil.example"),
        (&own, format!("{JSON}origin: null\r\n"), 403, "null"),
        (&own, format!("{JSON}origin: http://127.0.0.1:{}\r\n", port ^ 1), 403, "another address"),
        (&own, format!("{JSON}origin: http://{own}\r\norigin: http://evil.example\r\n"), 403, "evil.example"),
        (&own, format!("{JSON}sec-fetch-site: cross-site\r\n"), 403, "cross-site"),
        // A form, which needs nobody's leave.
        (&own, String::new(), 415, "application/json"),
        (&own, "content-type: text/plain\r\n".to_owned(), 415, "application/json"),
        (&own, "content-type: application/x-www-form-urlencoded\r\n".to_owned(), 415, "application/json"),
    ];
    let number = attempts.len();
    for (host, headers, status, words) in attempts {
        let headers = if status == 403 && headers.is_empty() { JSON.to_owned() } else { headers };
        let detail = problem(&request(serin.admin(), &changing(host, &headers)), status);
        assert!(detail.contains(words), "{host} {headers}: {detail}");
    }
    assert_eq!(turned_away(&serin, "foreign"), number as f64);
    assert_eq!(generation(&serin), 1);
    // Its own page, and programs.
    for (host, headers) in [
        (own.as_str(), format!("{JSON}origin: http://{own}\r\nsec-fetch-site: same-origin\r\n")),
        ("localhost", JSON.to_owned()),
        ("[::1]:9901", JSON.to_owned()),
        (&own, "content-type: application/json; charset=utf-8\r\n".to_owned()),
    ] {
        let answer = request(serin.admin(), &changing(host, &headers));
        assert_eq!(answer.status, 200, "{host} {headers}: {}", answer.text());
    }
}

#[test]
fn names_that_are_meant_are_named() {
    let serin = Serin::new(&config("{ address: 127.0.0.1:0, open: true, hosts: [serin.internal] }"));
    assert_eq!(request(serin.admin(), &changing("Serin.Internal:9901", JSON)).status, 200);
    problem(&request(serin.admin(), &changing("other.internal:9901", JSON)), 403);
}

#[test]
fn a_token_is_no_web_pages_to_show_and_needs_no_host() {
    let serin = Serin::with_files(
        &config("{ address: 127.0.0.1:0, open: true, tokens: tokens.yaml }"),
        &[("tokens.yaml", &tokens(&[("alice", "viewer", "secret")]))],
    );
    let with_token = format!("{JSON}{}", bearer("secret"));
    // Open is open for everybody, also for those who are known to be less.
    assert_eq!(request(serin.admin(), &changing("serin.shop.svc:9901", &with_token)).status, 200);
    let log = said(&serin, "weights changed");
    assert!(log.contains("alice"), "{log}");
    problem(&change(&serin, &bearer("wrong")), 401);
}
