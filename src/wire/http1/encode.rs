//! A message put together.

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, Request, StatusCode};

/// How the body is delimited that follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body follows; what the headers say of one (in an answer to HEAD, say) is passed on.
    Bodiless,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// The end of the connection.
    UntilClose,
}

/// Appends the head of an HTTP/1.1 request; its target is in origin form, or `*`.
pub fn request_head<B>(into: &mut Vec<u8>, request: &Request<B>, framing: Framing) {
    into.extend_from_slice(request.method().as_str().as_bytes());
    into.push(b' ');
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    into.extend_from_slice(target.as_bytes());
    into.extend_from_slice(b" HTTP/1.1\r\n");
    headers(into, request.headers(), framing);
    into.extend_from_slice(b"\r\n");
}

/// What was among the headers that were written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// `Date`.
    pub date: bool,
    /// `Connection`.
    pub connection: bool,
}

/// Appends the head of an HTTP/1.1 response; `finish` may append header lines of its own.
pub fn response_head(
    into: &mut Vec<u8>,
    status: StatusCode,
    fields: &HeaderMap,
    framing: Framing,
    finish: impl FnOnce(&mut Vec<u8>, Seen),
) {
    if status == StatusCode::OK {
        into.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        into.extend_from_slice(b"HTTP/1.1 ");
        into.extend_from_slice(status.as_str().as_bytes());
        into.push(b' ');
        into.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        into.extend_from_slice(b"\r\n");
    }
    let seen = headers(into, fields, framing);
    finish(into, seen);
    into.extend_from_slice(b"\r\n");
}

/// Framing belongs to each hop: what the headers say of it gives way to `framing`.
fn headers(into: &mut Vec<u8>, fields: &HeaderMap, framing: Framing) -> Seen {
    let mut seen = Seen::default();
    for (name, value) in fields {
        match *name {
            TRANSFER_ENCODING => continue,
            CONTENT_LENGTH if framing != Framing::Bodiless => continue,
            DATE => seen.date = true,
            CONNECTION => seen.connection = true,
            _ => {}
        }
        field(into, name.as_str().as_bytes(), value.as_bytes());
    }
    match framing {
        Framing::Bodiless | Framing::UntilClose => {}
        Framing::Length(length) => {
            into.extend_from_slice(b"content-length: ");
            decimal(into, length);
            into.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => into.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    seen
}

fn field(into: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    into.reserve(name.len() + value.len() + 4);
    into.extend_from_slice(name);
    into.extend_from_slice(b": ");
    into.extend_from_slice(value);
    into.extend_from_slice(b"\r\n");
}

/// Appends one chunk. An empty one would end the body, so `data` must not be empty.
pub(super) fn chunk(into: &mut Vec<u8>, data: &[u8]) {
    chunk_start(into, data.len());
    into.extend_from_slice(data);
    into.extend_from_slice(b"\r\n");
}

/// Appends what stands before the data of a chunk of `length` bytes, which must not be 0. CR LF have to follow the data.
pub(super) fn chunk_start(into: &mut Vec<u8>, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        into.push(DIGITS[(length >> (4 * digit)) & 0xf]);
    }
    into.extend_from_slice(b"\r\n");
}

/// Appends the end of a body in chunks, with its trailers where it has some.
pub(super) fn last_chunk(into: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    into.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        field(into, name.as_str().as_bytes(), value.as_bytes());
    }
    into.extend_from_slice(b"\r\n");
}

fn decimal(into: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use http::{HeaderValue, Request};
    use proptest::prelude::*;

    use super::*;
    use crate::wire::HeadLimits;
    use crate::wire::http1::{BodyDecoder, Piece};

    #[test]
    fn the_framing_of_another_hop_gives_way_to_ones_own() {
        let request = Request::put("/a?b")
            .header("host", "h")
            .header("content-length", "7")
            .header("transfer-encoding", "chunked")
            .body(());
        let request = request.expect("a request");
        for (framing, expected) in [
            (Framing::Length(120), "content-length: 120\r\n"),
            (Framing::Length(0), "content-length: 0\r\n"),
            (Framing::Chunked, "transfer-encoding: chunked\r\n"),
            (Framing::UntilClose, ""),
        ] {
            let mut head = Vec::new();
            request_head(&mut head, &request, framing);
            assert_eq!(String::from_utf8_lossy(&head), format!("PUT /a?b HTTP/1.1\r\nhost: h\r\n{expected}\r\n"));
        }
    }

    #[test]
    fn an_answer_without_a_body_keeps_what_it_says_of_one() {
        let mut head = Vec::new();
        let fields = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("9"))]);
        response_head(&mut head, StatusCode::NOT_MODIFIED, &fields, Framing::Bodiless, |_, _| {});
        assert_eq!(String::from_utf8_lossy(&head), "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n");
    }

    proptest! {
        #[test]
        fn what_is_put_into_chunks_comes_out_of_them(data in prop::collection::vec(any::<u8>(), 1..5000)) {
            let mut bytes = Vec::new();
            chunk(&mut bytes, &data);
            last_chunk(&mut bytes, None);
            let mut buf = BytesMut::from(&bytes[..]);
            let (mut decoder, limits) = (BodyDecoder::chunked(), HeadLimits { bytes: 100, lines: 1 });
            match decoder.decode(&mut buf, limits) {
                Ok(Piece::Data(found)) => prop_assert_eq!(&found[..], &data[..]),
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert!(matches!(decoder.decode(&mut buf, limits), Ok(Piece::End)));
        }
    }
}
