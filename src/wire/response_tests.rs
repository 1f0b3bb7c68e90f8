use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 512, lines: 6 };

fn scan(bytes: impl AsRef<[u8]>) -> Result<(), Fault> {
    ResponseScanner::new(LIMITS).scan(bytes.as_ref())
}

fn malformed(bytes: &str) {
    assert!(matches!(scan(bytes), Err(Fault::Malformed(_))), "{bytes:?} was let through");
}

#[test]
fn proper_heads_pass() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED \r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 999 \r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nanything\ngoes\0",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ] {
        assert_eq!(scan(bytes), Ok(()), "{bytes:?}");
    }
}

#[test]
fn what_is_no_status_line_is_refused() {
    for line in [
        "",
        "x",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 2000",
        "HTTP/1.1 200OK",
        "HTTP/1.1 099 x",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
    ] {
        malformed(&format!("{line}\r\n"));
    }
    malformed("HTTP/1.1 200 OK\n");
}

#[test]
fn ambiguous_framing_is_refused() {
    for lines in [
        "content-length: 1\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 1",
        "content-length: 1\r\ncontent-length: 1",
        "content-length: 01",
        "content-length: 1, 1",
        "content-length: ",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: ,chunked",
        "transfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "x: y\r\n folded",
        "x: y\n",
    ] {
        malformed(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"));
        // In an interim response as in a final one.
        malformed(&format!("HTTP/1.1 103 Early Hints\r\n{lines}\r\n\r\n"));
    }
    malformed("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(scan("HTTP/1.1 200 OK\r\ntransfer-encoding: br\r\n\r\n"), Err(Fault::UnknownCoding));
}

#[test]
fn a_head_has_so_many_bytes_and_lines() {
    let head = |lines: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(lines));
    assert_eq!(scan(head(LIMITS.lines)), Ok(()));
    assert_eq!(scan(head(LIMITS.lines + 1)), Err(Fault::TooLarge));
    assert_eq!(scan("H".repeat(LIMITS.bytes + 1)), Err(Fault::TooLarge));
    assert_eq!(scan(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LIMITS.bytes))), Err(Fault::TooLarge));
}

#[test]
fn bodies_are_not_looked_at_until_the_next_response_is_expected() {
    let mut scanner = ResponseScanner::new(LIMITS);
    assert_eq!(scanner.scan(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nHTTP/1.1 "), Ok(()));
    assert_eq!(scanner.scan(b"x\n\n\0"), Ok(()));
    scanner.expect_response();
    assert_eq!(scanner.scan(b"HTTP/1.1 200 OK\r\n"), Ok(()));
    assert!(scanner.scan(b"content-length: x\r\n\r\n").is_err());
}

#[test]
fn a_response_says_nothing_about_the_next() {
    let mut scanner = ResponseScanner::new(LIMITS);
    for head in ["content-length: 1", "transfer-encoding: chunked", "content-length: 2", "x: y"] {
        scanner.expect_response();
        assert_eq!(scanner.scan(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()), Ok(()), "{head}");
    }
}

fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<(), Fault> {
    let mut scanner = ResponseScanner::new(LIMITS);
    let mut rest = bytes;
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        scanner.scan(piece)?;
        rest = after;
    }
    Ok(())
}

proptest! {
    #[test]
    fn how_bytes_are_cut_changes_no_verdict(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n", "HTTP/1.0 200 OK\r\n", "content-length: 3\r\n", "content-length: 03\r\n",
            "transfer-encoding: chunked\r\n", "x: y\r\n", "\r\n", "\n", "\r", " ", "abc", "\0",
        ]), 0..16),
        cuts in prop::collection::vec(0_usize..8, 0..60),
    ) {
        let bytes = pieces.concat().into_bytes();
        prop_assert_eq!(in_pieces(&bytes, &cuts), in_pieces(&bytes, &[]));
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(0_usize..64, 0..8)) {
        prop_assert_eq!(in_pieces(&bytes, &cuts), in_pieces(&bytes, &[]));
    }
}
