//! Host, request target, method, version.

use crate::House;

#[test]
fn there_is_one_host_and_it_is_a_host() {
    let mut house = House::new();
    for host in [
        "shop.example",
        "shop.example:8080",
        "SHOP.example",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:80",
        "a_b",
        "shop.example:",
    ] {
        assert_eq!(house.passes(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).headers("host"), [host]);
    }
    house.refuses("GET / HTTP/1.1\r\n\r\n");
    house.refuses("GET / HTTP/1.1\r\nx: y\r\n\r\n");
    for host in [
        "",
        " ",
        "a b",
        "a/b",
        "a@b",
        "user:pw@a",
        "a:b",
        "a:1:2",
        "a:123456",
        ":80",
        "[::1",
        "::1",
        "[]",
        "[::1]x",
        "[::g]",
        "a\\b",
        "a#b",
        "a?b",
        "a\tb",
        "a\0",
        "a\"b",
        "http://a",
        "\u{fc}",
        "a<b>",
    ] {
        house.refuses(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    }
    for (first, second) in [("a", "a"), ("a", "b"), ("a", ""), ("", "a")] {
        house.refuses(format!("GET / HTTP/1.1\r\nhost: {first}\r\nx: y\r\nHost: {second}\r\n\r\n"));
        house.refuses(format!("GET http://a/ HTTP/1.1\r\nhost: {first}\r\nHost: {second}\r\n\r\n"));
    }
}

#[test]
fn an_http_1_0_request_without_a_host_gets_one_on_the_way() {
    let mut house = House::new();
    let seen = house.passes("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(seen.request_line(), "GET / HTTP/1.1");
    assert_eq!(seen.headers("host"), [house.upstream.address.to_string()]);
    assert_eq!(house.passes("GET / HTTP/1.0\r\nhost: shop.example\r\n\r\n").headers("host"), ["shop.example"]);
}

#[test]
fn an_absolute_target_wins_over_host() {
    let mut house = House::new();
    for target in ["http://real.example/a?b=c", "HTTP://real.example/a?b=c"] {
        let seen = house.passes(format!("GET {target} HTTP/1.1\r\nhost: other.example\r\n\r\n"));
        assert_eq!(seen.request_line(), "GET /a?b=c HTTP/1.1");
        assert_eq!(seen.headers("host"), ["real.example"]);
        assert_eq!(seen.headers("x-forwarded-host"), ["real.example"]);
    }
    let seen = house.passes("GET http://real.example:81 HTTP/1.1\r\nhost: other.example\r\n\r\n");
    assert_eq!((seen.request_line(), seen.headers("host")), ("GET / HTTP/1.1", vec!["real.example:81".to_owned()]));
    let seen = house.passes("GET http://real.example?b HTTP/1.1\r\nhost: other.example\r\n\r\n");
    assert_eq!(seen.request_line(), "GET /?b HTTP/1.1");
    for target in ["http://user@real.example/", "http://", "http:///a", "http://a:b/", "http://[::1/", "http:a", "//"] {
        if target != "//" {
            house.refuses(format!("GET {target} HTTP/1.1\r\nhost: other.example\r\n\r\n"));
        }
    }
}

#[test]
fn only_paths_are_asked_for() {
    let mut house = House::new();
    let answer = house.refuses_with(405, "CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\n\r\n");
    assert!(answer.header("allow").is_some());
    house.refuses_with(405, "CONNECT / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    for line in [
        "GET shop.example:443",
        "GET shop.example",
        "GET *",
        "POST *",
        "GET ?a",
        "GET a/b",
        "GET  /",
        "GET /  ",
        "GET\t/",
        " GET /",
        "\tGET /",
        "GET /a b",
        "GET /a\tb",
        "GET /\0",
        "GET /\u{1}",
        "GET /\u{7f}",
        "GET /\u{b}",
        "GET",
        "GET ",
        "G(T /",
        "GET: /",
        "G\0T /",
        "\u{fc} /",
        "GET /<",
        "GET /a\r",
    ] {
        house.refuses(format!("{line} HTTP/1.1\r\nhost: shop.example\r\n\r\n"));
    }
    house.refuses(" / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
}

#[test]
fn only_http_1_0_and_1_1_are_spoken() {
    let mut house = House::new();
    for version in [
        " HTTP/1.2",
        " HTTP/2.0",
        " HTTP/0.9",
        " HTTP/1",
        " HTTP/1.10",
        " HTTP/01.1",
        " http/1.1",
        " HTTP/1.1 ",
        " HTTP/1.1\t",
        " HTTP/ 1.1",
        "HTTP/1.1",
        "\tHTTP/1.1",
        "",
        " ",
        " FTP/1.1",
        " HTTP/1,1",
        " HTTP/1.1\0",
        " HTTPS/1.1",
    ] {
        house.refuses(format!("GET /{version}\r\nhost: shop.example\r\n\r\n"));
    }
    house.refuses("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
}

#[test]
fn a_method_is_passed_on_as_it_was_written() {
    let mut house = House::new();
    for method in ["get", "Post", "PURGE", "M-SEARCH"] {
        assert_eq!(
            house.passes(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n")).request_line(),
            format!("{method} / HTTP/1.1")
        );
    }
}
