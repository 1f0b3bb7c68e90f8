//! Frames out of the bytes as they come.

use super::error::{Fault, Reason};
use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HAS_PRIORITY, HEAD, HEADERS, MAX_PAYLOAD, PADDED, PING,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

/// One frame, a header block whole however many frames it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// `padding`: bytes that count against windows and are no data.
    Data {
        stream: u32,
        data: &'a [u8],
        padding: usize,
        end: bool,
    },
    Headers {
        stream: u32,
        block: &'a [u8],
        end: bool,
    },
    Reset {
        stream: u32,
        reason: Reason,
    },
    Settings(&'a [u8]),
    SettingsTaken,
    Ping([u8; 8]),
    Pong([u8; 8]),
    GoAway {
        last: u32,
        reason: Reason,
    },
    WindowUpdate {
        stream: u32,
        increment: u32,
    },
    /// One that only this stream is worse off for.
    Faulty {
        stream: u32,
        reason: Reason,
    },
    /// One that means nothing here.
    Unknown,
}

/// Takes frames out of bytes in pieces of any length. A frame is looked at where it lies in what was read; only one that is not
/// there whole is kept.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    /// The beginning of a frame.
    partial: Vec<u8>,
    /// A header block that goes on in the next frame.
    block: Option<Block>,
    /// Most bytes of one.
    block_bytes: usize,
    /// The first frame, which has to be SETTINGS, was there.
    begun: bool,
}

#[derive(Debug)]
struct Block {
    stream: u32,
    end: bool,
    bytes: Vec<u8>,
    frames: usize,
}

