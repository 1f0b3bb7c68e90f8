//! Follows the head of each response on an upstream connection.

use super::head::{Fields, Line, Lines};
use super::{Fault, HeadLimits};

/// Watches the bytes an upstream sends up to the end of each final response head.
///
/// Bodies are left to hyper: an upstream connection carries one exchange at a time, so a body whose end is in doubt
/// costs that connection and nothing else.
#[derive(Debug)]
pub struct ResponseScanner {
    limits: HeadLimits,
    lines: Lines,
    fields: Fields,
    state: State,
    http10: bool,
    interim: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    StatusLine,
    Fields,
    /// Past the final head, until the next request.
    Body,
}

impl ResponseScanner {
    /// A scanner for a connection on which a request is about to be sent.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            lines: Lines::default(),
            fields: Fields::default(),
            state: State::StatusLine,
            http10: false,
            interim: false,
        }
    }

    /// The next bytes are a new response: its request is about to be sent.
    pub fn expect_response(&mut self) {
        self.state = State::StatusLine;
    }

    /// Looks at the next bytes the upstream sent.
    ///
    /// # Errors
    /// The first thing that is wrong with a head.
    pub fn scan(&mut self, input: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        while at < input.len() && self.state != State::Body {
            let mut lines = std::mem::take(&mut self.lines);
            let rest = &input[at..];
            let used = lines.next(rest, self.limits.bytes, |line| match line {
                Line::Whole(line, used) => self.line(line).map(|()| used),
                Line::Partial => Ok(rest.len()),
            });
            self.lines = lines;
            at += used?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if self.state == State::StatusLine {
            return self.status_line(line);
        }
        if !line.is_empty() {
            return self.fields.line(line, self.limits);
        }
        self.fields.framing(self.http10)?;
        self.state = if self.interim { State::StatusLine } else { State::Body };
        Ok(())
    }

    fn status_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.http10 = match line.get(..9) {
            Some(b"HTTP/1.1 ") => false,
            Some(b"HTTP/1.0 ") => true,
            _ => return Err(Fault::Malformed("the status line is not HTTP's")),
        };
        match &line[9..] {
            [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..] => {}
            _ => return Err(Fault::Malformed("the status is not three digits")),
        }
        self.interim = line[9] == b'1' && &line[9..12] != b"101";
        self.fields.start(line.len(), self.limits)?;
        self.state = State::Fields;
        Ok(())
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
