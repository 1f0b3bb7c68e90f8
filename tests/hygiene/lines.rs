//! Header lines: how they look, and which of them stay behind.

use crate::House;
use crate::support::client::Raw;

#[test]
fn header_lines_are_names_and_values_and_nothing_else() {
    let mut house = House::new();
    for line in [
        "x : y",
        "x\t: y",
        "x y: z",
        ": y",
        "x",
        "x\0: y",
        "(x): y",
        "x\u{fc}: y",
        "\"x\": y",
        "x;: y",
        "x{}: y",
        "x/y: z",
        "x: a\0b",
        "x: a\u{1}b",
        "x: a\u{b}b",
        "x: a\u{7f}b",
        "x: a\rb",
        "x: \r",
        "x: a\r",
        "\rx: y",
        "x\r: y",
        "x: a\u{8}",
        "x: a\r\n b",
        "x: a\r\n\tb",
        "x:\r\n y",
        " x: y",
        "\tx: y",
        "x: y\r\n ",
        "x: y\r\n\t",
    ] {
        house.refuses(format!("GET / HTTP/1.1\r\nhost: shop.example\r\n{line}\r\n\r\n"));
        house.refuses(format!("GET / HTTP/1.1\r\n{line}\r\nhost: shop.example\r\n\r\n"));
    }
    let seen = house.passes(
        "GET / HTTP/1.1\r\nhost: a\r\nx-empty:\r\nx-tab: a\tb\r\nx-any: !#$%\u{fc}\r\nx-a: 1\r\nX-A: 2\r\n\r\n",
    );
    assert_eq!(seen.headers("x-empty"), [""]);
    assert_eq!(seen.headers("x-tab"), ["a\tb"]);
    assert_eq!(seen.headers("x-any"), ["!#$%\u{fc}"]);
    assert_eq!(seen.headers("x-a"), ["1", "2"]);
}

#[test]
fn lines_end_with_carriage_return_and_line_feed() {
    let mut house = House::new();
    for bytes in [
        "GET / HTTP/1.1\nhost: a\n\n",
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\r\r\n\r\n",
        "GET / HTTP/1.1\rhost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\rGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        house.refuses(bytes);
    }
    house.passes("\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n");
    house.passes("\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n");
}

#[test]
fn a_head_in_single_bytes_is_read_like_any_other() {
    let mut house = House::new();
    let mut client = Raw::connect(house.serin.web());
    for byte in b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response(false).expect("an answer").text(), "answered");
    house.expected += 1;
    house.check("single bytes");
    assert_eq!(house.upstream.last().body, b"ok");
    let mut client = Raw::connect(house.serin.web());
    for byte in b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response(false).expect("a refusal").status, 400);
    house.check("single bytes");
}

#[test]
fn what_belongs_to_one_hop_stays_on_it() {
    let mut house = House::new();
    let seen = house.passes(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, X-Mine ,x-other\r\nConnection: x-third\r\nkeep-alive: timeout=5\r\n\
         x-mine: 1\r\nx-other: 2\r\nX-Third: 3\r\nproxy-connection: keep-alive\r\nproxy-authorization: secret\r\n\
         proxy-authenticate: x\r\nte: gzip\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nx-kept: yes\r\n\r\n",
    );
    for name in [
        "connection",
        "keep-alive",
        "x-mine",
        "x-other",
        "x-third",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(seen.headers(name), [""; 0], "{name}");
    }
    assert_eq!(seen.headers("x-kept"), ["yes"]);
    for te in ["trailers", "Trailers", "gzip;q=0.5, trailers", "trailers, deflate"] {
        let seen = house.passes(format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: te\r\nte: {te}\r\n\r\n"));
        assert_eq!(seen.headers("te"), ["trailers"], "{te}");
    }
}

#[test]
fn connection_must_not_name_what_frames_or_routes() {
    let mut house = House::new();
    for name in
        ["host", "Host", "content-length", "Content-Length", "transfer-encoding", "close, host", "a,content-length , b"]
    {
        house.refuses_post(&format!("content-length: 2\r\nconnection: {name}\r\n"), "ok");
        house.refuses_post(&format!("connection: close\r\ncontent-length: 2\r\nconnection: {name}\r\n"), "ok");
    }
}

#[test]
fn underscores_shadow_nothing() {
    let mut house = House::new();
    for name in [
        "content_length",
        "Content_Length",
        "transfer_encoding",
        "TRANSFER_ENCODING",
        "transfer_Encoding",
        "x_forwarded_for",
        "X_Forwarded_For",
        "x-forwarded_for",
        "x_forwarded-proto",
        "x_forwarded_host",
        "x_serin_version",
        "x_serin-version",
    ] {
        let seen = house.passes(format!("GET / HTTP/1.1\r\nhost: a\r\n{name}: 5\r\nx_other: kept\r\n\r\n"));
        assert_eq!(seen.headers(name), [""; 0], "{name}");
        assert_eq!(seen.headers("x_other"), ["kept"]);
    }
}

#[test]
fn what_a_stranger_says_about_itself_is_replaced() {
    let mut house = House::new();
    let seen = house.passes(
        "GET / HTTP/1.1\r\nhost: shop.example\r\nx-forwarded-for: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nx-forwarded-proto: https\r\n\
         x-forwarded-host: evil\r\nforwarded: for=1.2.3.4\r\nx-serin-version: mine\r\n\r\n",
    );
    assert_eq!(seen.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.headers("x-forwarded-host"), ["shop.example"]);
    assert_eq!(seen.headers("forwarded"), [""; 0]);
    assert_eq!(seen.headers("x-serin-version"), ["only"]);
}
