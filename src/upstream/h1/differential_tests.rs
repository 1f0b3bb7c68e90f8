//! Answers by seed: whole ones, which must be read as they were made however they are cut, and damaged ones, of which
//! nothing may pass that hyper's client refuses or reads differently.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use http_body_util::{BodyExt, Empty};
use hyper::rt::ReadBufCursor;

use super::tests::{End, Seen, read};
use super::*;

const CASES: u64 = 4_000;

/// An answer and how it must be read.
struct Made {
    method: Method,
    bytes: Vec<u8>,
    closes: bool,
    seen: Seen,
}

fn made(rng: &mut fastrand::Rng) -> Made {
    let method = if rng.u8(..8) == 0 { Method::HEAD } else { Method::GET };
    let mut bytes = Vec::new();
    let mut asked = 0;
    for _ in 0..rng.usize(..3).saturating_sub(1) {
        let (status, line) = [(100, ""), (103, "link: </a>; rel=preload\r\n"), (199, "x:\r\n")][rng.usize(..3)];
        asked += usize::from(status == 100);
        bytes.extend(format!("HTTP/1.1 {status} interim\r\n{line}\r\n").into_bytes());
    }
    let status = [200, 201, 204, 206, 304, 404, 500, 503, 999][rng.usize(..9)];
    let http10 = rng.u8(..6) == 0;
    let version = if http10 { Version::HTTP_10 } else { Version::HTTP_11 };
    let bodiless = method == Method::HEAD || matches!(status, 204 | 304);
    let length = [0, 1, 5, 200, 5000][rng.usize(..5)];
    let body: Vec<u8> = (0..if bodiless { 0 } else { length }).map(|_| rng.u8(..)).collect();
    let kind = rng.usize(..if http10 { 2 } else { 3 });
    let said = match kind {
        0 => String::new(),
        1 => format!("{}: {}\r\n", ["Content-Length", "content-length"][rng.usize(..2)], length),
        _ => "Transfer-Encoding: chunked\r\n".to_owned(),
    };
    let (connection, keeps) =
        [("", !http10), ("Connection: close\r\n", false), ("connection: Keep-Alive\r\n", true)][rng.usize(..3)];
    let mut lines = vec![said, connection.to_owned()];
    for number in 0..rng.usize(..6) {
        let value: String = (0..rng.usize(..30)).map(|_| rng.alphanumeric()).collect();
        lines.push(format!("X-{number}:{value}{}\r\n", [" ", "\t", ""][rng.usize(..3)]));
    }
    rng.shuffle(&mut lines);
    let reason = ["OK", "", "Not Found At All", "\u{e4}"][rng.usize(..4)];
    bytes.extend(format!("HTTP/1.{} {status} {reason}\r\n{}\r\n", u8::from(!http10), lines.concat()).into_bytes());
    let trailers = if kind == 2 && !bodiless { in_chunks(&mut bytes, &body, rng) } else { HeaderMap::new() };
    if kind != 2 {
        bytes.extend_from_slice(&body);
    }
    let closes = kind == 0 && !bodiless;
    let field = |(name, value): (&str, &str)| -> (HeaderName, HeaderValue) {
        (name.parse().expect("a name"), value.trim().parse().expect("a value"))
    };
    // A `Connection` that says no more is read and dropped.
    let passed_on = lines.iter().filter(|line| **line != connection).filter_map(|line| line.split_once(':'));
    let head = Some((StatusCode::from_u16(status).expect("a status"), version, passed_on.map(field).collect()));
    let seen = Seen { head, body, trailers, end: End::Whole(keeps && !closes), asked };
    Made { method, bytes, closes, seen }
}

fn in_chunks(bytes: &mut Vec<u8>, body: &[u8], rng: &mut fastrand::Rng) -> HeaderMap {
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rng.usize(1..=rest.len()));
        let extension = ["", ";a", "; a=\"b\"", " "][rng.usize(..4)];
        bytes.extend(format!("{:x}{extension}\r\n", piece.len()).into_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
        rest = after;
    }
    bytes.extend_from_slice(b"0\r\n");
    let mut trailers = HeaderMap::new();
    for _ in 0..rng.usize(..4).saturating_sub(1) {
        bytes.extend_from_slice(b"x-sum: 1\r\n");
        trailers.append("x-sum", HeaderValue::from_static("1"));
    }
    bytes.extend_from_slice(b"\r\n");
    trailers
}

fn cuts(rng: &mut fastrand::Rng) -> Vec<usize> {
    let longest = [2, 16, 300][rng.usize(..3)];
    (0..rng.usize(..100)).map(|_| rng.usize(1..longest)).collect()
}

#[test]
fn however_a_proper_answer_is_cut_it_is_read_as_it_was_made() {
    for seed in 0..CASES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let Made { method, bytes, closes, seen } = made(&mut rng);
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(read(&method, &bytes, &[], closes), seen, "seed {seed}: {method} {shown:?}");
        assert_eq!(read(&method, &bytes, &cuts(&mut rng), closes), seen, "seed {seed}, cut: {method} {shown:?}");
        let early = rng.usize(..bytes.len());
        let part = read(&method, &bytes[..early], &[], false);
        // The end of an answer may be there before its last byte is only where it says nothing of one.
        assert!(part.end == End::Early || closes, "seed {seed}: {early} bytes of {shown:?} were whole: {part:?}");
    }
}