/// Frames a header block may come in on top of one for each kibibyte.
const SPARE_FRAMES: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head {
    fn of(bytes: &[u8; HEAD]) -> Result<Self, Fault> {
        let [length @ .., kind, flags, _, _, _, _] = *bytes;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        if length > MAX_PAYLOAD {
            return Err(Fault::size("a frame is longer than allowed"));
        }
        Ok(Self { length, kind, flags, stream: number(bytes, 5).unwrap_or(0) & 0x7fff_ffff })
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

impl FrameReader {
    /// Header blocks have at most `block_bytes` bytes.
    pub(super) fn new(block_bytes: usize) -> Self {
        Self { block_bytes, ..Self::default() }
    }

    /// Whether the beginning of a header block was read and its end was not.
    pub(super) fn is_in_block(&self) -> bool {
        self.block.is_some() || self.partial.get(3).is_some_and(|kind| *kind == HEADERS)
    }

    /// Gives each frame in `bytes` to `take`.
    ///
    /// # Errors
    /// What ends the connection.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Frame<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.partial.is_empty() {
            let mut partial = std::mem::take(&mut self.partial);
            if !top_up(&mut partial, HEAD, &mut bytes) {
                self.partial = partial;
                return Ok(());
            }
            // Invariant: it was topped up to the length of a head.
            let head = Head::of(partial.first_chunk().expect("a whole head"))?;
            if !top_up(&mut partial, HEAD + head.length, &mut bytes) {
                self.partial = partial;
                return Ok(());
            }
            self.frame(head, &partial[HEAD..], &mut take)?;
        }
        while let Some(head) = bytes.first_chunk() {
            let head = Head::of(head)?;
            let Some((frame, rest)) = bytes.split_at_checked(HEAD + head.length) else { break };
            self.frame(head, &frame[HEAD..], &mut take)?;
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn frame(
        &mut self,
        head: Head,
        payload: &[u8],
        take: &mut impl FnMut(Frame<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.begun {
            if head.kind != SETTINGS || head.has(ACK) {
                return Err(Fault::protocol("the first frame is not SETTINGS"));
            }
            self.begun = true;
        }
        if self.block.is_some() || head.kind == CONTINUATION {
            return self.continuation(head, payload, take);
        }
        match head.kind {
            DATA | HEADERS | PRIORITY | RST_STREAM if head.stream == 0 => {
                Err(Fault::protocol("a frame has no stream that must have one"))
            }
            SETTINGS | PING | GOAWAY if head.stream != 0 => {
                Err(Fault::protocol("a frame has a stream that must have none"))
            }
            DATA => {
                let data = unpadded(head, payload)?;
                let padding = payload.len() - data.len();
                take(Frame::Data { stream: head.stream, data, padding, end: head.has(END_STREAM) })
            }
            HEADERS => self.headers(head, payload, take),
            PRIORITY if payload.len() != 5 => {
                take(Frame::Faulty { stream: head.stream, reason: Reason::FRAME_SIZE_ERROR })
            }
            RST_STREAM => {
                let code = payload.try_into().map_err(|_| Fault::size("RST_STREAM is not of 4 bytes"))?;
                take(Frame::Reset { stream: head.stream, reason: Reason(u32::from_be_bytes(code)) })
            }
            SETTINGS if head.has(ACK) => match payload {
                [] => take(Frame::SettingsTaken),
                _ => Err(Fault::size("SETTINGS are acknowledged and sent at once")),
            },
            SETTINGS => take(Frame::Settings(payload)),
            PING => {
                let payload = payload.try_into().map_err(|_| Fault::size("PING is not of 8 bytes"))?;
                take(if head.has(ACK) { Frame::Pong(payload) } else { Frame::Ping(payload) })
            }
            GOAWAY => {
                let (Some(last), Some(code)) = (number(payload, 0), number(payload, 4)) else {
                    return Err(Fault::size("GOAWAY is shorter than 8 bytes"));
                };
                take(Frame::GoAway { last: last & 0x7fff_ffff, reason: Reason(code) })
            }
            WINDOW_UPDATE => {
                let increment = payload.try_into().map_err(|_| Fault::size("WINDOW_UPDATE is not of 4 bytes"))?;
                let increment = u32::from_be_bytes(increment) & 0x7fff_ffff;
                take(Frame::WindowUpdate { stream: head.stream, increment })
            }
            // Clients may not push, and no server was allowed to.
            PUSH_PROMISE => Err(Fault::protocol("something is pushed")),
            _ => take(Frame::Unknown),
        }
    }

    fn headers(
        &mut self,
        head: Head,
        payload: &[u8],
        take: &mut impl FnMut(Frame<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut block = unpadded(head, payload)?;
        if head.has(HAS_PRIORITY) {
            block = block.get(5..).ok_or(Fault::size("HEADERS are too short for their priority"))?;
        }
        if head.has(END_HEADERS) {
            return take(Frame::Headers { stream: head.stream, block, end: head.has(END_STREAM) });
        }
        let begun = Block { stream: head.stream, end: head.has(END_STREAM), bytes: block.to_vec(), frames: 1 };
        self.block = Some(begun);
        Ok(())
    }

    fn continuation(
        &mut self,
        head: Head,
        payload: &[u8],
        take: &mut impl FnMut(Frame<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(block) = self.block.as_mut().filter(|block| (head.kind, head.stream) == (CONTINUATION, block.stream))
        else {
            return Err(Fault::protocol("a header block is not continued as it must be"));
        };
        block.bytes.extend_from_slice(payload);
        block.frames += 1;
        if block.bytes.len() > self.block_bytes || block.frames > SPARE_FRAMES + self.block_bytes / 1024 {
            return Err(Fault::calm("a header block does not end"));
        }
        if head.has(END_HEADERS)
            && let Some(Block { stream, end, bytes, .. }) = self.block.take()
        {
            return take(Frame::Headers { stream, block: &bytes, end });
        }
        Ok(())
    }
}

/// Moves bytes from the front of `from` until `partial` has `length` of them; whether it has.
fn top_up(partial: &mut Vec<u8>, length: usize, from: &mut &[u8]) -> bool {
    let missing = length.saturating_sub(partial.len());
    let (now, later) = from.split_at(missing.min(from.len()));
    partial.extend_from_slice(now);
    *from = later;
    now.len() == missing
}

/// A payload without its padding.
fn unpadded(head: Head, payload: &[u8]) -> Result<&[u8], Fault> {
    if !head.has(PADDED) {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(Fault::size("a frame is too short for its padding"))?;
    let length = rest.len().checked_sub(usize::from(*padding));
    length.map(|length| &rest[..length]).ok_or(Fault::protocol("a frame has more padding than payload"))
}

/// The number that begins at `at`.
fn number(payload: &[u8], at: usize) -> Option<u32> {
    payload.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
