//! Follows the requests of a client connection, byte by byte, without parsing more than framing needs.

use super::head::{Fields, Length, Line, Lines, is_field_line, trim};
use super::{Fault, HeadLimits};

/// Longest chunk-size line, extensions included.
const CHUNK_LINE: usize = 256;
const BAD_CHUNK_SIZE: Fault = Fault::Malformed("a chunk size is not a hexadecimal number");
const BAD_CHUNK_END: Fault = Fault::Malformed("a chunk is longer than its size");
/// Blank lines tolerated before a request line (RFC 9112, section 2.2, asks for at least one).
const BLANK_LINES: u8 = 4;

/// Watches the bytes a client sends, through any number of pipelined requests.
#[derive(Debug)]
pub struct RequestScanner {
    limits: HeadLimits,
    lines: Lines,
    fields: Fields,
    state: State,
    http10: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a request line; so many blank lines were seen.
    Start(u8),
    Fields,
    /// So many bytes of a body with a length are still to come.
    Body(u64),
    ChunkSize,
    /// So many bytes of this chunk are still to come, its CR LF not counted.
    ChunkData(u64),
    ChunkEnd,
    Trailers,
}

/// Where a scan stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// What is wrong.
    pub fault: Fault,
    /// The head of the request at fault was complete before this input: the request may be on its way already.
    pub in_body: bool,
    /// How many bytes of the input belong to whole requests before the one at fault.
    pub clean: usize,
}

impl RequestScanner {
    /// A scanner for a fresh connection.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, lines: Lines::default(), fields: Fields::default(), state: State::Start(0), http10: false }
    }

    /// Whether the bytes so far end inside a request body.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        !matches!(self.state, State::Start(_) | State::Fields)
    }

    /// Whether the bytes so far end inside a request head.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.state == State::Fields || (matches!(self.state, State::Start(_)) && self.lines.has_part())
    }

    /// Whether the last request line said HTTP/1.0.
    #[must_use]
    pub fn is_http10(&self) -> bool {
        self.http10
    }

    /// Looks at the next bytes the client sent.
    ///
    /// # Errors
    /// The first thing that is wrong. The scanner must not be used after that.
    pub fn scan(&mut self, input: &[u8]) -> Result<(), Stopped> {
        let mut at = 0;
        let mut clean = 0;
        let mut in_body = self.is_in_body();
        while at < input.len() {
            if matches!(self.state, State::Start(_)) && !self.lines.has_part() {
                clean = at;
                in_body = false;
            }
            at += self.step(&input[at..]).map_err(|fault| Stopped { fault, in_body, clean })?;
        }
        Ok(())
    }

    /// Takes one line or one run of body bytes off the front of `input`; says how many bytes it used.
    fn step(&mut self, input: &[u8]) -> Result<usize, Fault> {
        match self.state {
            State::Start(blank) => {
                self.line(input, self.limits.bytes, |scanner, line| scanner.request_line(line, blank))
            }
            State::Fields => self.line(input, self.limits.bytes, Self::field),
            State::Body(left) => {
                let used = left.min(input.len() as u64);
                self.state = if used == left { State::Start(0) } else { State::Body(left - used) };
                Ok(used as usize)
            }
            State::ChunkSize => self.line(input, CHUNK_LINE, Self::chunk_size).map_err(|_| BAD_CHUNK_SIZE),
            State::ChunkData(left) => {
                let used = left.min(input.len() as u64);
                self.state = if used == left { State::ChunkEnd } else { State::ChunkData(left - used) };
                Ok(used as usize)
            }
            State::ChunkEnd => self.line(input, 1, Self::chunk_end).map_err(|_| BAD_CHUNK_END),
            State::Trailers => self.line(input, self.limits.bytes, Self::trailer),
        }
    }

    fn line(
        &mut self,
        input: &[u8],
        limit: usize,
        then: impl FnOnce(&mut Self, &[u8]) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let mut lines = std::mem::take(&mut self.lines);
        let used = lines.next(input, limit, |line| match line {
            Line::Whole(line, used) => then(self, line).map(|()| used),
            Line::Partial => Ok(input.len()),
        });
        self.lines = lines;
        used
    }

    fn request_line(&mut self, line: &[u8], blank: u8) -> Result<(), Fault> {
        if line.is_empty() {
            self.state = State::Start(blank + 1);
            return if blank < BLANK_LINES { Ok(()) } else { Err(Fault::Malformed("blank lines before a request")) };
        }
        self.http10 = match line.len().checked_sub(9).map(|at| &line[at..]) {
            Some(b" HTTP/1.1") => false,
            Some(b" HTTP/1.0") => true,
            _ => return Err(Fault::Malformed("the request line does not end with HTTP/1.1 or HTTP/1.0")),
        };
        self.fields.start(line.len(), self.limits)?;
        self.state = State::Fields;
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        if !line.is_empty() {
            return self.fields.line(line, self.limits);
        }
        self.state = match self.fields.framing(self.http10)? {
            Length::Unstated | Length::Bytes(0) => State::Start(0),
            Length::Bytes(length) => State::Body(length),
            Length::Chunked => State::ChunkSize,
        };
        Ok(())
    }

    fn chunk_size(&mut self, line: &[u8]) -> Result<(), Fault> {
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let extension = &line[digits..];
        let well_formed = (1..=15).contains(&digits)
            && matches!(trim(extension), [] | [b';', ..])
            && !extension.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f);
        if !well_formed {
            return Err(BAD_CHUNK_SIZE);
        }
        let size = line[..digits].iter().fold(0_u64, |sum, digit| {
            // Invariant: `digits` counted hexadecimal digits only, at most 15 of them.
            sum << 4 | u64::from((*digit as char).to_digit(16).unwrap_or_default())
        });
        self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
        Ok(())
    }

    fn chunk_end(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.state = State::ChunkSize;
        if line.is_empty() { Ok(()) } else { Err(BAD_CHUNK_END) }
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), Fault> {
        if line.is_empty() {
            self.state = State::Start(0);
            return Ok(());
        }
        if !is_field_line(line) {
            return Err(Fault::Malformed("a trailer line is not a name and a value"));
        }
        // Trailer lines count towards the same bounds as the head's. A framing field among them says nothing about
        // framing any more; `Fields` still refuses one that is malformed, and forwarding drops it.
        self.fields.line(line, self.limits)
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
