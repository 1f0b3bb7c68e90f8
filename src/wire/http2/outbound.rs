//! Frames on their way out, of all streams together, so that one write carries what came to be sent at one time.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::wire::{Socket, give_back_spare, take_spare};

/// Data up to this size is copied behind what is before it; more is written from where it is.
pub(super) const COPIED: usize = 4 * 1024;
/// Bytes gathered before they have to be written.
const GATHERED: usize = 64 * 1024;
/// Bytes that only a peer makes gather which reads nothing.
const MUCH: usize = 1024 * 1024;
/// Most pieces of one write.
const SLICES: usize = 24;

/// Bytes on their way to a peer.
#[derive(Debug, Default)]
pub struct Outbound {
    /// The thread's spare buffer, while there is something in it.
    gathered: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Data that is written from where it is, and before which of the gathered bytes.
    pieces: VecDeque<(usize, Bytes)>,
    /// How many bytes those are.
    piece_bytes: usize,
    /// The socket may have kept some of what was written.
    unflushed: bool,
}

impl Outbound {
    /// Where the next bytes are appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.gathered.capacity() == 0 {
            self.gathered = take_spare();
        }
        &mut self.gathered
    }

    /// Appends data.
    pub(super) fn data(&mut self, data: Bytes) {
        if data.len() <= COPIED {
            self.buffer().extend_from_slice(&data);
        } else {
            self.piece_bytes += data.len();
            self.pieces.push_back((self.gathered.len(), data));
        }
    }

    /// Bytes that are not written yet.
    fn waiting(&self) -> usize {
        self.gathered.len() - self.written + self.piece_bytes
    }

    /// Whether nothing that can wait should be appended before some of it is written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting() >= GATHERED
    }

    /// Whether there is so much that it takes more than a peer which is slow: nothing more of it should be read, lest it be answered.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.waiting() >= MUCH
    }

    /// Whether everything has left.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.waiting() == 0 && !self.unflushed
    }

    /// Writes everything; says in `moved` whether any byte moved before it had to wait or failed.
    ///
    /// # Errors
    /// As the system says.
    pub fn poll_flush(&mut self, socket: &mut Socket, cx: &mut Context<'_>, moved: &mut bool) -> Poll<io::Result<()>> {
        while self.waiting() > 0 {
            let written = match self.poll_write(socket, cx) {
                Poll::Ready(written) => written?,
                Poll::Pending => {
                    self.make_room();
                    return Poll::Pending;
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *moved = true;
            self.unflushed = true;
            self.advance(written);
        }
        if self.gathered.capacity() > 0 {
            self.written = 0;
            give_back_spare(std::mem::take(&mut self.gathered));
        }
        ready!(Pin::new(socket).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.pieces.is_empty() {
            return Pin::new(socket).poll_write(cx, &self.gathered[self.written..]);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (mut count, mut at) = (0, self.written);
        for (before, data) in self.pieces.iter().take(SLICES / 2 - 1) {
            slices[count] = IoSlice::new(&self.gathered[at..*before]);
            slices[count + 1] = IoSlice::new(data);
            (count, at) = (count + 2, *before);
        }
        if count == 2 * self.pieces.len() {
            slices[count] = IoSlice::new(&self.gathered[at..]);
            count += 1;
        }
        Pin::new(socket).poll_write_vectored(cx, &slices[..count])
    }

    fn advance(&mut self, mut length: usize) {
        while let Some((before, data)) = self.pieces.front_mut() {
            let gathered = length.min(*before - self.written);
            self.written += gathered;
            length -= gathered;
            let moved = length.min(data.len());
            data.advance(moved);
            self.piece_bytes -= moved;
            length -= moved;
            if !data.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.written += length;
    }

    /// Drops what is written, where that is much: a peer that is always a little behind must not make the buffer grow.
    fn make_room(&mut self) {
        if self.written < GATHERED {
            return;
        }
        self.gathered.drain(..self.written);
        for (before, _) in &mut self.pieces {
            *before -= self.written;
        }
        self.written = 0;
    }

    /// Everything that is not written yet, in order.
    #[cfg(test)]
    pub(super) fn take_all(&mut self) -> Vec<u8> {
        let (mut all, mut at) = (Vec::new(), self.written);
        for (before, data) in self.pieces.drain(..) {
            all.extend_from_slice(&self.gathered[at..before]);
            all.extend_from_slice(&data);
            at = before;
        }
        all.extend_from_slice(&self.gathered[at..]);
        *self = Self::default();
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is appended and however little of it is taken at a time, it leaves in order.
        #[test]
        fn bytes_leave_in_the_order_they_came(steps in prop::collection::vec((0..9000_usize, 0..12_000_usize), 1..60)) {
            let (mut out, mut sent, mut expected) = (Outbound::default(), Vec::new(), Vec::new());
            for (nth, (length, taken)) in steps.into_iter().enumerate() {
                let data = vec![nth as u8; length];
                out.buffer().push(0xff);
                out.data(data.clone().into());
                expected.push(0xff);
                expected.extend(data);
                let all = out.clone_all();
                let taken = taken.min(all.len());
                sent.extend_from_slice(&all[..taken]);
                out.advance(taken);
                out.make_room();
                prop_assert_eq!(out.waiting(), all.len() - taken);
            }
            sent.extend(out.take_all());
            prop_assert_eq!(sent, expected);
        }
    }

    impl Outbound {
        fn clone_all(&self) -> Vec<u8> {
            let mut copy = Self {
                gathered: self.gathered.clone(),
                written: self.written,
                pieces: self.pieces.clone(),
                piece_bytes: self.piece_bytes,
                unflushed: false,
            };
            copy.take_all()
        }
    }
}
