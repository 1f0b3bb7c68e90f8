//! Where a message head ends, and how the body after it is delimited.

use memchr::memchr;

use crate::wire::head::{Fields, Length, Persistence};
use crate::wire::{Fault, HeadLimits};

/// Blank lines tolerated before a request line (RFC 9112, section 2.2, asks for at least one).
const BLANK_LINES: u8 = 4;

/// Looks for the end of a head in a buffer that grows, without looking at any byte twice once its line is whole.
#[derive(Debug)]
pub struct HeadScanner {
    limits: HeadLimits,
    start: Start,
    /// Where the line begins that is not whole yet.
    at: usize,
    /// Where the start line begins; `None` before it.
    begun: Option<usize>,
    blank_lines: u8,
    http10: bool,
    fields: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    RequestLine,
    StatusLine,
}

/// A complete head, as positions in the buffer it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Where the start line begins: blank lines may come before it.
    pub start: usize,
    /// Where the body begins.
    pub end: usize,
    /// How the body is delimited, as far as the head says.
    pub length: Length,
    /// The message is of HTTP/1.0.
    pub http10: bool,
    /// Header lines.
    pub lines: usize,
    /// What those named `Connection` say.
    pub persistence: Persistence,
}

impl HeadScanner {
    /// For the next request of a client.
    #[must_use]
    pub fn request(limits: HeadLimits) -> Self {
        Self::new(limits, Start::RequestLine)
    }

    /// For the next response of an upstream.
    #[must_use]
    pub fn response(limits: HeadLimits) -> Self {
        Self::new(limits, Start::StatusLine)
    }

    fn new(limits: HeadLimits, start: Start) -> Self {
        Self { limits, start, at: 0, begun: None, blank_lines: 0, http10: false, fields: Fields::default() }
    }

    /// Whether any of a head was seen: blank lines before it do not count.
    #[must_use]
    pub fn has_begun(&self, buf: &[u8]) -> bool {
        self.begun.is_some() || buf.len() > self.at
    }

    /// Looks at `buf`, which begins where it began the last time and has grown since. After a head was found the scanner
    /// is used up.
    ///
    /// # Errors
    /// The first thing that is wrong. The scanner must not be used after that.
    pub fn scan(&mut self, buf: &[u8]) -> Result<Option<Head>, Fault> {
        while let Some(length) = memchr(b'\n', &buf[self.at..]) {
            let line = &buf[self.at..self.at + length];
            let begins = self.at;
            self.at += length + 1;
            if length > self.limits.bytes {
                return Err(Fault::TooLarge);
            }
            let line = line.strip_suffix(b"\r").ok_or(Fault::Malformed("a line ends without a carriage return"))?;
            match self.begun {
                None => self.start_line(line, begins)?,
                Some(_) if !line.is_empty() => self.fields.line(line, self.limits)?,
                Some(start) => {
                    let length = self.fields.framing(self.http10)?;
                    let (lines, persistence) = (self.fields.lines(), self.fields.persistence());
                    return Ok(Some(Head { start, end: self.at, length, http10: self.http10, lines, persistence }));
                }
            }
        }
        // Of a line that has no end yet, no more is kept than may be.
        if buf.len() - self.at > self.limits.bytes { Err(Fault::TooLarge) } else { Ok(None) }
    }

    fn start_line(&mut self, line: &[u8], begins: usize) -> Result<(), Fault> {
        match self.start {
            Start::RequestLine if line.is_empty() => {
                self.blank_lines += 1;
                let tolerated = self.blank_lines <= BLANK_LINES;
                return if tolerated { Ok(()) } else { Err(Fault::Malformed("blank lines before a request")) };
            }
            Start::RequestLine => {
                self.http10 = match line.len().checked_sub(9).map(|at| &line[at..]) {
                    Some(b" HTTP/1.1") => false,
                    Some(b" HTTP/1.0") => true,
                    _ => return Err(Fault::Malformed("the request line does not end with HTTP/1.1 or HTTP/1.0")),
                };
            }
            Start::StatusLine => {
                self.http10 = match line.get(..9) {
                    Some(b"HTTP/1.1 ") => false,
                    Some(b"HTTP/1.0 ") => true,
                    _ => return Err(Fault::Malformed("the status line is not HTTP's")),
                };
                match &line[9..] {
                    [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..] => {}
                    _ => return Err(Fault::Malformed("the status is not three digits")),
                }
            }
        }
        self.begun = Some(begins);
        self.fields.start(line.len(), self.limits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 256, lines: 8 };
    const REQUEST: &[u8] = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nrest";

    fn scan(bytes: &[u8]) -> Result<Option<Head>, Fault> {
        HeadScanner::request(LIMITS).scan(bytes)
    }

    #[test]
    fn a_head_ends_at_its_blank_line_and_says_how_its_body_is_delimited() {
        let head = Head {
            start: 2,
            end: REQUEST.len() - 4,
            length: Length::Bytes(12),
            http10: false,
            lines: 2,
            persistence: Persistence::default(),
        };
        assert_eq!(scan(REQUEST), Ok(Some(head)));
        let response = b"HTTP/1.0 200 OK\r\n\r\n";
        let head = Head {
            start: 0,
            end: response.len(),
            length: Length::Unstated,
            http10: true,
            lines: 0,
            persistence: Persistence::default(),
        };
        assert_eq!(HeadScanner::response(LIMITS).scan(response), Ok(Some(head)));
    }

    proptest! {
        #[test]
        fn however_a_head_is_cut_into_reads_it_is_the_same_head(cuts in prop::collection::vec(0..REQUEST.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut scanner = HeadScanner::request(LIMITS);
            for cut in cuts {
                if let Some(head) = scanner.scan(&REQUEST[..cut]).expect("a right head") {
                    prop_assert_eq!(Ok(Some(head)), scan(REQUEST));
                    return Ok(());
                }
            }
            prop_assert_eq!(scanner.scan(REQUEST), scan(REQUEST));
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_its_end() {
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 300]].concat();
        assert_eq!(scan(&long), Err(Fault::TooLarge));
        let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a: b\r\n".repeat(9)].concat();
        assert_eq!(scan(&many), Err(Fault::TooLarge));
    }

    #[test]
    fn a_response_head_has_so_many_bytes_and_lines() {
        let scan = |bytes: &[u8]| HeadScanner::response(LIMITS).scan(bytes);
        let head = |lines: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(lines));
        assert!(matches!(scan(head(LIMITS.lines).as_bytes()), Ok(Some(_))));
        assert_eq!(scan(head(LIMITS.lines + 1).as_bytes()), Err(Fault::TooLarge));
        assert_eq!(scan("H".repeat(LIMITS.bytes + 1).as_bytes()), Err(Fault::TooLarge));
        assert_eq!(
            scan(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LIMITS.bytes)).as_bytes()),
            Err(Fault::TooLarge)
        );
    }

    #[test]
    fn five_blank_lines_and_bare_line_feeds_are_refused() {
        assert!(matches!(scan(b"\r\n\r\n\r\n\r\n\r\n"), Err(Fault::Malformed(_))));
        assert!(matches!(scan(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), Err(Fault::Malformed(_))));
        assert!(matches!(scan(b"GET / HTTP/2.0\r\n\r\n"), Err(Fault::Malformed(_))));
    }
}