#[test]
fn nothing_passes_that_hyper_refuses_or_reads_differently() {
    let (mut whole, mut refused) = (0, 0);
    for seed in 0..CASES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let Made { method, mut bytes, .. } = made(&mut rng);
        for _ in 0..rng.usize(..3) {
            damage(&mut bytes, &mut rng);
        }
        let shown = format!("seed {seed}: {method} {:?}", String::from_utf8_lossy(&bytes));
        let seen = read(&method, &bytes, &[], true);
        assert_eq!(read(&method, &bytes, &cuts(&mut rng), true), seen, "{shown}, cut");
        if matches!(seen.end, End::Refused(_)) {
            refused += 1;
        }
        let Some(head) = &seen.head else { continue };
        let (mut theirs, body) = by_hyper(&method, &bytes);
        if let Some((_, _, headers)) = &mut theirs
            && !head.2.contains_key(CONNECTION)
        {
            // What is dropped is what means nothing to anyone else.
            let said = headers.get_all(CONNECTION).iter().flat_map(|said| said.as_bytes().split(|byte| *byte == b','));
            let known: [&[u8]; 3] = [b"", b"close", b"keep-alive"];
            for word in said.map(|word| word.trim_ascii().to_ascii_lowercase()) {
                assert!(known.contains(&word.as_slice()), "{shown}");
            }
            headers.remove(CONNECTION);
        }
        assert_eq!(theirs.as_ref(), Some(head), "{shown}");
        if let End::Whole(_) = seen.end {
            whole += 1;
            let body = body.unwrap_or_else(|| panic!("{shown} was whole only here: {seen:?}"));
            assert_eq!(body, (seen.body, seen.trailers), "{shown}");
        }
    }
    // Neither all harmless nor all broken, or it would say little.
    assert!(whole > CASES / 10 && refused > CASES / 10, "{whole} whole, {refused} refused");
}

const BYTES: &[u8] = b"\0\r\n \t:,;0159afx/\x0b\x7f\x80\xff\"";
const LINES: [&str; 10] = [
    "Content-Length: 5",
    "content-length: 5, 5",
    "Content-Length : 3",
    "Transfer-Encoding: chunked",
    "transfer-encoding: gzip",
    " folded",
    "0",
    "",
    "HTTP/1.1 200 OK",
    "connection: close",
];

fn damage(bytes: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    // Mostly in the head: there is more to break.
    let within = if rng.bool() { bytes.len() } else { bytes.len().min(120) };
    let at = rng.usize(..within);
    let line_end = bytes[at..].windows(2).position(|two| two == b"\r\n").map(|end| at + end);
    match (rng.u8(..7), line_end) {
        (0, _) => bytes.insert(at, BYTES[rng.usize(..BYTES.len())]),
        (1, _) => bytes[at] = BYTES[rng.usize(..BYTES.len())],
        (2, _) if bytes.len() > 1 => drop(bytes.remove(at)),
        (3, Some(end)) => {
            let ending: &[u8] = [&b"\n"[..], b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\r\n", b""][rng.usize(..6)];
            bytes.splice(end..end + 2, ending.iter().copied());
        }
        (4, Some(end)) => drop(bytes.splice(end..end, format!("\r\n{}", LINES[rng.usize(..LINES.len())]).bytes())),
        (5, _) => bytes.truncate(at.max(1)),
        _ => bytes[at] ^= 0x20,
    }
}

type Theirs = (Option<(StatusCode, Version, HeaderMap)>, Option<(Vec<u8>, HeaderMap)>);

/// Head and whole body of the answer as hyper's client reads them.
fn by_hyper(method: &Method, bytes: &[u8]) -> Theirs {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let tape = Tape { bytes: bytes.to_vec(), at: 0, asked: false, waiting: None };
        let (mut send, conn) = hyper::client::conn::http1::handshake(tape).await.expect("a connection");
        let asking = async move {
            let request = http::Request::builder().method(method).uri("/").body(Empty::<Bytes>::new());
            let Ok(response) = send.send_request(request.expect("a request")).await else { return (None, None) };
            let (parts, body) = response.into_parts();
            let body = if parts.status == StatusCode::SWITCHING_PROTOCOLS { None } else { body.collect().await.ok() };
            let body = body.map(|whole| {
                let trailers = whole.trailers().cloned().unwrap_or_default();
                (whole.to_bytes().to_vec(), trailers)
            });
            (Some((parts.status, parts.version, parts.headers)), body)
        };
        tokio::join!(asking, conn).0
    })
}

/// An upstream that says the same whatever it is asked, and closes.
struct Tape {
    bytes: Vec<u8>,
    at: usize,
    asked: bool,
    waiting: Option<Waker>,
}

impl hyper::rt::Read for Tape {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.asked {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = cursor.remaining().min(self.bytes.len() - self.at);
        cursor.put_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Tape {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.asked = true;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
