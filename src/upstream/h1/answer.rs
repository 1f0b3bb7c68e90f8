//! What an upstream answers: heads and bodies out of the bytes as they come.

use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode};

use crate::wire::http1::{BodyDecoder, Head, HeadScanner, Piece, response_head_of};
use crate::wire::{Fault, HeadLimits, Length};

/// Bounds on a response head, and on a trailer section.
const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024, lines: 100 };
/// Most interim answers before the final one.
const MAX_INTERIM: u8 = 32;

/// The answer to one request after the other.
#[derive(Debug)]
pub(super) struct Answer {
    /// What was read and not yet given out.
    buf: BytesMut,
    state: State,
    to_head: bool,
    /// A byte of this answer was read.
    begun: bool,
    interim: u8,
    /// The upstream will take another request after this one.
    keeps_alive: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadScanner),
    Body(BodyDecoder),
    /// After a 101: what comes is no HTTP.
    Switched,
}

/// The next step of [`Answer::head`].
#[derive(Debug)]
pub(super) enum Step {
    /// There must be read more first.
    More,
    /// The upstream asks for the body of the request.
    Continue,
    /// The answer's head.
    Final(Response<()>),
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            buf: BytesMut::new(),
            state: State::Body(BodyDecoder::length(0)),
            to_head: false,
            begun: false,
            interim: 0,
            keeps_alive: true,
        }
    }
}

impl Answer {
    /// A request is about to be sent.
    pub(super) fn begin(&mut self, method: &Method) {
        self.state = State::Head(HeadScanner::response(LIMITS));
        self.to_head = *method == Method::HEAD;
        self.begun = false;
        self.interim = 0;
    }

    /// Takes over what was read.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.begun = true;
        if self.buf.is_empty() {
            // Exactly as long: most answers are read at once.
            self.buf = BytesMut::from(bytes);
        } else {
            self.buf.extend_from_slice(bytes);
        }
    }

    /// Whether a byte of this answer was read.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Looks for the head of the final answer. Interim ones are read like it and dropped.
    ///
    /// # Errors
    /// What is wrong with a head, or that there were too many interim ones. The connection is of no use after that.
    pub(super) fn head(&mut self) -> Result<Step, Fault> {
        while let State::Head(scanner) = &mut self.state {
            let Some(head) = scanner.scan(&self.buf)? else { break };
            let bytes = self.buf.split_to(head.end).freeze();
            let response = response_head_of(&bytes, &head)?;
            let status = response.status();
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                self.state = self.body_of(&response, &head);
                let said = head.persistence;
                self.keeps_alive = !said.close && (!head.http10 || said.keep_alive);
                return Ok(Step::Final(response));
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Fault::Malformed("too many interim answers"));
            }
            self.state = State::Head(HeadScanner::response(LIMITS));
            if status == StatusCode::CONTINUE {
                return Ok(Step::Continue);
            }
        }
        Ok(Step::More)
    }

    /// What follows a head (RFC 9112, section 6.3). CONNECT, whose answers have rules of their own, is never sent.
    fn body_of(&self, response: &Response<()>, head: &Head) -> State {
        State::Body(match (response.status(), head.length) {
            (StatusCode::SWITCHING_PROTOCOLS, _) => return State::Switched,
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, _) => BodyDecoder::length(0),
            _ if self.to_head => BodyDecoder::length(0),
            (_, Length::Bytes(length)) => BodyDecoder::length(length),
            (_, Length::Chunked) => BodyDecoder::chunked(),
            (_, Length::Unstated) => BodyDecoder::until_close(),
        })
    }

    /// The next piece of the body.
    ///
    /// # Errors
    /// What is wrong with its framing.
    pub(super) fn next(&mut self) -> Result<Piece, Fault> {
        match &mut self.state {
            State::Body(body) => body.decode(&mut self.buf, LIMITS),
            State::Head(_) | State::Switched => Ok(Piece::End),
        }
    }

    /// The upstream has closed the connection; whether that is a proper end of the body.
    pub(super) fn end(&mut self) -> bool {
        self.keeps_alive = false;
        match &mut self.state {
            State::Body(body) if body.is_until_close() => {
                *body = BodyDecoder::length(0);
                true
            }
            _ => false,
        }
    }

    /// Whether the whole body was given out, after the head of the answer was.
    pub(super) fn is_ended(&self) -> bool {
        match &self.state {
            State::Body(body) => body.is_ended(),
            State::Head(_) | State::Switched => true,
        }
    }

    /// Bytes of the body still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.state {
            State::Body(body) => body.left(),
            State::Head(_) | State::Switched => Some(0),
        }
    }

    /// Whether another request may follow on this connection; buffers are given back.
    pub(super) fn put_away(&mut self) -> bool {
        let whole = matches!(&self.state, State::Body(body) if body.is_ended()) && self.buf.is_empty();
        self.buf = BytesMut::new();
        whole && self.keeps_alive
    }

    /// What was read after the last that was given out.
    pub(super) fn into_rest(self) -> Bytes {
        self.buf.freeze()
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "differential_tests.rs"]
mod differential;
