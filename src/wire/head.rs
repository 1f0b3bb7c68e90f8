//! The lines of a message head, and what they say about where the message ends.

use memchr::memchr;

/// What is wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The message's framing is ambiguous or its lines are not HTTP's.
    #[error("{0}")]
    Malformed(&'static str),
    /// The head has more bytes or lines than allowed.
    #[error("the message head is larger than allowed")]
    TooLarge,
    /// A transfer coding nobody here knows.
    #[error("unknown transfer coding")]
    UnknownCoding,
}

/// Bounds on a message head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Most bytes, start line included.
    pub bytes: usize,
    /// Most header lines.
    pub lines: usize,
}

/// How a message body is delimited, as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Neither header was there.
    Unstated,
    /// `Content-Length`.
    Bytes(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What the `Connection` lines of a head say (RFC 9112, section 9.3).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// `close` is among them.
    pub close: bool,
    /// `keep-alive` is among them.
    pub keep_alive: bool,
    /// Something else is: most likely the name of a header that goes no further.
    pub more: bool,
}

impl Persistence {
    fn note(&mut self, value: &[u8]) {
        for word in value.split(|byte| *byte == b',').map(trim) {
            match word {
                [] => {}
                _ if word.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ if word.eq_ignore_ascii_case(b"close") => self.close = true,
                _ => self.more = true,
            }
        }
    }
}

/// What the header lines of one head have said so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Fields {
    lines: usize,
    bytes: usize,
    length: Option<u64>,
    chunked: bool,
    connection: Persistence,
}

impl Fields {
    /// For the trailer section of a body in chunks.
    pub(super) fn of_trailers() -> Self {
        Self { chunked: true, ..Self::default() }
    }

    /// Counts a start line of `len` bytes.
    pub(super) fn start(&mut self, len: usize, limits: HeadLimits) -> Result<(), Fault> {
        *self = Self { bytes: len + 2, ..Self::default() };
        if self.bytes > limits.bytes { Err(Fault::TooLarge) } else { Ok(()) }
    }

    /// Takes one header line.
    pub(super) fn line(&mut self, line: &[u8], limits: HeadLimits) -> Result<(), Fault> {
        self.lines += 1;
        self.bytes += line.len() + 2;
        if self.lines > limits.lines || self.bytes > limits.bytes {
            return Err(Fault::TooLarge);
        }
        match line[0] {
            b' ' | b'\t' => Err(Fault::Malformed("a header line is folded")),
            b'c' | b'C' => {
                if let Some(value) = value_of(line, b"content-length") {
                    return self.content_length(value);
                }
                if let Some(value) = value_of(line, b"connection") {
                    self.connection.note(value);
                }
                Ok(())
            }
            b't' | b'T' => match value_of(line, b"transfer-encoding") {
                Some(value) => self.transfer_encoding(value),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Lines taken so far.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// What they said about the connection.
    pub(super) fn persistence(&self) -> Persistence {
        self.connection
    }

    /// The framing, once all lines were taken. `http10`: the message is of HTTP/1.0 or older.
    pub(super) fn framing(&self, http10: bool) -> Result<Length, Fault> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Fault::Malformed("both Content-Length and Transfer-Encoding")),
            (_, true) if http10 => Err(Fault::Malformed("Transfer-Encoding in an HTTP/1.0 message")),
            (_, true) => Ok(Length::Chunked),
            (Some(length), false) => Ok(Length::Bytes(length)),
            (None, false) => Ok(Length::Unstated),
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.length.is_some() {
            return Err(Fault::Malformed("more than one Content-Length"));
        }
        self.length = Some(decimal(value).ok_or(Fault::Malformed("Content-Length is not a plain number"))?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Fault> {
        const KNOWN: [&[u8]; 6] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress", b"identity"];
        if self.chunked {
            return Err(Fault::Malformed("more than one Transfer-Encoding"));
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        let is_token = !value.is_empty() && value.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.!+".contains(b));
        if is_token && !KNOWN.iter().any(|known| value.eq_ignore_ascii_case(known)) {
            return Err(Fault::UnknownCoding);
        }
        Err(Fault::Malformed("Transfer-Encoding is something other than chunked"))
    }
}

/// Whether a line is a header name, a colon and a value (RFC 9110, section 5).
pub(super) fn is_field_line(line: &[u8]) -> bool {
    let Some(colon) = memchr(b':', line) else { return false };
    let (name, value) = line.split_at(colon);
    let is_token = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
    is_token && value.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f))
}

/// The value of a header line if its name is `name` (given in lower case), without surrounding blanks.
///
/// A name with blanks or other bytes around it is no match: whoever reads the whole head refuses such lines.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let rest = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| trim(rest))
}

/// A value without the blanks around it.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A number as HTTP frames with it: digits only, no leading zero, below 10^18.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    let plain = matches!(value, [b'0'] | [b'1'..=b'9', ..]) && value.len() <= 18;
    if !plain {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}
