use http::{HeaderMap, Version};
use proptest::prelude::*;

use super::*;

/// What became of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    /// `None`: none came, or it was refused.
    pub(super) head: Option<(StatusCode, Version, HeaderMap)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
    pub(super) end: End,
    /// Times the upstream asked for the body of the request.
    pub(super) asked: usize,
}

#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// Head or body were refused.
    Refused(Fault),
    /// There should have been more.
    Early,
    /// It was whole; whether another request may follow.
    Whole(bool),
    /// It was a 101, and these bytes came after it.
    Switched(Vec<u8>),
}

/// Reads `bytes` in pieces that are as long as `cuts` say (and as long as may be, after those), and then the end of the
/// connection where the upstream `closes`.
pub(super) fn read(method: &Method, bytes: &[u8], cuts: &[usize], closes: bool) -> Seen {
    let mut answer = Answer::default();
    answer.begin(method);
    let mut pieces = Pieces { rest: bytes, cuts: cuts.iter() };
    let mut seen = Seen { head: None, body: Vec::new(), trailers: HeaderMap::new(), end: End::Early, asked: 0 };
    loop {
        match answer.head() {
            Ok(Step::More) => match pieces.next() {
                Some(piece) => answer.read(piece),
                None => return seen,
            },
            Ok(Step::Continue) => seen.asked += 1,
            Ok(Step::Final(response)) => {
                let (parts, ()) = response.into_parts();
                seen.head = Some((parts.status, parts.version, parts.headers));
                break;
            }
            Err(fault) => return Seen { end: End::Refused(fault), ..seen },
        }
    }
    loop {
        let left = answer.left();
        match answer.next() {
            Ok(Piece::Data(data)) => {
                assert!(!data.is_empty() && left.is_none_or(|left| left >= data.len() as u64));
                seen.body.extend_from_slice(&data);
            }
            Ok(Piece::Trailers(trailers)) => seen.trailers = trailers,
            Ok(Piece::End) => break,
            Ok(Piece::More) => match pieces.next() {
                Some(piece) => answer.read(piece),
                None if closes && answer.end() => break,
                None => return seen,
            },
            Err(fault) => return Seen { end: End::Refused(fault), ..seen },
        }
    }
    assert!(answer.is_ended() && answer.left() == Some(0));
    // What comes after the answer comes before the connection is used again.
    pieces.for_each(|piece| answer.read(piece));
    if matches!(answer.state, State::Switched) {
        return Seen { end: End::Switched(answer.into_rest().to_vec()), ..seen };
    }
    let reusable = answer.put_away();
    assert_eq!(answer.buf.capacity(), 0, "an unused connection keeps no buffer");
    Seen { end: End::Whole(reusable), ..seen }
}

struct Pieces<'a> {
    rest: &'a [u8],
    cuts: std::slice::Iter<'a, usize>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let cut = self.cuts.next().copied().unwrap_or(usize::MAX);
        let (piece, rest) = self.rest.split_at(cut.clamp(1, self.rest.len().max(1)).min(self.rest.len()));
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

fn get(bytes: impl AsRef<[u8]>) -> Seen {
    read(&Method::GET, bytes.as_ref(), &[], false)
}

fn malformed(bytes: &str) {
    let seen = get(bytes);
    assert!(
        matches!(seen, Seen { head: None, end: End::Refused(Fault::Malformed(_)), .. }),
        "{bytes:?} was let through: {seen:?}"
    );
}

#[test]
fn proper_heads_pass() {
    for (bytes, status) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED \r\n\r\n0\r\n\r\n", 200),
        ("HTTP/1.0 200 OK\r\n\r\n", 200),
        ("HTTP/1.1 200\r\n\r\n", 200),
        ("HTTP/1.1 999 \r\n\r\n", 999),
        ("HTTP/1.1 200 \t\u{e4} ok\r\n\r\n", 200),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nanything\ngoes\0", 101),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            204,
        ),
    ] {
        let head = get(bytes).head.unwrap_or_else(|| panic!("{bytes:?} was refused"));
        assert_eq!(head.0.as_u16(), status, "{bytes:?}");
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
    for reason in ["O\0K", "O\rK", "\x7f", "\x1b[2J"] {
        malformed(&format!("HTTP/1.1 200 {reason}\r\n\r\n"));
    }
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
    let unknown = get("HTTP/1.1 200 OK\r\ntransfer-encoding: br\r\n\r\n");
    assert_eq!(unknown.end, End::Refused(Fault::UnknownCoding));
}

#[test]
fn lines_that_are_no_headers_are_refused_in_interim_answers_too() {
    for line in ["nocolon", ": y", "x : y", "x y: z", "x: \0", "x: a\rb", "x: \x7f"] {
        malformed(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n"));
        malformed(&format!("HTTP/1.1 103 Early Hints\r\n{line}\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"));
    }
}

#[test]
fn a_head_has_so_many_bytes_and_lines() {
    let head = |lines: usize| format!("HTTP/1.1 204 No Content\r\n{}\r\n", "x: y\r\n".repeat(lines));
    assert_eq!(get(head(LIMITS.lines)).end, End::Whole(true));
    assert_eq!(get(head(LIMITS.lines + 1)).end, End::Refused(Fault::TooLarge));
    assert_eq!(get("H".repeat(LIMITS.bytes + 1)).end, End::Refused(Fault::TooLarge));
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LIMITS.bytes));
    assert_eq!(get(long).end, End::Refused(Fault::TooLarge));
}

