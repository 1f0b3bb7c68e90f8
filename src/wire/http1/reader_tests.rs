use proptest::prelude::*;

use super::*;

const CHUNK_LINE: usize = 256;

const LIMITS: HeadLimits = HeadLimits { bytes: 1024, lines: 8 };

/// How far reading got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    /// Bodies of whole requests, by their trailers' number and their data.
    whole: Vec<(usize, Vec<u8>)>,
    in_head: bool,
    in_body: bool,
}

/// What is wrong, and in which request, counted from 0; whether that was begun.
#[derive(Debug, PartialEq, Eq)]
struct Stopped {
    fault: Fault,
    request: usize,
    in_body: bool,
}

fn read_all(reader: &mut RequestReader, read: &mut Read) -> Result<(), Stopped> {
    loop {
        let stopped = |fault, in_body, read: &Read| Stopped { fault, request: read.whole.len(), in_body };
        if !read.in_body {
            match reader.next_request() {
                Ok(None) => {
                    read.in_head = reader.is_in_head();
                    return Ok(());
                }
                Ok(Some(_)) => {
                    read.whole.push((0, Vec::new()));
                    read.in_body = true;
                }
                Err(fault) => return Err(stopped(fault, false, read)),
            }
        }
        read.in_head = false;
        let Some((trailers, data)) = read.whole.last_mut() else { return Ok(()) };
        match reader.next_piece() {
            Ok(Piece::Data(piece)) => data.extend_from_slice(&piece),
            Ok(Piece::Trailers(found)) => *trailers = found.len(),
            Ok(Piece::End) => read.in_body = false,
            Ok(Piece::More) => return Ok(()),
            Err(fault) => return Err(stopped(fault, true, read)),
        }
    }
}

fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<Read, Stopped> {
    let mut reader = RequestReader::new(LIMITS, &[]);
    let mut read = Read::default();
    let mut rest = bytes;
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        reader.buffer().extend_from_slice(piece);
        read_all(&mut reader, &mut read)?;
        rest = after;
    }
    Ok(read)
}

fn scan(bytes: &[u8]) -> Result<Read, Stopped> {
    in_pieces(bytes, &[])
}

fn refused(bytes: impl AsRef<[u8]>) -> Stopped {
    let bytes = bytes.as_ref();
    match scan(bytes) {
        Err(stopped) => stopped,
        Ok(_) => panic!("{:?} was let through", String::from_utf8_lossy(bytes)),
    }
}

fn passes(bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    let read = scan(bytes).unwrap_or_else(|stopped| panic!("{:?}: {stopped:?}", String::from_utf8_lossy(bytes)));
    assert!(!read.in_head && !read.in_body, "{:?} is not seen to end", String::from_utf8_lossy(bytes));
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
    assert!(scan((with("content-length: 999999999999999999") + "x").as_bytes()).is_ok_and(|read| read.in_body));
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
    let mut reader = RequestReader::new(LIMITS, &[]);
    let mut one_more = || {
        reader.buffer().extend_from_slice(b"G");
        reader.next_request().is_ok()
    };
    let within = (0..=LIMITS.bytes).take_while(|_| one_more()).count();
    assert_eq!(within, LIMITS.bytes);
    // Every head has the whole of it.
    passes(bytes(LIMITS.bytes).repeat(3));
}

#[test]
fn what_stands_before_a_faulty_request_is_read() {
    let good = with("content-length: 2") + "ok";
    for wrong in ["GET / HTTP/1.1\nx\r\n", "nonsense\r\n", &(with("transfer-encoding: chunked") + "x\r\n")] {
        let stopped = refused(format!("{good}{good}{wrong}"));
        assert_eq!((stopped.request, stopped.in_body), (2, false), "{wrong:?}");
    }
}

#[test]
fn a_fault_is_in_a_body_where_the_head_was_complete_before() {
    let head = with("transfer-encoding: chunked");
    let stopped = in_pieces(format!("{head}1\r\na\r\nx\r\n").as_bytes(), &[head.len()]).expect_err("a bad chunk");
    assert!(stopped.in_body);
    // What comes together is looked at together, and never begun.
    assert!(!refused(format!("{head}1\r\na\r\nx\r\n")).in_body);
    // The end of a good body and a bad request behind it: the body is whole.
    let stopped =
        in_pieces(format!("{head}0\r\n\r\nnonsense\r\n").as_bytes(), &[head.len()]).expect_err("a bad request");
    assert_eq!((stopped.in_body, stopped.request), (false, 1));
}

#[test]
fn it_is_known_where_the_bytes_end() {
    let text = with("content-length: 2") + "ok";
    let head = text.len() - 2;
    for end in 0..=text.len() {
        let read = scan(&text.as_bytes()[..end]).expect("so far so good");
        let expected = (end > 0 && end < head, end >= head && end < text.len());
        assert_eq!((read.in_head, read.in_body), expected, "after {end} bytes");
    }
}

/// A request that is whole and well framed, with the number of its trailers and its body.
fn whole_request() -> impl Strategy<Value = (Vec<u8>, (usize, Vec<u8>))> {
    let body = prop::collection::vec(any::<u8>(), 0..200);
    let fields = prop::collection::vec("[a-z]{1,8}-x: [ -~]{0,20}", 0..4);
    (body, fields, any::<bool>(), prop::collection::vec(1_usize..50, 0..5)).prop_map(|(body, fields, chunked, cuts)| {
        let mut bytes = b"POST /path HTTP/1.1\r\nhost: a\r\n".to_vec();
        for field in fields {
            bytes.extend(field.bytes().chain(*b"\r\n"));
        }
        if !chunked {
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(&body);
            return (bytes, (0, body));
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
        (bytes, (1, body))
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

proptest! {
    #[test]
    fn whole_requests_pass_however_many_and_however_cut(
        requests in prop::collection::vec(whole_request(), 1..4),
        cuts in prop::collection::vec(0_usize..64, 0..40),
    ) {
        let bytes = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>();
        let whole = requests.into_iter().map(|(_, body)| body).collect();
        prop_assert_eq!(in_pieces(&bytes, &cuts), Ok(Read { whole, in_head: false, in_body: false }));
    }

    #[test]
    fn how_bytes_are_cut_changes_no_verdict(bytes in odd_bytes(), cuts in prop::collection::vec(0_usize..8, 0..60)) {
        same_verdict(&bytes, &cuts)?;
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(0_usize..64, 0..8)) {
        same_verdict(&bytes, &cuts)?;
    }
}

/// Whether a faulty request was begun may differ; what is wrong with it, and what was read before it, may not.
fn same_verdict(bytes: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    match (in_pieces(bytes, cuts), in_pieces(bytes, &[])) {
        (Err(cut), Err(whole)) => prop_assert_eq!(cut.fault, whole.fault),
        (cut, whole) => prop_assert_eq!(cut, whole),
    }
    Ok(())
}
