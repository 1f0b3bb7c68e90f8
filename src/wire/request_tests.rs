use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 1024, lines: 8 };

fn scan(bytes: &[u8]) -> Result<RequestScanner, Stopped> {
    let mut scanner = RequestScanner::new(LIMITS);
    scanner.scan(bytes).map(|()| scanner)
}

fn refused(bytes: impl AsRef<[u8]>) -> Stopped {
    let bytes = bytes.as_ref();
    match scan(bytes) {
        Err(stopped) => stopped,
        Ok(_) => panic!("{:?} was let through", String::from_utf8_lossy(bytes)),
    }
}

/// Whether the bytes end between two requests.
fn is_between(scanner: &RequestScanner) -> bool {
    !scanner.is_in_body() && !scanner.is_in_head()
}

fn passes(bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    let scanner = scan(bytes).unwrap_or_else(|stopped| panic!("{:?}: {stopped:?}", String::from_utf8_lossy(bytes)));
    assert!(is_between(&scanner), "{:?} is not seen to end", String::from_utf8_lossy(bytes));
}

fn with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n")
}

#[test]
fn whole_requests_pass() {
    passes(with("x: y"));
    passes(with("content-length: 0"));
    passes(with("Content-Length: 5") + "hello");
    passes(with("TRANSFER-ENCODING: Chunked") + "5\r\nhello\r\n0\r\n\r\n");
    passes(with("transfer-encoding: chunked") + "A;x=y\r\n0123456789\r\n0\r\nx: y\r\n\r\n");
    passes("GET / HTTP/1.0\r\n\r\n");
    passes("\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    // Names that only look like those that frame.
    passes(with("content-lengthy: x\r\nx-content-length: x\r\ntransfer-encodings: x\r\ntransfer: x\r\nc: x"));
}

#[test]
fn two_framings_are_refused_at_the_end_of_the_head() {
    for lines in ["content-length: 1\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 1"]
    {
        let stopped = refused(with(lines));
        assert!(matches!(stopped.fault, Fault::Malformed(_)));
        assert!(!stopped.in_body);
    }
    assert!(matches!(refused("GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n").fault, Fault::Malformed(_)));
}

#[test]
fn lengths_that_two_parsers_may_read_differently_are_refused() {
    for value in
        ["", "+1", "-1", "01", "1, 1", "1 1", "0x1", "1000000000000000000", "99999999999999999999", "1\0", "1\u{b}"]
    {
        assert!(matches!(refused(with(&format!("content-length: {value}"))).fault, Fault::Malformed(_)), "{value:?}");
    }
    refused(with("content-length: 1\r\ncontent-length: 1"));
    passes(with("content-length: 1") + "x");
    assert!(scan((with("content-length: 999999999999999999") + "x").as_bytes()).is_ok_and(|s| s.is_in_body()));
}

#[test]
fn codings_other_than_chunked_are_refused() {
    for value in [
        "",
        ",chunked",
        "chunked,",
        "chunked, chunked",
        "gzip, chunked",
        "gzip",
        "identity",
        "\"chunked\"",
        "chunked\u{b}",
    ] {
        let fault = refused(with(&format!("transfer-encoding: {value}"))).fault;
        assert!(matches!(fault, Fault::Malformed(_)), "{value:?}");
    }
    refused(with("transfer-encoding: chunked\r\ntransfer-encoding: chunked"));
    for value in ["xchunked", "br", "chunked-2"] {
        assert_eq!(refused(with(&format!("transfer-encoding: {value}"))).fault, Fault::UnknownCoding, "{value:?}");
    }
}

#[test]
fn lines_must_end_and_begin_as_http_has_them() {
    for bytes in [
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\r\nhost: a\n",
        "GET / HTTP/1.1\r\n x: y\r\n",
        "GET / HTTP/1.1\r\n\tx: y\r\n",
        "\n",
        "\r\n\r\n\r\n\r\n\r\n",
        "GET / HTTP/1.2\r\n",
        "GET / HTTP/2.0\r\n",
        "GET /\r\n",
        "HTTP/1.1\r\n",
        "x\r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
    ] {
        refused(bytes);
    }
}

#[test]
fn chunks_must_be_what_their_sizes_say() {
    for chunks in [
        "x\r\n",
        "\r\n",
        " 1\r\n",
        "1 1\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1\n",
        "1;\0\r\n",
        "1;a\u{7f}\r\n",
        "1000000000000000\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\r\r\n",
        "0\r\nx\r\n",
        "0\r\nx: y\n",
        "0\r\n\n",
        "0\r\n x: y\r\n",
        "0\r\nx y: z\r\n",
        "0\r\n: z\r\n",
        "0\r\nx: \0\r\n",
        "0\r\ncontent-length: x\r\n",
        "0\r\ntransfer-encoding: chunked\r\n",
    ] {
        refused(with("transfer-encoding: chunked") + chunks);
    }
    let chunked = with("transfer-encoding: chunked");
    let extended = |length: usize| format!("{chunked}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length - 3));
    passes(extended(CHUNK_LINE));
    refused(extended(CHUNK_LINE + 1));
}

#[test]
fn a_head_has_so_many_bytes_and_lines() {
    let lines = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count));
    passes(lines(LIMITS.lines));
    assert_eq!(refused(lines(LIMITS.lines + 1)).fault, Fault::TooLarge);
    let bytes = |count: usize| format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(count - 21));
    passes(bytes(LIMITS.bytes));
    assert_eq!(refused(bytes(LIMITS.bytes + 1)).fault, Fault::TooLarge);
    // Without waiting for the end of a line.
    assert_eq!(refused("G".repeat(LIMITS.bytes + 1)).fault, Fault::TooLarge);
    let mut scanner = RequestScanner::new(LIMITS);
    let within = (0..=LIMITS.bytes).take_while(|_| scanner.scan(b"G").is_ok()).count();
    assert_eq!(within, LIMITS.bytes);
    // Every head has the whole of it.
    passes(bytes(LIMITS.bytes).repeat(3));
}