#[test]
fn interim_answers_come_to_an_end() {
    let answer = |interim: u8| {
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(usize::from(interim));
        get(format!("{hints}HTTP/1.1 204 No Content\r\n\r\n")).end
    };
    assert_eq!(answer(MAX_INTERIM), End::Whole(true));
    assert!(matches!(answer(MAX_INTERIM + 1), End::Refused(_)));
    let asking = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(get(asking).asked, 2);
}

#[test]
fn a_body_is_not_taken_for_a_head_until_the_next_answer_is_expected() {
    let mut answer = Answer::default();
    answer.begin(&Method::GET);
    answer.read(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHTTP/1.1 ");
    assert!(matches!(answer.head(), Ok(Step::Final(_))));
    assert!(matches!(answer.next(), Ok(Piece::Data(data)) if data == "HTTP/1.1 "));
    answer.read(b"x\n\n\0");
    assert!(matches!(answer.next(), Ok(Piece::Data(data)) if data == "x\n\n\0"));
    assert!(answer.put_away());
    answer.begin(&Method::GET);
    assert!(!answer.has_begun());
    answer.read(b"HTTP/1.1 200 OK\r\n");
    assert!(matches!(answer.head(), Ok(Step::More)));
    answer.read(b"content-length: x\r\n\r\n");
    assert!(answer.head().is_err());
}

#[test]
fn an_answer_says_nothing_about_the_next() {
    let mut answer = Answer::default();
    for (head, body) in [
        ("content-length: 1", "a"),
        ("transfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n"),
        ("content-length: 2\r\nconnection: keep-alive", "ab"),
        ("content-length: 0", ""),
    ] {
        for method in [Method::GET, Method::HEAD] {
            answer.begin(&method);
            answer.read(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes());
            assert!(matches!(answer.head(), Ok(Step::Final(_))), "{head}");
            if method == Method::GET {
                answer.read(body.as_bytes());
            }
            while !matches!(answer.next(), Ok(Piece::End)) {}
            assert!(answer.put_away(), "{head}");
        }
    }
}

#[test]
fn only_an_answer_that_says_so_is_followed_by_another() {
    for (head, reusable) in [
        ("HTTP/1.1 204 No Content\r\n", true),
        ("HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n", true),
        ("HTTP/1.1 204 No Content\r\nConnection: x-a\r\nconnection: x-b ,\tClose\r\n", false),
        ("HTTP/1.1 204 No Content\r\nconnection: closed\r\n", true),
        ("HTTP/1.0 204 No Content\r\n", false),
        ("HTTP/1.0 204 No Content\r\nconnection: Keep-Alive\r\n", true),
        ("HTTP/1.0 204 No Content\r\nconnection: keep-alive, close\r\n", false),
    ] {
        assert_eq!(get(format!("{head}\r\n")).end, End::Whole(reusable), "{head}");
        assert_eq!(get(format!("{head}\r\n\n")).end, End::Whole(false), "{head}: a byte too many");
    }
}

#[test]
fn a_connection_header_stays_only_where_it_says_more_than_whether_another_may_follow() {
    for (said, stays) in [
        ("close", 0),
        ("Keep-Alive ,, CLOSE", 0),
        ("close, x-mine", 1),
        ("upgrade", 1),
        ("keep-alive\r\nconnection: x", 2),
    ] {
        let head =
            get(format!("HTTP/1.1 204 No Content\r\nconnection: {said}\r\nx: y\r\n\r\n")).head.expect("a head").2;
        assert_eq!((head.get_all("connection").iter().count(), head.len()), (stays, stays + 1), "{said}");
    }
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304), (Method::HEAD, 404)] {
        for said in ["content-length: 5\r\n", "transfer-encoding: chunked\r\n", ""] {
            let seen = read(&method, format!("HTTP/1.1 {status} x\r\n{said}\r\n").as_bytes(), &[], false);
            assert_eq!((seen.end, seen.body.len()), (End::Whole(true), 0), "{method} {status} {said}");
        }
    }
}

#[test]
fn only_a_body_without_a_length_ends_with_the_connection() {
    for (head, closes, end) in [
        ("", true, End::Whole(false)),
        ("", false, End::Early),
        ("content-length: 4\r\n", true, End::Early),
        ("transfer-encoding: chunked\r\n", true, End::Early),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n1\r\n");
        assert_eq!(read(&Method::GET, answer.as_bytes(), &[], closes).end, end, "{head} {closes}");
    }
}

#[test]
fn what_follows_a_switch_is_left_as_it_is() {
    let seen = get("HTTP/1.1 101 Switching Protocols\r\ncontent-length: 9\r\n\r\nany\n\0");
    assert_eq!(seen.end, End::Switched(b"any\n\0".to_vec()));
}

proptest! {
    #[test]
    fn how_bytes_are_cut_changes_no_verdict(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n", "HTTP/1.0 200 OK\r\n", "content-length: 3\r\n", "content-length: 03\r\n",
            "transfer-encoding: chunked\r\n", "x: y\r\n", "\r\n", "\n", "\r", " ", "abc", "\0",
        ]), 0..16),
        cuts in prop::collection::vec(0_usize..8, 0..60),
        closes: bool,
    ) {
        let bytes = pieces.concat().into_bytes();
        prop_assert_eq!(read(&Method::GET, &bytes, &cuts, closes), read(&Method::GET, &bytes, &[], closes));
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(0_usize..64, 0..8)) {
        prop_assert_eq!(read(&Method::GET, &bytes, &cuts, true), read(&Method::GET, &bytes, &[], true));
    }
}
