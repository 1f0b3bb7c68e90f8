//! What a complete head says.

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, request};
use memchr::memchr;

use super::scan::Head;
use crate::wire::head::trim;
use crate::wire::{Fault, take_headers};

/// Longest target that [`Uri`] takes.
const MAX_TARGET: usize = u16::MAX as usize - 1;
const BAD_METHOD: Fault = Fault::Malformed("the method is not a token");
const BAD_TARGET: Fault = Fault::Malformed("the request target is not a URI");
const BAD_STATUS: Fault = Fault::Malformed("the status is not three digits");
const BAD_REASON: Fault = Fault::Malformed("a reason phrase has control bytes in it");
const BAD_NAME: Fault = Fault::Malformed("a header line has no name that is a token");
const BAD_VALUE: Fault = Fault::Malformed("a header value has control bytes in it");

/// A request's head. `bytes` are exactly those of `head`, from its start line to its blank line; the values of the headers
/// share them.
///
/// # Errors
/// A line that is not HTTP's.
pub fn request_parts(bytes: &Bytes, head: &Head) -> Result<request::Parts, Fault> {
    let end = end_of_line(bytes, 0);
    let line = &bytes[..end];
    let space = memchr(b' ', line).ok_or(BAD_METHOD)?;
    // The scanner saw " HTTP/1.x" at the end of the line.
    let target = space + 1..end.checked_sub(9).filter(|end| *end > space).ok_or(BAD_TARGET)?;
    if !bytes[target.clone()].iter().all(u8::is_ascii_graphic) {
        return Err(BAD_TARGET);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(&line[..space]).map_err(|_| BAD_METHOD)?;
    if target.len() > MAX_TARGET {
        return Err(Fault::TooLarge);
    }
    *request.uri_mut() = Uri::from_maybe_shared(bytes.slice(target)).map_err(|_| BAD_TARGET)?;
    *request.version_mut() = version(head);
    *request.headers_mut() = fields(bytes, end + 2, head.lines, |_| true)?;
    Ok(request.into_parts().0)
}

/// A response's head, likewise. The reason phrase is dropped: it means nothing; so is a `Connection` that says no more than
/// [`Head::persistence`] does.
///
/// # Errors
/// A line that is not HTTP's.
pub fn response_head_of(bytes: &Bytes, head: &Head) -> Result<Response<()>, Fault> {
    let end = end_of_line(bytes, 0);
    // The scanner saw "HTTP/1.x " at the beginning of the line, and the status.
    let line = &bytes[..end];
    let status = line.get(9..12).and_then(|status| StatusCode::from_bytes(status).ok()).ok_or(BAD_STATUS)?;
    if line[12..].iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        return Err(BAD_REASON);
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version(head);
    // Mostly it says only what the scanner has read from it already.
    *response.headers_mut() = fields(bytes, end + 2, head.lines, |name| head.persistence.more || *name != CONNECTION)?;
    Ok(response)
}

fn version(head: &Head) -> Version {
    if head.http10 { Version::HTTP_10 } else { Version::HTTP_11 }
}

/// The header lines from `at` to the blank line, as far as they are `wanted`. `lines`: how many there are.
pub(super) fn fields(
    bytes: &Bytes,
    mut at: usize,
    lines: usize,
    wanted: impl Fn(&HeaderName) -> bool,
) -> Result<HeaderMap, Fault> {
    // Room for what forwarding adds.
    let mut headers = take_headers(lines + 4);
    loop {
        let end = end_of_line(bytes, at);
        let line = &bytes[at..end];
        if line.is_empty() {
            return Ok(headers);
        }
        let colon = memchr(b':', line).ok_or(BAD_NAME)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| BAD_NAME)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(trim(&line[colon + 1..]))).map_err(|_| BAD_VALUE)?;
        if wanted(&name) {
            headers.append(name, value);
        }
        at = end + 2;
    }
}

/// Where the line that begins at `at` ends, its CR LF not counted; the end of `bytes` if it has none.
fn end_of_line(bytes: &[u8], at: usize) -> usize {
    memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| (at + length).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HeadLimits;
    use crate::wire::http1::HeadScanner;

    fn request(text: &'static str) -> Result<request::Parts, Fault> {
        let bytes = Bytes::from_static(text.as_bytes());
        let head = HeadScanner::request(HeadLimits { bytes: 1024, lines: 10 }).scan(&bytes)?.expect("a whole head");
        request_parts(&bytes.slice(head.start..head.end), &head)
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let parts =
            request("\r\nPUT /a?b HTTP/1.0\r\nHost: x\r\nA:  1 \r\na:\t2\r\nempty:\r\n\r\n").expect("a right head");
        assert_eq!((parts.method, parts.version), (Method::PUT, Version::HTTP_10));
        assert_eq!(parts.uri, "/a?b");
        let values: Vec<_> = parts.headers.get_all("a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(parts.headers["empty"], "");
    }

    #[test]
    fn a_response_is_read_as_it_was_written() {
        let bytes = Bytes::from_static(b"HTTP/1.1 404 Not \xe4 here\r\nx: \xe4\r\n\r\n");
        let head = HeadScanner::response(HeadLimits { bytes: 1024, lines: 10 }).scan(&bytes);
        let head = head.expect("a right head").expect("a whole head");
        let response = response_head_of(&bytes, &head).expect("a right head");
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["x"].as_bytes(), b"\xe4");
    }

    #[test]
    fn lines_that_are_not_http_are_refused() {
        assert_eq!(request("GET / HTTP/1.1\r\nHost : a\r\n\r\n").err(), Some(BAD_NAME));
        assert_eq!(request("GET / HTTP/1.1\r\nno colon\r\n\r\n").err(), Some(BAD_NAME));
        assert_eq!(request("GET / HTTP/1.1\r\n: a\r\n\r\n").err(), Some(BAD_NAME));
        assert_eq!(request("GET / HTTP/1.1\r\na: b\rc\r\n\r\n").err(), Some(BAD_VALUE));
        assert_eq!(request("GET / HTTP/1.1\r\na: b\0c\r\n\r\n").err(), Some(BAD_VALUE));
        assert_eq!(request("GET /a b HTTP/1.1\r\n\r\n").err(), Some(BAD_TARGET));
        assert_eq!(request("GET  HTTP/1.1\r\n\r\n").err(), Some(BAD_TARGET));
        assert_eq!(request("G(T / HTTP/1.1\r\n\r\n").err(), Some(BAD_METHOD));
        assert_eq!(request(" / HTTP/1.1\r\n\r\n").err(), Some(BAD_METHOD));
        assert_eq!(request("GET HTTP/1.1\r\n\r\n").err(), Some(BAD_TARGET));
    }
}
