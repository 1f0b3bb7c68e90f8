//! One stream: what came on it and was not taken yet, and how much may be sent.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::error::Lost;
use super::window::Window;

/// Data up to this size is gathered with what comes next to it: each piece kept by itself costs as much as many bytes.
const GATHERED: usize = 2 * 1024;

/// What both sides of a connection know of a stream (RFC 9113, section 5.1).
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one stream")]
pub(super) struct Stream {
    /// Its number; 0 where its place is free.
    pub(super) id: u32,
    /// Pieces of data in order, and small ones after them.
    pieces: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// Bytes in both.
    pub(super) queued: usize,
    /// What comes after the data.
    pub(super) trailers: Option<HeaderMap>,
    /// Bytes of data to come, where the head says how many there are.
    pub(super) left: Option<u64>,
    /// The other side sends no more.
    pub(super) ended: bool,
    /// What the other side may send.
    pub(super) window: Window,
    /// Nobody reads what comes.
    pub(super) unwanted: bool,
    /// The other side waits to be told that its data is wanted.
    pub(super) holds_back: bool,
    /// What may be sent. Below 0 where the other side has changed its mind.
    pub(super) credit: i64,
    /// This side sends no more.
    pub(super) finished: bool,
    /// There was more to send than may be.
    pub(super) starved: bool,
    /// Who waits for any of this to change.
    waker: Option<Waker>,
    /// A server's stream is being answered.
    pub(super) taken_up: bool,
    /// A client's stream asks for no more than a head.
    pub(super) to_head: bool,
    /// The answer's head, on a client's stream, until it is taken.
    pub(super) head: Option<Response<()>>,
    /// It has come.
    pub(super) answered: bool,
    /// Interim answers before it.
    pub(super) interim: u8,
    /// Nothing more will come, though it should.
    pub(super) lost: Option<Lost>,
}

impl Stream {
    /// Begins anew, with windows of these sizes.
    pub(super) fn begin(&mut self, window: u32, credit: u32) {
        // One by one, as that costs a fraction of what a whole new one does; and by name, so that none is forgotten.
        #[rustfmt::skip]
        let Self {
            id: _, pieces, tail, queued, trailers, left, ended, window: into, unwanted, holds_back, credit: out, finished,
            starved, waker, taken_up, to_head, head, answered, interim, lost,
        } = self;
        pieces.clear();
        tail.clear();
        (*queued, *left, *interim) = (0, None, 0);
        (*ended, *unwanted, *holds_back, *finished, *starved) = (false, false, false, false, false);
        (*taken_up, *to_head, *answered) = (false, false, false);
        (*trailers, *waker, *head, *lost) = (None, None, None, None);
        *into = Window::new(window);
        *out = i64::from(credit);
    }

    /// Data came.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.queued += data.len();
        if data.len() <= GATHERED {
            if self.tail.is_empty() {
                self.tail = data.to_vec();
            } else {
                self.tail.extend_from_slice(data);
            }
            return;
        }
        if !self.tail.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.tail).into());
        }
        self.pieces.push_back(Bytes::copy_from_slice(data));
    }

    /// The next of what came.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let data = match self.pieces.pop_front() {
            Some(data) => data,
            None if self.tail.is_empty() => return None,
            None => std::mem::take(&mut self.tail).into(),
        };
        self.queued -= data.len();
        Some(data)
    }

    /// Nobody will take what came; gives how much that was.
    pub(super) fn discard(&mut self) -> usize {
        self.pieces.clear();
        self.tail = Vec::new();
        self.trailers = None;
        std::mem::take(&mut self.queued)
    }

    /// So many bytes of data came; whether the head has said so. `end`: they were the last.
    pub(super) fn count(&mut self, length: usize, end: bool) -> bool {
        let Some(left) = &mut self.left else { return true };
        match left.checked_sub(length as u64) {
            Some(rest) => {
                *left = rest;
                !end || rest == 0
            }
            None => false,
        }
    }

    /// Bytes that are still to be taken, where that is known.
    pub(super) fn known_length(&self) -> Option<u64> {
        if self.ended && self.trailers.is_none() {
            return Some(self.queued as u64);
        }
        self.left.map(|left| left + self.queued as u64)
    }

    /// Whether nothing is to be taken any more.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.queued == 0 && self.trailers.is_none()
    }

    pub(super) fn watch(&mut self, cx: &Context<'_>) {
        if self.waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
