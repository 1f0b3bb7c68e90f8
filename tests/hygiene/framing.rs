//! Transfer-Encoding and Content-Length.

use crate::House;

#[test]
fn chunked_is_the_only_transfer_coding_and_is_said_once() {
    let mut house = House::new();
    for coding in ["chunked", "CHUNKED", " Chunked ", "\tchunked\t"] {
        let seen = house.passes_post(&format!("Transfer-Encoding:{coding}\r\n"), "3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(seen.headers("transfer-encoding"), ["chunked"]);
        assert_eq!((seen.body.as_slice(), seen.headers("content-length").len()), (&b"abc"[..], 0));
    }
    let last = "0\r\n\r\n";
    for coding in [
        ",chunked",
        "chunked,",
        "chunked, deflate",
        "deflate, chunked",
        "chunked, chunked",
        "identity",
        "identity, chunked",
        "gzip",
        "deflate",
        "compress",
        "",
        "\"chunked\"",
        "chunked;q=1",
        "chunk ed",
        "chunked identity",
        "chunked\u{b}",
        "\u{b}chunked",
        "chunked\0",
        "chunked\r\n , identity",
        "\r\n chunked",
        "chunked\r",
        "ch\u{fc}nked",
    ] {
        house.refuses_post(&format!("Transfer-Encoding: {coding}\r\n"), last);
    }
    for two in ["chunked|chunked", "chunked|identity", "identity|chunked", "|chunked", "chunked|", "x|chunked"] {
        let (first, second) = two.split_once('|').expect("two");
        let headers = format!("transfer-encoding: {first}\r\nx-between: 1\r\nTransfer-Encoding: {second}\r\n");
        let head = format!("POST / HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n{last}");
        house.refuses_with(if first == "x" { 501 } else { 400 }, head);
    }
    for name in ["transfer-encoding ", "transfer-encoding\t", "transfer-encoding\0", " transfer-encoding"] {
        house.refuses_post(&format!("{name}: chunked\r\n"), last);
    }
    house.refuses(format!("POST / HTTP/1.0\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n{last}"));
}

#[test]
fn an_unknown_transfer_coding_is_not_implemented() {
    let mut house = House::new();
    for coding in ["xchunked", "chunkedx", "br", "zstd"] {
        let head = format!("POST / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n");
        let answer = house.refuses_with(501, head);
        assert_eq!(answer.header("x-serin-error"), Some("unsupported"));
    }
}

#[test]
fn a_length_and_a_coding_never_stand_together() {
    let mut house = House::new();
    for (length, coding) in [("5", "chunked"), ("0", "chunked"), ("6", "Chunked")] {
        let length = format!("content-length: {length}\r\n");
        let coding = format!("transfer-encoding: {coding}\r\n");
        house.refuses_post(&format!("{length}{coding}"), "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
        house.refuses_post(&format!("{coding}x-between: 1\r\n{length}"), "0\r\n\r\n");
    }
    house.refuses("GET / HTTP/1.0\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
}

#[test]
fn a_length_is_one_plain_number() {
    let mut house = House::new();
    for length in ["5", "  5", "5 ", "\t5\t"] {
        let seen = house.passes_post(&format!("Content-Length:{length}\r\n"), "hello");
        assert_eq!((seen.headers("content-length"), seen.body.as_slice()), (vec!["5".to_owned()], &b"hello"[..]));
    }
    assert_eq!(house.passes_post("content-length: 0\r\n", "").headers("content-length"), ["0"]);
    for length in [
        "",
        " ",
        "05",
        "00",
        "+5",
        "-5",
        "-0",
        "5, 5",
        "5,5",
        "5,6",
        ",5",
        "5,",
        "0x5",
        "5 5",
        "5;",
        "5.0",
        "5e0",
        "five",
        "99999999999999999999",
        "18446744073709551621",
        "1000000000000000000000000000005",
        "5\0",
        "\x005",
        "\"5\"",
        "5\u{b}",
        "\u{665}",
        "5\r\n 5",
        "5\r",
    ] {
        house.refuses_post(&format!("content-length: {length}\r\n"), "hello");
    }
    for (first, second) in [("5", "6"), ("5", "5"), ("0", "5"), ("5", "0"), ("5", ""), ("", "5"), ("5", "x")] {
        house.refuses_post(&format!("content-length: {first}\r\nx: y\r\nContent-Length: {second}\r\n"), "hello");
    }
    for name in ["content-length ", "content-length\t", " content-length", "content-length\0", "\u{b}content-length"] {
        house.refuses_post(&format!("{name}: 5\r\n"), "hello");
    }
}
