//! One request after the other, out of the bytes a client sends.

use std::collections::VecDeque;

use bytes::BytesMut;
use http::request;

use super::decode::{BodyDecoder, Piece};
use super::parse::request_parts;
use super::scan::HeadScanner;
use crate::wire::head::Length;
use crate::wire::{Fault, HeadLimits};

/// Reads requests, each head before its body, from bytes that whoever owns the socket appends.
#[derive(Debug)]
pub struct RequestReader {
    limits: HeadLimits,
    buf: BytesMut,
    scanner: HeadScanner,
    body: BodyDecoder,
    /// What the present head has left of the bounds: trailers count towards them as well.
    left: HeadLimits,
    /// What of the present body was decoded with its head.
    ahead: VecDeque<Piece>,
}

impl RequestReader {
    /// For a fresh connection, of which `first` was read already.
    #[must_use]
    pub fn new(limits: HeadLimits, first: &[u8]) -> Self {
        Self {
            limits,
            buf: BytesMut::from(first),
            scanner: HeadScanner::request(limits),
            body: BodyDecoder::length(0),
            left: limits,
            ahead: VecDeque::new(),
        }
    }

    /// Where bytes that were read are appended.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// Takes the next request's head, if it is there whole. What of a body in chunks came with it is looked at as well, so
    /// that a request which is seen to be malformed is never begun. The body before it must have been read to its end.
    ///
    /// # Errors
    /// What is wrong with the request. There is no next one after that.
    pub fn next_request(&mut self) -> Result<Option<request::Parts>, Fault> {
        if self.buf.is_empty() {
            return Ok(None);
        }
        let Some(head) = self.scanner.scan(&self.buf)? else { return Ok(None) };
        self.scanner = HeadScanner::request(self.limits);
        let bytes = self.buf.split_to(head.end).freeze();
        let parts = request_parts(&bytes.slice(head.start..), &head)?;
        self.body = match head.length {
            Length::Unstated => BodyDecoder::length(0),
            Length::Bytes(length) => BodyDecoder::length(length),
            Length::Chunked => BodyDecoder::chunked(),
        };
        if head.length == Length::Chunked {
            let HeadLimits { bytes, lines } = self.limits;
            let used = head.end - head.start;
            self.left = HeadLimits { bytes: bytes.saturating_sub(used), lines: lines.saturating_sub(head.lines) };
            while let piece @ (Piece::Data(_) | Piece::Trailers(_)) = self.body.decode(&mut self.buf, self.left)? {
                self.ahead.push_back(piece);
            }
        }
        Ok(Some(parts))
    }

    /// The next piece of the present request's body.
    ///
    /// # Errors
    /// What is wrong with it. There is no next request after that.
    pub fn next_piece(&mut self) -> Result<Piece, Fault> {
        match self.ahead.pop_front() {
            Some(piece) => Ok(piece),
            None => self.body.decode(&mut self.buf, self.left),
        }
    }

    /// Whether the present request's body was taken whole, or there is none.
    #[must_use]
    pub fn is_body_taken(&self) -> bool {
        self.ahead.is_empty() && self.body.is_ended()
    }

    /// Whether all of the present request's body has come, taken or not.
    #[must_use]
    pub fn is_body_read(&self) -> bool {
        self.body.is_ended()
    }

    /// Bytes of the present request's body that are still to be taken, where that is known.
    #[must_use]
    pub fn body_left(&self) -> Option<u64> {
        if self.ahead.is_empty() { self.body.left() } else { None }
    }

    /// Whether there is the beginning of a head.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.scanner.has_begun(&self.buf)
    }

    /// Bytes read and not yet taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buf.len()
    }

    /// The bytes read and not yet taken.
    #[must_use]
    pub fn into_unread(self) -> BytesMut {
        self.buf
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