#[test]
fn what_stands_before_a_faulty_request_is_clean() {
    let good = with("content-length: 2") + "ok";
    for wrong in ["GET / HTTP/1.1\nx\r\n", "nonsense\r\n", &(with("transfer-encoding: chunked") + "x\r\n")] {
        let stopped = refused(format!("{good}{good}{wrong}"));
        assert_eq!((stopped.clean, stopped.in_body), (2 * good.len(), false), "{wrong:?}");
    }
}

#[test]
fn a_fault_is_in_a_body_where_the_head_was_complete_before() {
    let head = with("transfer-encoding: chunked");
    let mut scanner = RequestScanner::new(LIMITS);
    scanner.scan(head.as_bytes()).expect("a good head");
    let stopped = scanner.scan(b"1\r\na\r\nx\r\n").expect_err("a bad chunk");
    assert!(stopped.in_body);
    // The end of a good body and a bad request behind it: the body is clean.
    let mut scanner = RequestScanner::new(LIMITS);
    scanner.scan(head.as_bytes()).expect("a good head");
    let stopped = scanner.scan(b"0\r\n\r\nnonsense\r\n").expect_err("a bad request");
    assert_eq!((stopped.in_body, stopped.clean), (false, 5));
}

#[test]
fn it_is_known_where_the_bytes_end() {
    let text = with("content-length: 2") + "ok";
    let head = text.len() - 2;
    for end in 0..=text.len() {
        let scanner = scan(&text.as_bytes()[..end]).expect("so far so good");
        let known = (scanner.is_in_head(), scanner.is_in_body());
        let expected = (end > 0 && end < head, end >= head && end < text.len());
        assert_eq!(known, expected, "after {end} bytes");
    }
    assert!(scan(b"GET / HTTP/1.0\r\n").is_ok_and(|scanner| scanner.is_http10()));
    assert!(!scan(b"GET / HTTP/1.1\r\n").is_ok_and(|scanner| scanner.is_http10()));
}

/// A request that is whole and well framed.
fn whole_request() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..200);
    let fields = prop::collection::vec("[a-z]{1,8}-x: [ -~]{0,20}", 0..4);
    (body, fields, any::<bool>(), prop::collection::vec(1_usize..50, 0..5)).prop_map(|(body, fields, chunked, cuts)| {
        let mut bytes = b"POST /path HTTP/1.1\r\nhost: a\r\n".to_vec();
        for field in fields {
            bytes.extend(field.bytes().chain(*b"\r\n"));
        }
        if !chunked {
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(body);
            return bytes;
        }
        bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
        let mut rest = &body[..];
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            if !chunk.is_empty() {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
            }
            rest = after;
        }
        bytes.extend(b"0\r\nx-sum: 1\r\n\r\n");
        bytes
    })
}

/// Bytes that are a request in places.
fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST / HTTP/1.0\r\n",
        "host: a\r\n",
        "content-length: 3\r\n",
        "content-length: 03\r\n",
        "transfer-encoding: chunked\r\n",
        "transfer-encoding: x\r\n",
        "\r\n",
        "\n",
        "\r",
        "abc",
        "3\r\n",
        "0\r\n",
        "0\r\n\r\n",
        "x: y\r\n",
        " ",
        "\0",
        ";",
        ":",
        "0123456789012345678901234567890123456789",
        "1;",
    ]);
    prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Scans in pieces of these lengths; where it stopped, counted from the start, and what it knows at the end.
fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<(bool, bool, bool), Fault> {
    let mut scanner = RequestScanner::new(LIMITS);
    let mut rest = bytes;
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        scanner.scan(piece).map_err(|stopped| stopped.fault)?;
        rest = after;
    }
    Ok((scanner.is_in_head(), scanner.is_in_body(), scanner.is_http10()))
}

proptest! {
    #[test]
    fn whole_requests_pass_however_many_and_however_cut(
        requests in prop::collection::vec(whole_request(), 1..4),
        cuts in prop::collection::vec(0_usize..64, 0..40),
    ) {
        let bytes = requests.concat();
        prop_assert_eq!(in_pieces(&bytes, &cuts), Ok((false, false, false)));
    }

    #[test]
    fn how_bytes_are_cut_changes_no_verdict(bytes in odd_bytes(), cuts in prop::collection::vec(0_usize..8, 0..60)) {
        prop_assert_eq!(in_pieces(&bytes, &cuts), in_pieces(&bytes, &[]));
    }

    #[test]
    fn only_whole_requests_count_as_clean(good in prop::collection::vec(whole_request(), 0..3), odd in odd_bytes()) {
        let whole = good.concat();
        let bytes = [&whole[..], &odd].concat();
        if let Err(stopped) = scan(&bytes) {
            prop_assert!(stopped.clean >= whole.len() && stopped.clean <= bytes.len());
            let between = scan(&bytes[..stopped.clean]).map(|scanner| is_between(&scanner));
            prop_assert_eq!(between, Ok(true));
            prop_assert!(!stopped.in_body);
        }
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(0_usize..64, 0..8)) {
        prop_assert_eq!(in_pieces(&bytes, &cuts), in_pieces(&bytes, &[]));
    }
}
